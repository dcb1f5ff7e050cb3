// SPDX-License-Identifier: MIT
// The console as the host sees it: the only witness when the guest can no longer speak.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kfdlab::judge {

// Lines that report a kernel defect, in order, without time stamps, escape sequences and carriage returns.
[[nodiscard]] std::vector<std::string> find_defects(std::string_view console);

// Of those, the ones after which the guest cannot be expected to go on (panic, Oops, BUG, stall).
[[nodiscard]] bool is_fatal(std::string_view line);

// The last `count` lines, cleaned in the same way: what to show when a guest died silently.
[[nodiscard]] std::string console_tail(std::string_view console, std::size_t count);

}  // namespace kfdlab::judge
