// SPDX-License-Identifier: MIT
#include "tools/judge/unit_run.h"

#include <sys/utsname.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "tools/judge/suite_runner.h"

namespace kfdlab::judge {
namespace {

constexpr char kUnitSuite[] = "unit";
constexpr std::chrono::seconds kLimit{120};

std::vector<std::filesystem::path> unit_executables(const std::filesystem::path& bin_dir) {
  std::vector<std::filesystem::path> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(bin_dir, error)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("kfdlab_unit_") && name.ends_with("_tests")) {
      found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Each executable announces itself as a suite and ends with a result of its own; here they are one suite, and only an
// end that was not clean is worth a line.
class OneSuite : public RunSink {
 public:
  explicit OneSuite(RunSink* next) : next_(next) {}
  void on_start(const std::string&, const std::string&) override {}
  void on_suite(const std::string&, unsigned) override {}
  void on_begin(const std::string& suite, const std::string& test) override { next_->on_begin(suite, test); }
  void on_result(const TestResult& test) override {
    TestResult named = test;
    if (test.name.starts_with("Suite.")) {
      if (test.verdict == Verdict::Pass) {
        return;
      }
      named.name += "/" + executable;
    }
    next_->on_result(named);
  }
  void on_note(const std::string& text) override { next_->on_note(text); }
  void on_alive() override { next_->on_alive(); }
  void on_done(const KernelLogSummary&, bool, const std::string&) override {}
  std::string executable;

 private:
  RunSink* next_;
};

}  // namespace

RunResult run_unit_tests(const std::filesystem::path& bin_dir, const Expectations& expectations,
                         const std::string& filter, RunSink* sink) {
  const auto begin = std::chrono::steady_clock::now();
  utsname machine{};
  ::uname(&machine);
  RunResult run;
  run.kernel = "host";
  run.release = machine.release;
  run.accel = "hardware";
  Collector collector(&run, sink);
  const auto executables = unit_executables(bin_dir);
  collector.on_suite(kUnitSuite, 0);
  KernelLog no_log;
  OneSuite one(&collector);
  for (const auto& executable : executables) {
    one.executable = executable.filename();
    SuiteRun suite{.suite = kUnitSuite, .executable = executable, .filter = filter, .env = {}, .limit = kLimit};
    suite.judges_kernel = false;
    SuiteRunner(std::move(suite), expectations, {machine.release, "none", "hardware"}, &no_log, &one).run();
  }
  const bool missing = executables.empty();
  collector.on_done({}, false, missing ? "no unit tests were built in " + bin_dir.string() : "");
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return run;
}

}  // namespace kfdlab::judge
