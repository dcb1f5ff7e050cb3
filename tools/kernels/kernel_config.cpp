// SPDX-License-Identifier: MIT
#include "tools/kernels/kernel_config.h"

#include <fmt/format.h>

namespace kfdlab {
namespace {

constexpr std::string_view kPrefix = "CONFIG_";
constexpr std::string_view kUnsetBegin = "# ";
constexpr std::string_view kUnsetEnd = " is not set";

void parse_line(std::string_view line, KernelConfig* config) {
  if (line.starts_with(kUnsetBegin) && line.ends_with(kUnsetEnd)) {
    line.remove_prefix(kUnsetBegin.size());
    line.remove_suffix(kUnsetEnd.size());
    if (line.starts_with(kPrefix)) {
      (*config)[std::string(line)] = std::string(1, 'n');  // GCC 12 warns about "n"
    }
    return;
  }
  const auto equals = line.find('=');
  if (line.starts_with(kPrefix) && equals != std::string_view::npos) {
    (*config)[std::string(line.substr(0, equals))] = std::string(line.substr(equals + 1));
  }
}

// kconfig writes no line at all for an option whose dependencies are not met.
const std::string& value_of(const KernelConfig& config, std::string_view option) {
  static const std::string kUnset = "n";
  const auto found = config.find(option);
  return found == config.end() ? kUnset : found->second;
}

}  // namespace

KernelConfig parse_kernel_config(std::string_view text) {
  KernelConfig config;
  while (!text.empty()) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) {
      line.remove_suffix(1);
    }
    parse_line(line, &config);
  }
  return config;
}

bool config_enabled(const KernelConfig& config, std::string_view option) {
  const std::string& value = value_of(config, option);
  return value == "y" || value == "m";
}

std::vector<std::string> dropped_options(const KernelConfig& wanted, const KernelConfig& config) {
  std::vector<std::string> dropped;
  for (const auto& [option, value] : wanted) {
    if (const std::string& is = value_of(config, option); is != value) {
      dropped.push_back(fmt::format("{}={} (is {})", option, value, is));
    }
  }
  return dropped;
}

std::vector<std::string> missing_features(const KernelConfig& wanted, const KernelConfig& config) {
  std::vector<std::string> missing;
  for (const auto& [option, value] : wanted) {
    if ((value == "y" || value == "m") && !config_enabled(config, option)) {
      missing.push_back(option);
    }
  }
  return missing;
}

}  // namespace kfdlab
