// SPDX-License-Identifier: MIT
// What a run produced: the data behind the table, --json, --junit and the exit status. docs: design section 9.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/result.h"

namespace kfdlab::judge {

// Known: a test listed as a known failure that did fail.
enum class Verdict { Pass, Fail, Skip, Known };

// How the reason of a test begins that failed only because something before it did.
inline constexpr char kDidNotRun[] = "did not run: ";

[[nodiscard]] const char* to_string(Verdict verdict);

struct TestResult {
  std::string suite;
  std::string name;  // "GupPin.LongtermFastMovesCoherentPageToRam"
  Verdict verdict = Verdict::Pass;
  std::string reason = {};  // of a fail, skip or known failure
  double seconds = 0;
  std::string log = {};  // kernel log lines of its window and its output, kept for tests that did not pass
  nlohmann::json counters = nlohmann::json::object();
};

struct Counts {
  unsigned pass = 0;
  unsigned fail = 0;
  unsigned skip = 0;
  unsigned known = 0;
};

// Kernel log of a whole run: unexpected lines only.
struct KernelLogSummary {
  unsigned warnings = 0;
  std::string first;
};

// One kernel, or the host's unit tests.
struct RunResult {
  std::string kernel;   // as the user named it
  std::string release;  // uname -r
  std::string backend = "none";
  std::string accel;  // kvm, tcg or hardware
  double seconds = 0;
  KernelLogSummary kernel_log;
  std::vector<TestResult> tests;
  std::vector<std::string> notes;  // said by suites, judged by nobody
  std::string harness_error;       // not empty: the run did not come to its end (exit status 99)
  bool controls_ran = false;       // the judge was seen to say no in this run
};

struct Report {
  std::vector<RunResult> runs;
  nlohmann::json environment = nlohmann::json::object();
};

// The runner's own tests, "Suite.*", "Boot.*" and "Control.*": no filter selects them, and alone they judge nothing.
[[nodiscard]] bool is_own_test(const TestResult& test);

[[nodiscard]] Counts count(const std::vector<TestResult>& tests);
[[nodiscard]] Counts count(const Report& report);

// Exit statuses of validate and test (design section 9).
inline constexpr int kExitPass = 0;
inline constexpr int kExitFail = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNothingRan = 77;
inline constexpr int kExitHarness = 99;

// 99 if any run did not come to its end, else 1 if a test failed, else 77 if no test of a suite ran, else 0.
[[nodiscard]] int exit_status(const Report& report);

// Both directions of one test in the result stream and in --json.
[[nodiscard]] nlohmann::json to_json(const TestResult& test);
[[nodiscard]] Result<TestResult> test_from_json(const nlohmann::json& json);

// Fields of foreign JSON without exceptions: the fallback when the key is missing or of another type.
[[nodiscard]] std::string json_text(const nlohmann::json& json, const char* key, const std::string& fallback = "");
[[nodiscard]] double json_number(const nlohmann::json& json, const char* key, double fallback = 0);

}  // namespace kfdlab::judge
