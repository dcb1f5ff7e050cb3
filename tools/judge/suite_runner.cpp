// SPDX-License-Identifier: MIT
#include "tools/judge/suite_runner.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "common/fd.h"
#include "tests/support/events.h"
#include "tools/judge/kmemleak.h"
#include "tools/judge/suites.h"

namespace kfdlab::judge {
namespace {

constexpr std::size_t kKeptOutput = 16384;  // bytes of a failed test's output, its end
constexpr std::chrono::seconds kAliveInterval{5};
constexpr char kEndName[] = "Suite.EndsCleanly";

// Blocked tasks and the stacks of all CPUs into the kernel log.
void dump_kernel_state() {
  const Fd fd(::open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC));
  for (const char* key : {"w", "l"}) {
    if (!fd.valid() || ::write(fd.get(), key, 1) != 1) {
      return;
    }
  }
}

// Collects what a process prints; nothing else.
class OutputObserver : public SuiteObserver {
 public:
  void on_line(std::string_view) override {}
  void on_output(std::string_view data) override { text += data; }
  void on_timeout() override {}
  std::string text;
};

std::string tail(const std::string& text, std::size_t size) {
  return text.size() <= size ? text : "...\n" + text.substr(text.size() - size);
}

std::string summarise(const std::vector<std::string>& lines) {
  return lines.size() == 1 ? lines[0] : fmt::format("{} (and {} more)", lines[0], lines.size() - 1);
}

std::string part_text(const nlohmann::json& event) {
  const std::string file = json_text(event, "file");
  const std::string where =
      file.empty() ? "" : fmt::format("{}:{}: ", file.substr(file.rfind('/') + 1), json_number(event, "line"));
  return where + json_text(event, "message");
}

}  // namespace

void fail(TestResult* test, const std::string& reason) {
  if (test->verdict != Verdict::Fail) {
    test->verdict = Verdict::Fail;
    test->reason.clear();
  }
  test->reason += test->reason.empty() ? reason : "\n" + reason;
}

Result<std::vector<std::string>> list_suite_tests(const SuiteRun& run) {
  SuiteCommand command{{run.executable, "--gtest_list_tests"}, run.env, run.limit};
  if (!run.filter.empty()) {
    command.argv.push_back("--gtest_filter=" + run.filter);
  }
  OutputObserver observer;
  const auto end = run_suite_process(command, &observer);
  if (!end) {
    return Error{"cannot be started: " + end.error().message};
  }
  if (end.value().signalled || end.value().timed_out || end.value().code != 0) {
    return Error{"cannot list its tests: it " + end.value().describe() + "\n" + tail(observer.text, kKeptOutput)};
  }
  return parse_test_list(observer.text);
}

SuiteRunner::SuiteRunner(SuiteRun run, const Expectations& expectations, Where where, KernelLog* log, RunSink* sink)
    : run_(std::move(run)),
      expectations_(expectations),
      where_(std::move(where)),
      allowed_(expectations.allowed_lines(where_)),
      log_(log),
      sink_(sink) {}

bool SuiteRunner::run() {
  if (!list_tests()) {
    report_end({});
    return true;
  }
  sink_->on_suite(run_.suite, static_cast<unsigned>(remaining_.size()));
  if (remaining_.empty() && !run_.filter.empty()) {
    return true;
  }
  if (remaining_.empty()) {
    exit_trouble_ = "the suite has no tests";
  }
  const LeakSnapshot before = run_.judges_kernel ? take_leak_snapshot() : LeakSnapshot{};
  bool unkillable = false;
  while (!remaining_.empty() && !unkillable) {
    const std::size_t had = remaining_.size();
    run_remaining_once(&unkillable);
    restarted_ = true;
    if (remaining_.size() == had) {
      break;  // a process that starts no test will not start one the next time either
    }
  }
  report_not_run(unkillable ? "a process before it could not be killed" : "the suite's process " + exit_trouble_);
  if (!unkillable) {
    report_end(before);
  }
  return !unkillable;
}

bool SuiteRunner::list_tests() {
  const auto tests = list_suite_tests(run_);
  if (!tests) {
    exit_trouble_ = tests.error().message;
    return false;
  }
  for (const std::string& test : tests.value()) {
    if (test.find("DISABLED_") == std::string::npos) {
      remaining_.push_back(test);
      continue;
    }
    TestResult disabled{
        .suite = run_.suite, .name = test, .verdict = Verdict::Skip, .reason = "disabled in the source"};
    expectations_.apply(where_, &disabled);
    report(std::move(disabled));
  }
  return true;
}

std::string SuiteRunner::joined_remaining() const {
  std::string text;
  for (const std::string& test : remaining_) {
    text += text.empty() ? test : ":" + test;
  }
  return text;
}

void SuiteRunner::run_remaining_once(bool* unkillable) {
  SuiteCommand command{{run_.executable, "--gtest_color=no"}, run_.env, run_.limit};
  if (restarted_ || !run_.filter.empty()) {
    command.argv.push_back("--gtest_filter=" + joined_remaining());
  }
  exit_trouble_.clear();
  output_.clear();
  const auto end = run_suite_process(command, this);
  if (!end) {
    exit_trouble_ = "cannot be started: " + end.error().message;
    return;
  }
  *unkillable = end.value().unkillable;
  conclude(end.value());
}

void SuiteRunner::conclude(const ProcessEnd& end) {
  const bool ordinary = !end.signalled && !end.timed_out && (end.code == 0 || end.code == 1);
  if (running_ && !running_->ended) {
    fail(&running_->result, end.timed_out ? fmt::format("{}: no end within {} s", end.describe(), run_.limit.count())
                                          : "the process " + end.describe() + " in this test");
  } else if (!ordinary) {
    exit_trouble_ = end.describe() + " outside any test\n" + tail(output_, kKeptOutput);
  } else if (!remaining_.empty()) {
    exit_trouble_ = end.describe() + " before its last test";
  }
  finish_running();
}

void SuiteRunner::on_line(std::string_view line) {
  const auto event = nlohmann::json::parse(line, nullptr, false);
  const std::string kind = event.is_discarded() ? "" : json_text(event, "event");
  if (kind == events::kEventBegin) {
    begin_test(json_text(event, "test"));
  } else if (kind == events::kEventNote) {
    sink_->on_note(run_.suite + ": " + json_text(event, "message"));
  } else if (kind == events::kEventAlive) {
    return;  // that it came is what it says
  } else if (!running_) {
    exit_trouble_ = "said what cannot be understood: " + std::string(line);
  } else if (kind == events::kEventDeclare) {
    running_->declared.push_back(
        Declaration{json_text(event, "pattern"), static_cast<unsigned>(json_number(event, "count"))});
  } else if (kind == events::kEventPart) {
    add_part(event);
  } else if (kind == events::kEventEnd) {
    running_->ended = true;
    running_->result.seconds = json_number(event, "seconds");
    if (event.contains("counters")) {
      running_->result.counters = event.at("counters");
    }
  } else {
    fail(&running_->result, "the suite said what cannot be understood: " + std::string(line));
  }
}

void SuiteRunner::begin_test(const std::string& name) {
  // The next test has begun, so its mark is in the log and the window of the one before is complete.
  finish_running();
  std::erase(remaining_, name);
  running_ = Running{.result = {.suite = run_.suite, .name = name}};
  sink_->on_begin(run_.suite, name);
}

void SuiteRunner::add_part(const nlohmann::json& event) {
  TestResult& result = running_->result;
  if (json_text(event, "kind") != "skip") {
    fail(&result, part_text(event));
  } else if (result.verdict == Verdict::Pass) {
    result.verdict = Verdict::Skip;
    result.reason = json_text(event, "message");
  }
}

void SuiteRunner::on_output(std::string_view data) {
  output_ += data;
  if (output_.size() > 4 * kKeptOutput) {
    output_.erase(0, output_.size() - kKeptOutput);
  }
}

void SuiteRunner::on_tick() {
  const auto now = std::chrono::steady_clock::now();
  if (now - last_alive_ >= kAliveInterval) {
    last_alive_ = now;
    sink_->on_alive();
    log_->update();  // the ring is small; do not let a long test overrun it
  }
}

void SuiteRunner::on_timeout() {
  if (!run_.judges_kernel) {
    return;
  }
  // What the dump prints is for the reader; it is not the test's doing.
  if (running_) {
    log_->update();
    running_->before_dump = log_->windows.take_window(running_->result.name);
    running_->dumped = true;
  }
  dump_kernel_state();
}

void SuiteRunner::finish_running() {
  if (!running_) {
    return;
  }
  log_->update();
  TestResult result = std::move(running_->result);
  std::vector<KernelLine> lines = std::move(running_->before_dump);
  std::vector<KernelLine> rest = log_->windows.take_window(result.name);
  const bool dumped = running_->dumped;
  if (!dumped) {
    lines.swap(rest);
  }
  judge_log(lines, running_->declared, &result);
  lines.insert(lines.end(), rest.begin(), rest.end());
  running_.reset();
  if (result.verdict == Verdict::Fail) {
    result.log = format_lines(lines) + tail(output_, kKeptOutput);
  }
  output_.clear();
  expectations_.apply(where_, &result);
  report(std::move(result));
}

void SuiteRunner::judge_log(const std::vector<KernelLine>& lines, const std::vector<Declaration>& declared,
                            TestResult* test) {
  const LogVerdict verdict = judge_window(lines, declared, allowed_);
  if (!verdict.unexpected.empty()) {
    fail(test, "kernel log: " + summarise(verdict.unexpected));
    log_->summary.warnings += static_cast<unsigned>(verdict.unexpected.size());
    if (log_->summary.first.empty()) {
      log_->summary.first = verdict.unexpected[0];
    }
  }
  if (log_->reader) {
    for (const std::string& sentence : verdict.missing) {
      fail(test, sentence);
    }
  }
  if (const std::uint64_t lost = log_->take_lost(); lost > 0) {
    fail(test, fmt::format("{} kernel log records were overwritten before they were read", lost));
  }
}

void SuiteRunner::report(TestResult test) { sink_->on_result(test); }

void SuiteRunner::report_not_run(const std::string& reason) {
  for (const std::string& test : remaining_) {
    report({.suite = run_.suite, .name = test, .verdict = Verdict::Fail, .reason = kDidNotRun + reason});
  }
  remaining_.clear();
}

void SuiteRunner::judge_kmemleak(TestResult* test) {
  const auto leaks = find_new_leaks([this] { sink_->on_alive(); });
  if (!leaks.ok()) {
    fail(test, leaks.error().message);
    return;
  }
  for (const LeakedObject& object : leaks.value()) {
    if (is_leak_of_ours(object)) {
      fail(test, "kmemleak: " + describe_leak(object));
    }
  }
}

void SuiteRunner::report_end(const LeakSnapshot& before) {
  sink_->on_begin(run_.suite, kEndName);
  TestResult result{.suite = run_.suite, .name = kEndName};
  if (!exit_trouble_.empty()) {
    fail(&result, "the suite " + exit_trouble_);
  }
  // The exit of the last process finishes a little after it was reaped.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  std::string leaks = run_.judges_kernel ? describe_leaks(before, take_leak_snapshot()) : "";
  while (!leaks.empty() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    leaks = describe_leaks(before, take_leak_snapshot());
  }
  if (!leaks.empty()) {
    fail(&result, "the suite left behind: " + leaks);
  }
  if (run_.judges_kernel && kmemleak_available()) {
    judge_kmemleak(&result);
  }
  log_->update();
  const std::vector<KernelLine> lines = log_->windows.take_rest();
  judge_log(lines, {}, &result);
  if (result.verdict == Verdict::Fail) {
    result.log = format_lines(lines);
  }
  report(std::move(result));
}

}  // namespace kfdlab::judge
