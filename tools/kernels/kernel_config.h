// SPDX-License-Identifier: MIT
// Kernel configurations as kconfig writes and reads them: what is wanted, what came out.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kfdlab {

// CONFIG_NAME to its value as written ("y", "m", "17", "\"text\""); "n" for "# CONFIG_NAME is not set". The last line
// about an option counts.
using KernelConfig = std::map<std::string, std::string, std::less<>>;

[[nodiscard]] KernelConfig parse_kernel_config(std::string_view text);

// y or m.
[[nodiscard]] bool config_enabled(const KernelConfig& config, std::string_view option);

// Options of `wanted` that `config` has otherwise, as "CONFIG_X=y (is n)", sorted. kconfig drops an option silently
// when something it depends on is missing.
[[nodiscard]] std::vector<std::string> dropped_options(const KernelConfig& wanted, const KernelConfig& config);

// Names of options wanted as y or m that are neither in `config`.
[[nodiscard]] std::vector<std::string> missing_features(const KernelConfig& wanted, const KernelConfig& config);

}  // namespace kfdlab
