// SPDX-License-Identifier: MIT
#include "tools/vm/ram_map.h"

#include <gtest/gtest.h>

namespace kfdlab {
namespace {

constexpr std::uint64_t kGiB = 1ull << 30;

TEST(RamMap, OneRangeWhileRamFitsBelowTheHole) {
  EXPECT_EQ(ram_map(kGiB), (std::vector<RamRange>{{0, kGiB, 0}}));
  EXPECT_EQ(ram_map(2 * kGiB), (std::vector<RamRange>{{0, 2 * kGiB, 0}}));
}

TEST(RamMap, TheRestGoesAbove4GiB) {
  EXPECT_EQ(ram_map(3 * kGiB), (std::vector<RamRange>{{0, 2 * kGiB, 0}, {4 * kGiB, kGiB, 2 * kGiB}}));
  EXPECT_EQ(ram_map(6 * kGiB), (std::vector<RamRange>{{0, 2 * kGiB, 0}, {4 * kGiB, 4 * kGiB, 2 * kGiB}}));
}

TEST(RamMap, CoversTheFileOnceWithoutGapsOrOverlaps) {
  for (std::uint64_t size = 512ull << 20; size <= 9 * kGiB; size += 254ull << 20) {
    std::uint64_t offset = 0;
    std::uint64_t address = 0;
    for (const RamRange& range : ram_map(size)) {
      EXPECT_EQ(range.file_offset, offset);
      EXPECT_GE(range.guest_address, address);
      offset += range.size;
      address = range.guest_address + range.size;
    }
    EXPECT_EQ(offset, size);
  }
}

TEST(RamMap, IsWrittenAsAddressSizeOffset) {
  EXPECT_EQ(format_ram_map(ram_map(3 * kGiB)), "0x0:0x80000000:0x0,0x100000000:0x40000000:0x80000000");
}

}  // namespace
}  // namespace kfdlab
