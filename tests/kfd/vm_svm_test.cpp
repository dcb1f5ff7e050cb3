// SPDX-License-Identifier: MIT
// SVM ranges in GPU page tables with XNACK off: what a GPU may access is mapped where the pages are, and follows them.
#include <sys/mman.h>

#include "tests/kfd/vm_fixture.h"

namespace kfdlab {
namespace {

class VmSvm : public VmTest {
 protected:
  // All of the buffer in VRAM, and its blocks in one piece each. A page that somebody held for a moment comes to lie
  // elsewhere; then the pages go and come once more.
  void make_huge(const Buffer& buffer) const {
    ASSERT_EQ(set(buffer.address(), buffer.npages(), access()), 0);
    ASSERT_TRUE(eventually([&] {
      if (prefetch_to_vram(buffer)) {
        const auto translations = translate(buffer.address(), buffer.npages());
        if (std::all_of(translations.begin(), translations.end(),
                        [](const auto& at) { return valid(at) && at.level == 1; })) {
          return true;
        }
      }
      EXPECT_TRUE(prefetch_to_ram(buffer));
      return false;
    }));
  }
};

TEST_F(VmSvm, AccessMapsPagesWhereTheyAre) {
  Buffer buffer(700);
  fill_pattern(buffer.bytes(), 1);
  ASSERT_EQ(set(buffer.address(), 700, access()), 0);
  EXPECT_EQ(census(buffer), all_ram(700));
  EXPECT_TRUE(gpu_sees(buffer));
  for (const auto& at : translate(buffer.address(), 700)) {
    EXPECT_TRUE(writable(at));
    EXPECT_TRUE(at.entry & AMDGPU_PTE_SYSTEM);
  }
}

TEST_F(VmSvm, AccessFaultsUntouchedPagesIn) {
  Buffer buffer(64);
  ASSERT_EQ(set(buffer.address(), 64, in_place()), 0);
  EXPECT_EQ(census(buffer), all_ram(64)) << "the GPU cannot fault: all is there";
  EXPECT_TRUE(gpu_sees(buffer));
}

TEST_F(VmSvm, WithoutAccessNothingIsMapped) {
  Buffer buffer(16);
  fill_pattern(buffer.bytes(), 1);
  ASSERT_EQ(set_granularity(buffer.address(), 16, 5), 0);
  EXPECT_TRUE(gpu_sees_nothing(buffer.address(), 16));
  ASSERT_EQ(set(buffer.address(), 16, access()), 0);
  EXPECT_TRUE(gpu_sees(buffer));
  ASSERT_EQ(set(buffer.address(), 16, no_access()), 0);
  EXPECT_TRUE(gpu_sees_nothing(buffer.address(), 16)) << "access taken away";
}

TEST_F(VmSvm, MappingFollowsPagesToVramAndBack) {
  Buffer buffer(600);
  fill_pattern(buffer.bytes(), 3);
  ASSERT_EQ(set(buffer.address(), 600, access()), 0);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  ASSERT_EQ(census(buffer), all_vram(600));
  EXPECT_TRUE(gpu_sees(buffer));
  for (const auto& at : translate(buffer.address(), 600)) {
    EXPECT_FALSE(at.entry & AMDGPU_PTE_SYSTEM) << "own VRAM is an offset";
  }
  ASSERT_TRUE(prefetch_to_ram(buffer));
  ASSERT_EQ(census(buffer), all_ram(600));
  EXPECT_TRUE(gpu_sees(buffer));
  EXPECT_EQ(pattern_error(buffer.bytes(), 3), "");
}

TEST_F(VmSvm, TwoMegabytesOfVramAreOneEntry) {
  Buffer buffer(1024);
  fill_pattern(buffer.bytes(), 4);
  ASSERT_NO_FATAL_FAILURE(make_huge(buffer));
  EXPECT_TRUE(gpu_sees(buffer));
}

TEST_F(VmSvm, HoleInAHugeEntryLeavesTheRestMapped) {
  Buffer buffer(512);
  fill_pattern(buffer.bytes(), 5);
  ASSERT_NO_FATAL_FAILURE(make_huge(buffer));
  buffer.unmap(100, 10);
  EXPECT_TRUE(gpu_sees_nothing(buffer.page_address(100), 10)) << "gone when munmap() returns";
  EXPECT_TRUE(gpu_sees(buffer, 0, 100));
  EXPECT_TRUE(gpu_sees(buffer, 110, 402));
}

TEST_F(VmSvm, EvictionTakesTheMappingAlong) {
  Buffer buffer(512);
  fill_pattern(buffer.bytes(), 6);
  ASSERT_EQ(set(buffer.address(), 512, access()), 0);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  ASSERT_TRUE(device().evict(gpu()).ok());
  EXPECT_EQ(census(buffer), all_ram(512));
  EXPECT_TRUE(gpu_sees(buffer));
  EXPECT_EQ(pattern_error(buffer.bytes(), 6), "");
}

TEST_F(VmSvm, ReadOnlyMemoryIsMappedReadOnly) {
  Buffer buffer(8);
  fill_pattern(buffer.bytes(), 7);
  buffer.protect(0, 8, PROT_READ);
  ASSERT_EQ(set(buffer.address(), 8, access()), 0);
  EXPECT_TRUE(gpu_sees(buffer));
  for (const auto& at : translate(buffer.address(), 8)) {
    EXPECT_FALSE(writable(at));
  }
  buffer.protect(0, 8, PROT_READ | PROT_WRITE);
  buffer.data()[0] = std::byte{1};
}

TEST_F(VmSvm, MprotectTakesWritePermissionAway) {
  Buffer buffer(32);
  fill_pattern(buffer.bytes(), 8);
  ASSERT_EQ(set(buffer.address(), 32, access()), 0);
  ASSERT_TRUE(gpu_sees(buffer));
  buffer.protect(8, 8, PROT_READ);
  for (const auto& at : translate(buffer.page_address(8), 8)) {
    EXPECT_FALSE(writable(at)) << "at once";
  }
  EXPECT_TRUE(gpu_sees(buffer));
  for (const auto& at : translate(buffer.page_address(8), 8)) {
    EXPECT_FALSE(writable(at));
  }
  buffer.protect(8, 8, PROT_NONE);
  EXPECT_TRUE(gpu_sees_nothing(buffer.page_address(8), 8));
  buffer.protect(8, 8, PROT_READ | PROT_WRITE);
}

TEST_F(VmSvm, GpuReadOnlyFlagIsKept) {
  Buffer buffer(8);
  fill_pattern(buffer.bytes(), 9);
  SvmAttributes attributes = access();
  attributes.push_back({KFD_IOCTL_SVM_ATTR_SET_FLAGS, KFD_IOCTL_SVM_FLAG_GPU_RO});
  ASSERT_EQ(set(buffer.address(), 8, attributes), 0);
  EXPECT_FALSE(writable(translate(buffer.address(), 1)[0]));
  EXPECT_TRUE(gpu_sees(buffer));
  ASSERT_EQ(set(buffer.address(), 8,
                {{KFD_IOCTL_SVM_ATTR_CLR_FLAGS, KFD_IOCTL_SVM_FLAG_GPU_RO},
                 {KFD_IOCTL_SVM_ATTR_SET_FLAGS, KFD_IOCTL_SVM_FLAG_GPU_EXEC}}),
            0);
  EXPECT_TRUE(writable(translate(buffer.address(), 1)[0]));
  EXPECT_TRUE(translate(buffer.address(), 1)[0].entry & AMDGPU_PTE_EXECUTABLE);
}

TEST_F(VmSvm, CopyOnWriteAfterForkIsFollowed) {
  Buffer buffer(64);
  fill_pattern(buffer.bytes(), 10);
  ASSERT_EQ(set(buffer.address(), 64, access()), 0);
  ASSERT_TRUE(gpu_sees(buffer));
  const int status = in_child([&] {
    // The child's pages are not the GPU's: it writes its own copies.
    fill_pattern(buffer.bytes(), 11);
    return 0;
  });
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(gpu_sees(buffer));
  fill_pattern(buffer.bytes(), 12);
  EXPECT_TRUE(gpu_sees(buffer)) << "the pages that the parent's writes made";
  for (const auto& at : translate(buffer.address(), 64)) {
    EXPECT_TRUE(writable(at));
  }
}

TEST_F(VmSvm, SplitRangesStayMapped) {
  Buffer buffer(1024);
  fill_pattern(buffer.bytes(), 13);
  ASSERT_NO_FATAL_FAILURE(make_huge(buffer));
  ASSERT_EQ(set_granularity(buffer.page_address(300), 300, 3), 0);
  EXPECT_TRUE(gpu_sees(buffer)) << "three ranges now";
  ASSERT_TRUE(device().evict(gpu()).ok());
  EXPECT_TRUE(gpu_sees(buffer));
  buffer.unmap(290, 20);
  EXPECT_TRUE(gpu_sees_nothing(buffer.page_address(290), 20));
  EXPECT_TRUE(gpu_sees(buffer, 0, 290));
  EXPECT_TRUE(gpu_sees(buffer, 310, 714));
}

TEST_F(VmSvm, ReclaimedAndFreedPagesAreNotMapped) {
  Buffer buffer(32);
  fill_pattern(buffer.bytes(), 14);
  ASSERT_EQ(set(buffer.address(), 32, access()), 0);
  ASSERT_TRUE(gpu_sees(buffer));
  ASSERT_EQ(::madvise(buffer.data(), buffer.size(), MADV_DONTNEED), 0);
  // XNACK is off, so they are faulted in anew.
  EXPECT_TRUE(eventually([&] { return count_valid(translate(buffer.address(), 32)) == 32; }));
  EXPECT_TRUE(gpu_sees(buffer));
  EXPECT_EQ(zero_bytes(buffer.bytes()), buffer.size());
}

TEST_F(VmSvm, WithXnackNothingIsMappedBeforeAFault) {
  std::int32_t now = 0;
  ASSERT_EQ(kfd().set_xnack_mode(1, &now), 0);
  Buffer buffer(16);
  fill_pattern(buffer.bytes(), 15);
  ASSERT_EQ(set(buffer.address(), 16, access()), 0);
  EXPECT_TRUE(gpu_sees_nothing(buffer.address(), 16));
}

TEST_F(VmSvm, PageTablesAreGivenBack) {
  const auto before = counters().vram_held;
  {
    Buffer buffer(4096);
    ASSERT_EQ(set(buffer.address(), 4096, access()), 0);
    EXPECT_TRUE(gpu_sees(buffer));
  }
  close_kfd();
  EXPECT_LE(counters().vram_held, before);
}

}  // namespace
}  // namespace kfdlab
