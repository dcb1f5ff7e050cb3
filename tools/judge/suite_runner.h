// SPDX-License-Identifier: MIT
// SuiteRunner runs one suite on this machine and says about each of its tests what happened: every listed test gets
// exactly one result, whether the process lived, crashed or hung.
#pragma once

#include <chrono>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/leak_snapshot.h"
#include "tools/judge/expectations.h"
#include "tools/judge/kernel_log.h"
#include "tools/judge/sink.h"
#include "tools/judge/suite_process.h"

namespace kfdlab::judge {

struct SuiteRun {
  std::string suite;
  std::filesystem::path executable;
  std::string filter = {};            // gtest pattern; empty: all
  std::vector<std::string> env = {};  // "K=V"
  std::chrono::seconds limit{60};     // per test
  bool judges_kernel = true;          // false: unit tests; what else the machine does is none of their business
};

// The kernel log of this machine, or nothing where it cannot be read (then no line is judged, and a note says so).
struct KernelLog {
  std::optional<KmsgReader> reader;
  LogWindows windows;
  KernelLogSummary summary;
  std::uint64_t lost_reported = 0;

  void update() {
    if (reader) {
      windows.feed(reader->read_new());
    }
  }
  // Records lost since the last call.
  [[nodiscard]] std::uint64_t take_lost() {
    return reader ? reader->lost() - std::exchange(lost_reported, reader->lost()) : 0;
  }
};

class SuiteRunner : private SuiteObserver {
 public:
  // The log and the sink outlive the runner.
  SuiteRunner(SuiteRun run, const Expectations& expectations, Where where, KernelLog* log, RunSink* sink);

  // Runs to the end. False: a process could not be killed; nothing may be started on this machine any more.
  bool run();

 private:
  struct Running {
    TestResult result;
    std::vector<Declaration> declared = {};
    std::vector<KernelLine> before_dump = {};  // of its window, when it hung
    bool dumped = false;
    bool ended = false;
  };

  void on_line(std::string_view line) override;
  void on_output(std::string_view data) override;
  void on_tick() override;
  void on_timeout() override;

  bool list_tests();
  void run_remaining_once(bool* unkillable);
  void conclude(const ProcessEnd& end);
  void begin_test(const std::string& name);
  void add_part(const nlohmann::json& event);
  void finish_running();
  void judge_log(const std::vector<KernelLine>& lines, const std::vector<Declaration>& declared, TestResult* test);
  void judge_kmemleak(TestResult* test);
  void report(TestResult test);
  void report_not_run(const std::string& reason);
  void report_end(const LeakSnapshot& before);
  [[nodiscard]] std::string joined_remaining() const;

  SuiteRun run_;
  const Expectations& expectations_;
  Where where_;
  std::vector<AllowedLine> allowed_;
  KernelLog* log_;
  RunSink* sink_;

  std::deque<std::string> remaining_;
  std::optional<Running> running_;
  std::string output_;        // of the running test
  std::string exit_trouble_;  // processes that ended badly outside any test
  bool restarted_ = false;
  std::chrono::steady_clock::time_point last_alive_{};
};

// The names of the tests that match the run's filter, DISABLED_ ones included.
[[nodiscard]] Result<std::vector<std::string>> list_suite_tests(const SuiteRun& run);

// Adds a reason to a failing result: the first line of the report is the first thing that went wrong.
void fail(TestResult* test, const std::string& reason);

}  // namespace kfdlab::judge
