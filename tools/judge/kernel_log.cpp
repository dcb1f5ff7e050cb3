// SPDX-License-Identifier: MIT
#include "tools/judge/kernel_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "tests/support/events.h"
#include "tools/judge/checkers.h"

namespace kfdlab::judge {
namespace {

constexpr int kWarningLevel = 4;
constexpr std::string_view kSplatStart = "[ cut here ]";
constexpr std::string_view kSplatEnd = "[ end trace";

// Texts the kernel prints for defects (lib/dump_stack, kernel/panic, kernel/rcu, kernel/hung_task, kernel/locking,
// mm/, lib/). Several of them are printed below warning level on some paths.
constexpr std::array<std::string_view, 47> kDefects = {
    "WARNING: ",
    "BUG: ",
    "kernel BUG at",
    "Oops: ",
    "Oops[",
    "Kernel panic",
    "general protection fault",
    "Unable to handle kernel",
    "stack segment:",
    "double fault:",
    "invalid opcode:",
    "Call Trace:",
    kSplatStart,
    "rcu: INFO:",
    "self-detected stall",
    "detected stalls on",
    "blocked for more than",
    "soft lockup",
    "hard LOCKUP",
    "possible circular locking",
    "possible recursive locking",
    "possible irq lock inversion",
    "inconsistent lock state",
    "suspicious RCU usage",
    "bad unlock balance",
    "held lock freed",
    "KASAN: ",
    "UBSAN: ",
    "KFENCE: ",
    "refcount_t: ",
    "list_add corruption",
    "list_del corruption",
    "Bad page state",
    "Bad rss-counter state",
    "INFO: possible ",
    "INFO: trying to register non-static key",
    "turning off the locking correctness validator",
    "lockdep is turned off",
    "DEBUG_LOCKS_WARN_ON",
    "ODEBUG: ",
    "workqueue lockup",
    "page dumped because",
    "BUG kmalloc-",
    "Poison overwritten",
    "Redzone overwritten",
    "pagealloc: ",
    "Memory leak detector disabled",
};

bool is_rule(std::string_view text, char mark) {
  return text.size() > 8 && text.find_first_not_of(mark) == std::string_view::npos;
}

bool is_suspect(const KernelLine& line) { return line.level <= kWarningLevel || reports_defect(line.text); }

// One report: a single line, everything between "cut here" and "end trace", or from a line of "=====" to the next one
// or to the first harmless line: so KASAN and lockdep report.
struct Entry {
  std::string headline;
  std::vector<const KernelLine*> lines;
};

std::vector<Entry> group_entries(const std::vector<KernelLine>& lines) {
  std::vector<Entry> entries;
  bool in_splat = false;
  bool in_report = false;
  for (const KernelLine& line : lines) {
    if (in_report && is_suspect(line)) {
      Entry& entry = entries.back();
      if (entry.lines.size() == 1) {
        entry.headline = line.text;
      }
      entry.lines.push_back(&line);
      in_report = !is_rule(line.text, '=');
      continue;
    }
    in_report = false;
    const bool starts = line.text.find(kSplatStart) != std::string::npos;
    if (in_splat && !starts) {
      Entry& entry = entries.back();
      if (entry.lines.size() == 1) {
        entry.headline = line.text;  // the line behind "cut here" says what happened
      }
      entry.lines.push_back(&line);
      in_splat = line.text.find(kSplatEnd) == std::string::npos;
      continue;
    }
    if (!is_suspect(line)) {
      continue;
    }
    entries.push_back(Entry{line.text, {&line}});
    in_splat = starts;
    in_report = is_rule(line.text, '=');
  }
  return entries;
}

bool matches(const Entry& entry, const std::regex& regex) {
  return std::any_of(entry.lines.begin(), entry.lines.end(),
                     [&](const KernelLine* line) { return std::regex_search(line->text, regex); });
}

struct Expected {
  const Declaration* declaration;
  std::regex regex;
  unsigned came = 0;
};

// True: the entry is accounted for.
bool consume(const Entry& entry, std::vector<Expected>* expected) {
  for (Expected& one : *expected) {
    if ((one.declaration->count == 0 || one.came < one.declaration->count) && matches(entry, one.regex)) {
      ++one.came;
      return true;
    }
  }
  return false;
}

}  // namespace

bool reports_defect(std::string_view text) {
  return std::any_of(kDefects.begin(), kDefects.end(),
                     [&](std::string_view defect) { return text.find(defect) != std::string_view::npos; });
}

bool is_from_our_modules(std::string_view text) {
  return text.starts_with("kfdlab_ttm: ") || text.starts_with("kfdlab_amdgpu: ") || text.starts_with("kfdlab_gup: ");
}

bool is_taint_line(std::string_view text) {
  return is_from_our_modules(text) &&
         (text.find(": loading out-of-tree module taints kernel") != std::string_view::npos ||
          text.find(": module verification failed: ") != std::string_view::npos);
}

Result<std::regex> compile_pattern(const std::string& pattern) {
  // std::regex has no way to report a bad pattern but to throw.
  try {
    return std::regex(pattern);
  } catch (const std::regex_error& error) {
    return Error{"bad pattern '" + pattern + "': " + error.what()};
  }
}

LogVerdict judge_window(const std::vector<KernelLine>& lines, const std::vector<Declaration>& declared,
                        const std::vector<AllowedLine>& allowed) {
  LogVerdict verdict;
  std::vector<Expected> expected;
  for (const Declaration& declaration : declared) {
    auto regex = compile_pattern(declaration.pattern);
    if (!regex) {
      verdict.missing.push_back(regex.error().message);
      continue;
    }
    expected.push_back(Expected{&declaration, regex.take()});
  }
  for (const Entry& entry : group_entries(lines)) {
    const bool harmless = is_taint_line(entry.headline) ||
                          std::any_of(allowed.begin(), allowed.end(),
                                      [&](const auto& a) { return std::regex_search(entry.headline, a.regex); });
    if (!harmless && !consume(entry, &expected)) {
      verdict.unexpected.push_back(entry.headline);
    }
  }
  for (const Expected& one : expected) {
    if (one.came < one.declaration->count) {
      verdict.missing.push_back(fmt::format("declared kernel line '{}' came {} of {} times", one.declaration->pattern,
                                            one.came, one.declaration->count));
    }
  }
  return verdict;
}

std::string format_lines(const std::vector<KernelLine>& lines) {
  std::string text;
  for (const KernelLine& line : lines) {
    text += fmt::format("[{:5}.{:06}] {}\n", line.microseconds / 1000000, line.microseconds % 1000000, line.text);
  }
  return text;
}

void LogWindows::add_to_current(KernelLine line) {
  if (windows_.empty() || windows_.back().test != current_) {
    windows_.push_back(Window{current_, {}});
  }
  windows_.back().lines.push_back(std::move(line));
}

void LogWindows::feed(std::vector<KernelLine> lines) {
  for (const KernelLine& line : lines) {
    if (gave_up_.empty() && says_checker_gave_up(line.text)) {
      gave_up_ = line.text;
    }
  }
  const std::string begin = std::string(events::kMarkPrefix) + events::kMarkBegin;
  const std::string end = std::string(events::kMarkPrefix) + events::kMarkEnd;
  for (KernelLine& line : lines) {
    if (line.text.starts_with(begin)) {
      mark_seen_ = true;
      current_ = line.text.substr(begin.size());
      windows_.push_back(Window{current_, {}});
      continue;
    }
    if (line.text.starts_with(end)) {
      continue;  // lines between two tests belong to the first of them
    }
    if (mark_seen_) {
      add_to_current(std::move(line));
      continue;
    }
    ours_seen_ = ours_seen_ || is_from_our_modules(line.text);
    if (ours_seen_) {
      loading_.push_back(std::move(line));
    } else if (booting_) {
      baseline_.push_back(std::move(line));
    } else {
      add_to_current(std::move(line));
    }
  }
}

std::vector<KernelLine> LogWindows::take_window(const std::string& test) {
  std::vector<KernelLine> lines;
  for (Window& window : windows_) {
    if (window.test == test) {
      std::move(window.lines.begin(), window.lines.end(), std::back_inserter(lines));
      window.lines.clear();
    }
  }
  std::erase_if(windows_, [](const Window& window) { return window.lines.empty(); });
  return lines;
}

std::vector<KernelLine> LogWindows::take_rest() {
  std::vector<KernelLine> lines;
  for (Window& window : windows_) {
    std::move(window.lines.begin(), window.lines.end(), std::back_inserter(lines));
  }
  windows_.clear();
  return lines;
}

}  // namespace kfdlab::judge
