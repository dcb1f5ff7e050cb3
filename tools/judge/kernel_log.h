// SPDX-License-Identifier: MIT
// The rule about the kernel log: no unexpected line at warning level or above, and none that reports a defect at
// any level. Lines belong to the test in whose window they fell: from its begin mark up to the next one's.
#pragma once

#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "tools/judge/kmsg.h"
#include "tools/judge/result.h"

namespace kfdlab::judge {

// WARN, BUG, Oops, panic, stall, hung task, lockdep, sanitizer or memory corruption report, whatever its level.
[[nodiscard]] bool reports_defect(std::string_view text);
// The taint lines that loading kfdlab's modules always causes.
[[nodiscard]] bool is_taint_line(std::string_view text);
// The first line that one of kfdlab's modules caused: what comes before it is the boot baseline.
[[nodiscard]] bool is_from_our_modules(std::string_view text);

// Lines a test declared with expect_kernel_line().
struct Declaration {
  std::string pattern;
  unsigned count = 1;  // 0: any number, none needed
};

// A line that this environment may print at any time, with the reason (tests/suites/expectations.json).
struct AllowedLine {
  std::string pattern;
  std::regex regex;
};

// Compiles an ECMAScript pattern; an Error names what is wrong with it.
[[nodiscard]] Result<std::regex> compile_pattern(const std::string& pattern);

struct LogVerdict {
  // Reports that nobody declared or allowed, as their headlines; empty: the window is clean.
  std::vector<std::string> unexpected;
  // Declared lines that did not come, as sentences.
  std::vector<std::string> missing;
  [[nodiscard]] bool clean() const { return unexpected.empty() && missing.empty(); }
};

// Judges the lines of one window. A report of many lines ("cut here" to "end trace", or what KASAN or lockdep print
// at once) is one entry: it is expected as a whole if any of its lines was declared.
[[nodiscard]] LogVerdict judge_window(const std::vector<KernelLine>& lines, const std::vector<Declaration>& declared,
                                      const std::vector<AllowedLine>& allowed);

// Lines as a person wants to read them: "[   12.345678] text".
[[nodiscard]] std::string format_lines(const std::vector<KernelLine>& lines);

// Sorts lines into windows by the marks that the suites write.
class LogWindows {
 public:
  void feed(std::vector<KernelLine> lines);
  // Lines before the first line of our modules, and lines after it but before the first mark.
  [[nodiscard]] const std::vector<KernelLine>& baseline() const { return baseline_; }
  [[nodiscard]] const std::vector<KernelLine>& loading() const { return loading_; }
  // Without such a line (modules were loaded before the ring began, or real hardware) all is baseline. Call this
  // once, after the log so far was fed and before the first test starts.
  void end_of_boot() { booting_ = false; }

  // The lines of a test's window so far; they are handed out once. The window is complete when the mark of the next
  // test was fed, or when the process that ran the test has gone.
  [[nodiscard]] std::vector<KernelLine> take_window(const std::string& test);
  // What no take_window() asked for: lines that came late, or of tests nobody heard of.
  [[nodiscard]] std::vector<KernelLine> take_rest();
  // The first line by which a checker of the kernel said that it gives up; empty: none did.
  [[nodiscard]] const std::string& gave_up() const { return gave_up_; }

 private:
  struct Window {
    std::string test;
    std::vector<KernelLine> lines;
  };
  void add_to_current(KernelLine line);

  bool booting_ = true;
  bool ours_seen_ = false;
  bool mark_seen_ = false;
  std::string current_, gave_up_;
  std::vector<KernelLine> baseline_;
  std::vector<KernelLine> loading_;
  std::vector<Window> windows_;
};

}  // namespace kfdlab::judge
