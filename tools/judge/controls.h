// SPDX-License-Identifier: MIT
// The negative controls: after the suites, in the same VM, the judge is shown defects and must say no. Each control is
// a test of suite "control" that passes when the judged thing failed as it must.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "tools/judge/kernel_log.h"
#include "tools/judge/sink.h"
#include "tools/judge/suite_runner.h"

namespace kfdlab::judge {

inline constexpr char kControlSuite[] = "control";
inline constexpr char kLongtermFilter[] = "GupPin.Longterm*";

struct ControlSetup {
  std::filesystem::path gup_tests;  // executable of the gup suite
  std::filesystem::path modules;    // directory of built modules; empty: none to reload
  std::string victim;               // a quick test of the gup suite; empty: its first one
  std::vector<std::string> env;
  std::chrono::seconds limit{60};
  Where where;
};

// False: something hangs in the kernel; nothing more may be started.
bool run_controls(const ControlSetup& setup, KernelLog* log, RunSink* sink);

// What the results of a sabotaged run mean for the control. Every test that ran must have failed; skipped ones say
// nothing; at least one must have run.
[[nodiscard]] TestResult judge_dropped_longterm(const std::vector<TestResult>& results);
// The warning must have failed the test in whose window it fell, and by the kernel log.
[[nodiscard]] TestResult judge_provoked_warning(const std::vector<TestResult>& results, const std::string& victim);

}  // namespace kfdlab::judge
