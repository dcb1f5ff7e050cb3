// SPDX-License-Identifier: MIT
// fork() of a process that uses HIP. The child uses none of it; it owns its copy of the memory, and the parent's kernels
// go on as before.
#include "tests/hip/hip_fixture.h"
#include "tests/support/child.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kSeed = 0xf0;

class HipFork : public HipTest {
 protected:
  hipError_t reseed(const HipMemory& memory, std::uint64_t from) const {
    return launch_reseed(memory.data(), memory.words(), memory.address(), from, from + 1, wrong(), nullptr);
  }
};

TEST_F(HipFork, KernelsGoOnBesideAChildThatExits) {
  const HipMemory memory = HipMemory::managed(64 * kPage);
  const HipMemory vram = HipMemory::vram(64 * kPage);
  fill_pattern(memory.bytes(), kSeed);
  HIP_OK(prefetch(memory, kGpu));
  HIP_OK(launch_fill(vram.data(), vram.words(), vram.address(), kSeed, nullptr));
  for (std::uint64_t turn = 0; turn < 3; ++turn) {
    Child child([](Peer&) { return 7; });
    HIP_OK(reseed(memory, kSeed + turn));
    EXPECT_EQ(child.wait(), 7);
    EXPECT_EQ(kernel_errors(), "");
  }
  HIP_OK(launch_check(vram.data(), vram.words(), vram.address(), kSeed, wrong(), nullptr));
  EXPECT_EQ(kernel_errors(), "");
  EXPECT_EQ(pattern_error(memory.bytes(), kSeed + 3), "");
}

TEST_F(HipFork, AKernelsWritesAreNotTheChilds) {
  for (const int place : {hipCpuDeviceId, kGpu}) {
    SCOPED_TRACE(place);
    const HipMemory memory = HipMemory::managed(64 * kPage);
    fill_pattern(memory.bytes(), kSeed);
    HIP_OK(prefetch(memory, place));
    HIP_OK(reseed(memory, kSeed));
    EXPECT_EQ(kernel_errors(), "");
    Child child([&](Peer& parent) {
      if (!parent.await()) {
        return 2;
      }
      return find_mismatch(memory.bytes(), kSeed + 1) ? 1 : 0;
    });
    HIP_OK(reseed(memory, kSeed + 1));
    EXPECT_EQ(kernel_errors(), "");
    EXPECT_TRUE(child.peer().signal());
    EXPECT_EQ(child.wait(), 0) << "the child sees its memory as it was when it was forked";
    EXPECT_EQ(pattern_error(memory.bytes(), kSeed + 2), "");
  }
}

}  // namespace
}  // namespace kfdlab
