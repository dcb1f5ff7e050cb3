// SPDX-License-Identifier: MIT
#include "tools/judge/checkers.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

namespace kfdlab::judge {

bool says_checker_gave_up(std::string_view text) {
  static constexpr std::array<std::string_view, 4> kTexts = {
      "turning off the locking correctness validator",
      "Kernel memory leak detector disabled",
      "ODEBUG disabled",
      "Stack depot reached limit capacity",
  };
  return std::any_of(kTexts.begin(), kTexts.end(),
                     [&](std::string_view known) { return text.find(known) != std::string_view::npos; });
}

bool lockdep_is_on(std::string_view lockdep_stats) {
  constexpr std::string_view kKey = "debug_locks:";
  const auto at = lockdep_stats.find(kKey);
  if (at == std::string_view::npos) {
    return true;
  }
  const auto value = lockdep_stats.find_first_not_of(" \t", at + kKey.size());
  return value == std::string_view::npos || lockdep_stats[value] != '0';
}

bool lockdep_is_on_here() {
  std::ifstream file("/proc/lockdep_stats");
  return lockdep_is_on(std::string(std::istreambuf_iterator<char>(file), {}));
}

std::string checkers_trouble(const std::string& gave_up, bool lockdep_on, unsigned reports) {
  if (!gave_up.empty()) {
    return "a checker of the kernel gave up, so what ran after that proves nothing: " + gave_up;
  }
  if (!lockdep_on && reports == 0) {
    return "lockdep is off and no report says why, so nothing is known about locking";
  }
  return "";
}

}  // namespace kfdlab::judge
