// SPDX-License-Identifier: MIT
// Where the guest's RAM file appears in guest-physical memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kfdlab {

struct RamRange {
  std::uint64_t guest_address;
  std::uint64_t size;
  std::uint64_t file_offset;
  bool operator==(const RamRange&) const = default;
};

// RAM below 4 GiB ends here on every machine type, since we pass max-ram-below-4g; QEMU's defaults differ
// between pc and q35 and change with the amount of RAM. The rest begins at 4 GiB.
inline constexpr std::uint64_t kRamBelow4G = 2ull << 30;

// The ranges of a RAM file of `size` bytes, lowest first.
[[nodiscard]] std::vector<RamRange> ram_map(std::uint64_t size);
// As kfdlab-gpu wants it: GPA:SIZE:OFFSET[,...], hexadecimal with 0x.
[[nodiscard]] std::string format_ram_map(const std::vector<RamRange>& map);

}  // namespace kfdlab
