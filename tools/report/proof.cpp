// SPDX-License-Identifier: MIT
#include "tools/report/proof.h"

#include <fmt/format.h>

#include <cstdint>
#include <vector>

namespace kfdlab::report {
namespace {

using judge::RunResult;
using judge::TestResult;
using judge::Verdict;

// "A", "A and B", "A, B and C"
std::string enumerate(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const char* separator = i == 0 ? "" : i + 1 == words.size() ? " and " : ", ";
    text += separator + words[i];
  }
  return text;
}

bool ran_in_vm(const RunResult& run) { return run.accel == "tcg" || run.accel == "kvm"; }

bool is_unit_run(const RunResult& run) { return run.kernel == "host"; }

std::vector<std::string> releases(const judge::Report& report) {
  std::vector<std::string> names;
  for (const RunResult& run : report.runs) {
    if (!is_unit_run(run)) {
      names.push_back(run.release.empty() ? run.kernel : run.release);
    }
  }
  return names;
}

struct Pages {
  std::uint64_t pinned = 0;
  std::uint64_t left = 0;
};

Pages count_pages(const judge::Report& report) {
  Pages pages;
  for (const RunResult& run : report.runs) {
    for (const TestResult& test : run.tests) {
      if (test.verdict == Verdict::Pass) {
        pages.pinned += static_cast<std::uint64_t>(judge::json_number(test.counters, kPinnedPages));
        pages.left += static_cast<std::uint64_t>(judge::json_number(test.counters, kLeftPages));
      }
    }
  }
  return pages;
}

std::string on_kernels(const judge::Report& report) {
  const std::string names = enumerate(releases(report));
  return names.empty() ? "" : ", on " + names;
}

std::string pass_sentence(const judge::Report& report) {
  const Pages pages = count_pages(report);
  if (pages.pinned > 0) {
    return fmt::format("PASS: {} of {} pages left VRAM before pin_user_pages_fast(FOLL_LONGTERM) held them{}.",
                       pages.left, pages.pinned, on_kernels(report));
  }
  const char* unproven = releases(report).empty() ? "" : "; none of them was a long-term pin of VRAM pages";
  return fmt::format("PASS: all {} tests that ran passed{}{}.", judge::count(report).pass, on_kernels(report),
                     unproven);
}

std::string fail_sentence(const judge::Report& report) {
  std::string first;
  for (const RunResult& run : report.runs) {
    for (const TestResult& test : run.tests) {
      if (first.empty() && test.verdict == Verdict::Fail) {
        first = fmt::format("{} ({})", test.name, run.release.empty() ? run.kernel : run.release);
      }
    }
  }
  const judge::Counts counts = judge::count(report);
  return counts.fail == 1 ? fmt::format("FAIL: {} failed.", first)
                          : fmt::format("FAIL: {} tests failed, first {}.", counts.fail, first);
}

std::string error_sentence(const judge::Report& report) {
  for (const RunResult& run : report.runs) {
    if (!run.harness_error.empty()) {
      return fmt::format("ERROR: {}: {}", run.release.empty() ? run.kernel : run.release,
                         run.harness_error.substr(0, run.harness_error.find('\n')));
    }
  }
  return "ERROR: nothing ran.";
}

}  // namespace

std::string verdict_sentence(const judge::Report& report) {
  switch (judge::exit_status(report)) {
    case judge::kExitPass:
      return pass_sentence(report);
    case judge::kExitFail:
      return fail_sentence(report);
    default:
      return error_sentence(report);
  }
}

std::string scope_sentence(const judge::Report& report) {
  for (const RunResult& run : report.runs) {
    if (ran_in_vm(run)) {
      return "Judged: the kernels' mm and TTM under kfdlab's own driver, not their amdkfd.";
    }
  }
  return "";
}

std::string counts_line(const judge::Report& report) {
  const judge::Counts counts = judge::count(report);
  return fmt::format("{} passed, {} failed, {} skipped", counts.pass, counts.fail, counts.skip + counts.known);
}

}  // namespace kfdlab::report
