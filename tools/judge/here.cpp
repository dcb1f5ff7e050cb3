// SPDX-License-Identifier: MIT
#include "tools/judge/here.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>

#include "tests/support/counters.h"
#include "tests/support/events.h"
#include "tests/support/instrumented.h"
#include "tools/judge/checkers.h"
#include "tools/judge/controls.h"
#include "tools/judge/expectations.h"
#include "tools/judge/kernel_log.h"
#include "tools/judge/suite_runner.h"
#include "tools/judge/suites.h"

namespace kfdlab::judge {
namespace {

constexpr std::chrono::seconds kTestLimit{60};
constexpr std::chrono::seconds kEmulatedTestLimit{180};

std::string kernel_release() {
  utsname name{};
  ::uname(&name);
  return name.release;
}

// Our own module is the only one whose residency is known without asking the hardware.
std::string residency_backend() { return ::access("/dev/kfdlab_test", F_OK) == 0 ? "coherent" : "none"; }

// Remembers which test of the gup suite passed in the shortest time: the controls' victim.
class VictimFinder : public RunSink {
 public:
  explicit VictimFinder(RunSink* next) : next_(next) {}
  void on_start(const std::string& release, const std::string& backend) override { next_->on_start(release, backend); }
  void on_suite(const std::string& suite, unsigned tests) override { next_->on_suite(suite, tests); }
  void on_begin(const std::string& suite, const std::string& test) override { next_->on_begin(suite, test); }
  void on_note(const std::string& text) override { next_->on_note(text); }
  void on_alive() override { next_->on_alive(); }
  void on_done(const KernelLogSummary& log, bool controls, const std::string& error) override {
    next_->on_done(log, controls, error);
  }
  void on_result(const TestResult& test) override {
    if (test.suite == "gup" && test.verdict == Verdict::Pass && !is_own_test(test) &&
        (victim_.empty() || test.seconds < seconds_)) {
      victim_ = test.name;
      seconds_ = test.seconds;
    }
    next_->on_result(test);
  }
  [[nodiscard]] const std::string& victim() const { return victim_; }

 private:
  RunSink* next_;
  std::string victim_;
  double seconds_ = 0;
};

class HereRun {
 public:
  HereRun(const HereOptions& options, RunSink* sink) : options_(options), sink_(sink) {}

  void run() {
    where_ = {kernel_release(), residency_backend(), options_.accel, std::to_string(topology_gpu_ids().size())};
    sink_.on_start(where_.release, where_.backend);
    auto expectations = Expectations::load(options_.expectations);
    if (!expectations) {
      done(false, expectations.error().message);
      return;
    }
    expectations_ = expectations.take();
    open_log();
    judge_boot();
    for (const Suite& suite : all_suites()) {
      if (suite.place == Place::Vm && wanted(suite.name) && !run_suite(suite)) {
        done(false, fmt::format("a process of suite {} could not be killed", suite.name));
        return;
      }
    }
    bool controls = options_.controls && wanted(kControlSuite);
    if (controls && where_.backend == "none") {
      sink_.on_note("the negative controls need kfdlab's own modules");
      controls = false;
    }
    if (controls && !run_controls(control_setup(), &log_, &sink_)) {
      done(false, "a process of the negative controls could not be killed");
      return;
    }
    done(controls, "");
  }

 private:
  [[nodiscard]] bool wanted(std::string_view suite) const {
    return options_.suites.empty() ||
           std::find(options_.suites.begin(), options_.suites.end(), suite) != options_.suites.end();
  }

  void done(bool controls, const std::string& error) {
    const bool lockdep_on = lockdep_is_on_here();
    if (!lockdep_on) {
      sink_.on_note("lockdep turned itself off; what ran after that was not watched by it");
    }
    const std::string trouble = checkers_trouble(log_.windows.gave_up(), lockdep_on, log_.summary.warnings);
    sink_.on_done(log_.summary, controls, error.empty() ? trouble : error);
  }

  void open_log() {
    auto reader = KmsgReader::open();
    if (!reader) {
      sink_.on_note("the kernel log is not judged: " + reader.error().message);
      return;
    }
    log_.reader = reader.take();
    log_.update();
    log_.windows.end_of_boot();
  }

  // What loading our modules printed has no test of its own in any suite.
  void judge_boot() {
    const std::vector<KernelLine>& lines = log_.windows.loading();
    if (lines.empty()) {
      return;
    }
    TestResult result{.suite = "boot", .name = "Boot.ModulesLoadWithoutKernelWarnings"};
    const LogVerdict verdict = judge_window(lines, {}, expectations_.allowed_lines(where_));
    for (const std::string& line : verdict.unexpected) {
      fail(&result, "kernel log: " + line);
    }
    if (!verdict.unexpected.empty()) {
      log_.summary = {static_cast<unsigned>(verdict.unexpected.size()), verdict.unexpected[0]};
      result.log = format_lines(lines);
    }
    sink_.on_result(result);
  }

  [[nodiscard]] std::chrono::seconds limit() const {
    if (options_.test_limit.count() > 0) {
      return options_.test_limit;
    }
    return (options_.accel == "tcg" ? kEmulatedTestLimit : kTestLimit) *
           (kernel_is_instrumented() ? kInstrumentedFactor : 1);
  }

  [[nodiscard]] std::vector<std::string> environment() const {
    return {fmt::format("{}={}", events::kSeedVariable, options_.seed),
            fmt::format("{}={}", events::kStressTimeVariable, options_.stress_seconds),
            fmt::format("{}={}", events::kStressOperationsVariable, options_.stress_operations),
            fmt::format("{}={}", events::kBackendVariable, where_.backend),
            fmt::format("{}={}", events::kAcceleratorVariable, where_.accel)};
  }

  bool run_suite(const Suite& suite) {
    SuiteRun run{.suite = std::string(suite.name),
                 .executable = suite_executable(options_.bin_dir, suite),
                 .filter = options_.filter,
                 .env = environment(),
                 .limit = limit()};
    if (!suite.env.empty()) {
      run.env.emplace_back(suite.env);
    }
    if (!options_.control.empty()) {
      run.env.push_back(fmt::format("{}={}", events::kControlVariable, options_.control));
    }
    return SuiteRunner(std::move(run), expectations_, where_, &log_, &sink_).run();
  }

  [[nodiscard]] ControlSetup control_setup() const {
    return {.gup_tests = suite_executable(options_.bin_dir, *find_suite("gup")),
            .modules = options_.module_dir,
            .victim = sink_.victim(),
            .env = environment(),
            .limit = limit(),
            .where = where_};
  }

  const HereOptions& options_;
  VictimFinder sink_;
  Where where_;
  Expectations expectations_;
  KernelLog log_;
};

}  // namespace

void run_here(const HereOptions& options, RunSink* sink) { HereRun(options, sink).run(); }

bool is_suite_name(const std::string& name) { return name == kControlSuite || find_suite(name) != nullptr; }

}  // namespace kfdlab::judge
