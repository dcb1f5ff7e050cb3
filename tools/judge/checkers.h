// SPDX-License-Identifier: MIT
// The checkers of a debug kernel can stop checking: lockdep after its first report or when its tables are full, others
// without memory. What ran after that proves nothing, and the run must say so.
#pragma once

#include <string>
#include <string_view>

namespace kfdlab::judge {

// A kernel log line by which a checker says that it gives up, other than because of a defect it reported.
[[nodiscard]] bool says_checker_gave_up(std::string_view text);

// The value of "debug_locks:" in /proc/lockdep_stats, given its text: false only if it is there and 0.
[[nodiscard]] bool lockdep_is_on(std::string_view lockdep_stats);

// The same of this machine; true where there is no lockdep.
[[nodiscard]] bool lockdep_is_on_here();

// Why the run's verdict cannot be trusted, or nothing. gave_up: the first line of that kind, if any came; reports: how
// many unexpected reports were blamed on tests.
[[nodiscard]] std::string checkers_trouble(const std::string& gave_up, bool lockdep_on, unsigned reports);

}  // namespace kfdlab::judge
