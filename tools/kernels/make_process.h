// SPDX-License-Identifier: MIT
// A make that runs for minutes: its output as it comes, and an end to all of it on Ctrl-C.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace kfdlab {

// Runs it to its end, with both outputs in `log` (replaced) and each line also to `on_line`. The exit status; an Error
// when it cannot start or was interrupted, and then no process of it is left.
[[nodiscard]] Result<int> run_make(const std::vector<std::string>& argv, const std::filesystem::path& log,
                                   const std::function<void(std::string_view line)>& on_line);

}  // namespace kfdlab
