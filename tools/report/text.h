// SPDX-License-Identifier: MIT
// What a person reads: progress while a run goes on, failures in full as they happen, a table at the end.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "tools/judge/sink.h"

namespace kfdlab::report {

// The command that repeats one test, quoted for a shell.
struct Repeat {
  std::string kernel;                // as for --kernel; empty: --here
  std::vector<std::string> options;  // what the user added that changes the run, as in "--vram 256M"
  [[nodiscard]] std::string command(const std::string& suite, const std::string& test) const;
};

[[nodiscard]] std::string shell_quote(const std::string& word);

// A failed test in full: name, reason, log lines, the command that repeats it.
[[nodiscard]] std::string failure_text(const judge::TestResult& test, const std::string& where, const Repeat& repeat);

// One row per kernel and suite.
[[nodiscard]] std::string table(const judge::Report& report);

// Prints one kernel's run. On a terminal a live line shows suite, done/total, elapsed time and the running test; in a
// pipe there is one line per suite.
class Progress : public judge::RunSink {
 public:
  // out outlives this. label: the kernel until its release is known.
  Progress(std::FILE* out, std::string label, Repeat repeat);
  ~Progress() override;

  // A line of its own, as in "booting".
  void say(const std::string& text);

  void on_start(const std::string& release, const std::string& backend) override;
  void on_suite(const std::string& suite, unsigned tests) override;
  void on_begin(const std::string& suite, const std::string& test) override;
  void on_result(const judge::TestResult& test) override;
  void on_note(const std::string& text) override;
  void on_alive() override { draw(); }
  void on_done(const judge::KernelLogSummary& log, bool controls_ran, const std::string& harness_error) override;

 private:
  using Clock = std::chrono::steady_clock;
  void print_line(const std::string& text);
  void close_suite();
  void draw();
  void erase();
  [[nodiscard]] double seconds_since(Clock::time_point start) const;

  std::FILE* out_;
  std::string label_;
  Repeat repeat_;
  bool live_;  // a terminal
  bool drawn_ = false;
  std::string suite_, test_;
  unsigned total_ = 0;
  unsigned not_run_ = 0;
  std::vector<judge::TestResult> results_;  // of the current suite
  Clock::time_point start_ = Clock::now(), suite_start_ = Clock::now(), last_draw_{};
};

}  // namespace kfdlab::report
