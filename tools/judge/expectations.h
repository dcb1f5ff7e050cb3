// SPDX-License-Identifier: MIT
// What is known beforehand about a kernel and backend: tests that skip, tests that fail, lines its log may hold.
// Read from tests/suites/expectations.json; every entry carries its reason.
//
//   {"schema": 1,
//    "tests": [{"expect": "skip" or "known", "suite": GLOB, "test": GLOB, "kernel": GLOB, "backend": GLOB, "gpus": GLOB,
//    "reason": "..."}], "kernel_lines": [{"pattern": REGEX, "accel": GLOB, "reason": "..."}]}
//
// kernel is matched with uname -r, gpus with the number of GPUs; a glob that is left out matches everything.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "tools/judge/kernel_log.h"
#include "tools/judge/result.h"

namespace kfdlab::judge {

// Where the tests run.
struct Where {
  std::string release;
  std::string backend;
  std::string accel;
  std::string gpus = "1";
};

class Expectations {
 public:
  static Result<Expectations> parse(std::string_view json);
  static Result<Expectations> load(const std::string& path);

  [[nodiscard]] std::vector<AllowedLine> allowed_lines(const Where& where) const;

  // Turns what happened into what it means: an unlisted skip fails, a listed failure is "known", a listed failure
  // that passes fails.
  void apply(const Where& where, TestResult* test) const;

 private:
  struct TestEntry {
    Verdict expect = Verdict::Skip;
    std::string suite, test, kernel, backend, gpus, reason;
  };
  struct LineEntry {
    std::string pattern, accel;
    std::regex regex;
  };
  [[nodiscard]] const TestEntry* find(Verdict expect, const Where& where, const TestResult& test) const;

  std::vector<TestEntry> tests_;
  std::vector<LineEntry> lines_;
};

}  // namespace kfdlab::judge
