// SPDX-License-Identifier: MIT
#include "tools/judge/controls.h"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "tests/support/events.h"
#include "tools/judge/modules.h"

namespace kfdlab::judge {
namespace {

constexpr char kDropName[] = "Control.DroppedLongtermFailsEveryLongtermTest";
constexpr char kWarnName[] = "Control.KernelWarningFailsTheTestInWhoseWindowItFell";

TestResult control(const char* name) { return {.suite = kControlSuite, .name = name}; }

// Keeps results to itself: what fails in a control must not count as a failure of the run.
class QuietSink : public RunSink {
 public:
  explicit QuietSink(RunSink* alive) : alive_(alive) {}
  void on_start(const std::string&, const std::string&) override {}
  void on_suite(const std::string&, unsigned) override {}
  void on_begin(const std::string&, const std::string&) override {}
  void on_result(const TestResult& test) override { results.push_back(test); }
  void on_note(const std::string&) override {}
  void on_alive() override { alive_->on_alive(); }
  void on_done(const KernelLogSummary&, bool, const std::string&) override {}
  std::vector<TestResult> results;

 private:
  RunSink* alive_;
};

// Runs tests of the gup suite without expectations and without a trace in the run's own kernel log summary.
bool run_quietly(const ControlSetup& setup, const std::string& filter, const std::vector<std::string>& more_env,
                 KernelLog* log, RunSink* sink, std::vector<TestResult>* results) {
  SuiteRun run{
      .suite = kControlSuite, .executable = setup.gup_tests, .filter = filter, .env = setup.env, .limit = setup.limit};
  run.env.insert(run.env.end(), more_env.begin(), more_env.end());
  const KernelLogSummary summary = log->summary;
  const Expectations none;
  QuietSink quiet(sink);
  const bool alive = SuiteRunner(std::move(run), none, setup.where, log, &quiet).run();
  log->summary = summary;
  *results = std::move(quiet.results);
  return alive;
}

bool control_warning(const ControlSetup& setup, KernelLog* log, RunSink* sink, TestResult* verdict) {
  std::string victim = setup.victim;
  if (const auto tests = list_suite_tests({.suite = kControlSuite, .executable = setup.gup_tests});
      victim.empty() && tests) {
    victim = tests.value().empty() ? "" : tests.value().front();
  }
  if (victim.empty() || !log->reader || ::access("/dev/kfdlab_test", F_OK) != 0) {
    fail(verdict, "needs a test of the gup suite, /dev/kfdlab_test and a readable kernel log");
    return true;
  }
  std::vector<TestResult> results;
  const std::string variable = std::string(events::kControlVariable) + "=warn";
  const bool alive = run_quietly(setup, victim, {variable}, log, sink, &results);
  *verdict = judge_provoked_warning(results, victim);
  return alive;
}

bool control_dropped_longterm(const ControlSetup& setup, KernelLog* log, RunSink* sink, TestResult* verdict) {
  if (setup.modules.empty()) {
    fail(verdict, "needs the directory of kfdlab's modules (--module-dir)");
    return true;
  }
  const std::filesystem::path module = gup_module(setup.modules);
  auto status = unload_module("kfdlab_gup");
  if (status.ok()) {
    status = load_module(module, "drop_longterm=1");
  }
  if (!status.ok()) {
    fail(verdict, status.error().message);
    return true;
  }
  std::vector<TestResult> results;
  const bool alive = run_quietly(setup, kLongtermFilter, {}, log, sink, &results);
  *verdict = judge_dropped_longterm(results);
  if (alive) {
    status = unload_module("kfdlab_gup");
    if (status.ok()) {
      status = load_module(module, "");
    }
    if (!status.ok()) {
      fail(verdict, "the module could not be restored: " + status.error().message);
    }
  }
  return alive;
}

template <typename Body>
bool timed_control(const char* name, RunSink* sink, Body body) {
  sink->on_begin(kControlSuite, name);
  const auto begin = std::chrono::steady_clock::now();
  TestResult verdict = control(name);
  const bool alive = body(&verdict);
  verdict.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  sink->on_result(verdict);
  return alive;
}

}  // namespace

TestResult judge_dropped_longterm(const std::vector<TestResult>& results) {
  TestResult verdict = control(kDropName);
  unsigned ran = 0;
  unsigned failed = 0;
  for (const TestResult& result : results) {
    if (is_own_test(result) || result.verdict == Verdict::Skip) {
      continue;
    }
    ++ran;
    if (result.verdict == Verdict::Fail) {
      ++failed;
    } else {
      fail(&verdict, result.name + " passes although the pin module drops FOLL_LONGTERM: it watches nothing");
    }
  }
  if (ran == 0) {
    fail(&verdict, std::string("no test matches ") + kLongtermFilter);
  }
  verdict.counters = {{"tests", ran}, {"failed", failed}};
  return verdict;
}

TestResult judge_provoked_warning(const std::vector<TestResult>& results, const std::string& victim) {
  TestResult verdict = control(kWarnName);
  verdict.counters = {{"victim", victim}};
  for (const TestResult& result : results) {
    if (result.name != victim) {
      continue;
    }
    if (result.verdict != Verdict::Fail || result.reason.find("kernel log: ") == std::string::npos) {
      fail(&verdict, fmt::format("{} was judged '{}' ({}) although the kernel warned while it ran", victim,
                                 to_string(result.verdict), result.reason));
    }
    return verdict;
  }
  fail(&verdict, victim + " did not run");
  return verdict;
}

bool run_controls(const ControlSetup& setup, KernelLog* log, RunSink* sink) {
  sink->on_suite(kControlSuite, 2);
  return timed_control(kWarnName, sink, [&](TestResult* v) { return control_warning(setup, log, sink, v); }) &&
         timed_control(kDropName, sink, [&](TestResult* v) { return control_dropped_longterm(setup, log, sink, v); });
}

}  // namespace kfdlab::judge
