// SPDX-License-Identifier: MIT
#include "tools/vm/ram_map.h"

#include <fmt/format.h>

namespace kfdlab {

std::vector<RamRange> ram_map(std::uint64_t size) {
  if (size <= kRamBelow4G) {
    return {{0, size, 0}};
  }
  return {{0, kRamBelow4G, 0}, {4ull << 30, size - kRamBelow4G, kRamBelow4G}};
}

std::string format_ram_map(const std::vector<RamRange>& map) {
  std::string text;
  for (const RamRange& range : map) {
    text +=
        fmt::format("{}{:#x}:{:#x}:{:#x}", text.empty() ? "" : ",", range.guest_address, range.size, range.file_offset);
  }
  return text;
}

}  // namespace kfdlab
