// SPDX-License-Identifier: MIT
// Managed memory: who touches a page first, who asks for it and who has it.
#include "tests/hip/hip_fixture.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kSeed = 0x4d;

class HipManaged : public HipTest {};

TEST_F(HipManaged, PrefetchMovesPagesToVram) {
  const HipMemory memory = HipMemory::managed(kMiB);
  fill_pattern(memory.bytes(), kSeed);
  EXPECT_EQ(census(memory), all_ram(256));
  const auto before = counters();
  HIP_OK(prefetch(memory, kGpu));
  EXPECT_EQ(census(memory), all_vram(256));
  EXPECT_EQ(counters().pages_to_vram - before.pages_to_vram, 256u);
  EXPECT_EQ(pattern_error(memory.bytes(), kSeed), "") << "the CPU reads VRAM where it is";
  EXPECT_EQ(census(memory), all_vram(256));
  HIP_OK(launch_reseed(memory.data(), memory.words(), memory.address(), kSeed, kSeed + 1, wrong(), nullptr));
  EXPECT_EQ(kernel_errors(), "");
  EXPECT_EQ(census(memory), all_vram(256));
  EXPECT_EQ(pattern_error(memory.bytes(), kSeed + 1), "");
}

}  // namespace
}  // namespace kfdlab
