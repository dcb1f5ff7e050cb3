// SPDX-License-Identifier: MIT
#include "device/options.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <optional>

#include "hw/bar_layout.h"

namespace kfdlab::device {
namespace {

// The device listens to all kicks but RESET, which is the launcher's.
constexpr std::size_t kKickFds = KFDLAB_KICK_RESET;
constexpr std::size_t kIrqFds = KFDLAB_IRQ_COUNT;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0;;) {
    const std::size_t next = text.find(separator, at);
    parts.push_back(text.substr(at, next - at));
    if (next == std::string_view::npos) {
      return parts;
    }
    at = next + 1;
  }
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x")) {
    text.remove_prefix(2);
    base = 16;
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

std::optional<int> parse_fd(std::string_view text) {
  const std::optional<std::uint64_t> value = parse_number(text);
  if (!value || *value > static_cast<std::uint64_t>(std::numeric_limits<int>::max())) {
    return std::nullopt;
  }
  return static_cast<int>(*value);
}

std::optional<std::vector<int>> parse_fds(std::string_view text, std::size_t count) {
  std::vector<int> fds;
  for (const std::string_view part : split(text, ':')) {
    const std::optional<int> fd = parse_fd(part);
    if (!fd) {
      return std::nullopt;
    }
    fds.push_back(*fd);
  }
  return fds.size() == count ? std::optional(fds) : std::nullopt;
}

// False if the value is malformed or the key unknown.
bool set_gpu_field(GpuOption& gpu, std::string_view key, std::string_view value) {
  if (key == "index") {
    const std::optional<std::uint64_t> index = parse_number(value);
    gpu.index = static_cast<unsigned>(index.value_or(0));
    return index && *index < std::numeric_limits<unsigned>::max();
  }
  if (key == "bar") {
    gpu.bar_fd = parse_fd(value).value_or(-1);
    return gpu.bar_fd >= 0;
  }
  if (key == "kick") {
    gpu.kick_fds = parse_fds(value, kKickFds).value_or(std::vector<int>());
    return !gpu.kick_fds.empty();
  }
  if (key == "irq") {
    gpu.irq_fds = parse_fds(value, kIrqFds).value_or(std::vector<int>());
    return !gpu.irq_fds.empty();
  }
  return false;
}

}  // namespace

Result<std::vector<RamMapOption>> parse_ram_map(std::string_view text) {
  std::vector<RamMapOption> map;
  for (const std::string_view segment : split(text, ',')) {
    const std::vector<std::string_view> fields = split(segment, ':');
    std::optional<std::uint64_t> numbers[3];
    for (std::size_t i = 0; i < 3 && fields.size() == 3; ++i) {
      numbers[i] = parse_number(fields[i]);
    }
    if (!numbers[0] || !numbers[1] || !numbers[2]) {
      return Error{fmt::format("--ram-map: \"{}\" is not GPA:SIZE:FILEOFF", segment)};
    }
    map.push_back({.address = *numbers[0], .size = *numbers[1], .file_offset = *numbers[2]});
  }
  return map;
}

Result<GpuOption> parse_gpu(std::string_view text) {
  GpuOption gpu;
  bool has_index = false;
  for (const std::string_view field : split(text, ',')) {
    const std::size_t equals = field.find('=');
    if (equals == std::string_view::npos || !set_gpu_field(gpu, field.substr(0, equals), field.substr(equals + 1))) {
      return Error{fmt::format("--gpu: \"{}\" is not a field of index=N,bar=FD,kick=FD:FD:FD,irq=FD:FD:FD:FD", field)};
    }
    has_index = has_index || field.starts_with("index=");
  }
  if (!has_index || gpu.bar_fd < 0 || gpu.kick_fds.empty() || gpu.irq_fds.empty()) {
    return Error{fmt::format("--gpu: \"{}\" must have all of index, bar, kick and irq", text)};
  }
  return gpu;
}

}  // namespace kfdlab::device
