// SPDX-License-Identifier: MIT
// The usage numbers of the render node follow what really happens to memory: SVM pages and buffers raise them,
// and they come back to where they were.
#include <cstring>

#include "tests/drm/kfd_buffers.h"
#include "tests/support/buffer.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

using MemoryUsage = KfdBuffersTest;

constexpr std::size_t kPages = 1024;
constexpr std::uint64_t kSeed = 0xd12;

TEST_F(MemoryUsage, VramRisesWithPrefetchedPagesAndFallsWithMunmap) {
  const std::uint64_t before = info_number(AMDGPU_INFO_VRAM_USAGE);
  {
    const Buffer buffer(kPages);
    fill_pattern(buffer.bytes(), kSeed);
    ASSERT_EQ(kfd().svm_prefetch(buffer.address(), buffer.size(), gpu().gpu_id), 0);
    EXPECT_GE(info_number(AMDGPU_INFO_VRAM_USAGE), before + buffer.size());
    EXPECT_GE(info_number(AMDGPU_INFO_VIS_VRAM_USAGE), before + buffer.size());
    EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
  }
  EXPECT_TRUE(eventually([&] { return info_number(AMDGPU_INFO_VRAM_USAGE) <= before; }))
      << info_number(AMDGPU_INFO_VRAM_USAGE) << " bytes instead of " << before;
}

TEST_F(MemoryUsage, PrefetchToRamGivesVramBack) {
  const std::uint64_t before = info_number(AMDGPU_INFO_VRAM_USAGE);
  const Buffer buffer(kPages);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_EQ(kfd().svm_prefetch(buffer.address(), buffer.size(), gpu().gpu_id), 0);
  ASSERT_GE(info_number(AMDGPU_INFO_VRAM_USAGE), before + buffer.size());
  ASSERT_EQ(kfd().svm_prefetch(buffer.address(), buffer.size(), kSvmSystem), 0);
  EXPECT_TRUE(eventually([&] { return info_number(AMDGPU_INFO_VRAM_USAGE) <= before; }));
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
}

TEST_F(MemoryUsage, HeapInfoCountsTheSameBytes) {
  const Buffer buffer(kPages);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_EQ(kfd().svm_prefetch(buffer.address(), buffer.size(), gpu().gpu_id), 0);
  drm_amdgpu_memory_info memory = {};
  ASSERT_EQ(info(AMDGPU_INFO_MEMORY, &memory, sizeof(memory)), 0);
  EXPECT_EQ(memory.vram.heap_usage, info_number(AMDGPU_INFO_VRAM_USAGE));
  EXPECT_LE(memory.vram.heap_usage, memory.vram.total_heap_size);
}

TEST_F(MemoryUsage, VramBuffersCount) {
  const std::uint64_t before = info_number(AMDGPU_INFO_VRAM_USAGE);
  const KfdAlloc buffer = allocate(KFD_IOC_ALLOC_MEM_FLAGS_VRAM, 8 << 20);
  ASSERT_NE(buffer.handle, 0u);
  EXPECT_GE(info_number(AMDGPU_INFO_VRAM_USAGE), before + buffer.size);
  release(buffer);
  EXPECT_TRUE(eventually([&] { return info_number(AMDGPU_INFO_VRAM_USAGE) <= before; }));
}

TEST_F(MemoryUsage, GttBuffersCount) {
  const std::uint64_t before = info_number(AMDGPU_INFO_GTT_USAGE);
  const KfdAlloc buffer = allocate(KFD_IOC_ALLOC_MEM_FLAGS_GTT, 8 << 20);
  ASSERT_NE(buffer.handle, 0u);
  EXPECT_GE(info_number(AMDGPU_INFO_GTT_USAGE), before + buffer.size);
  release(buffer);
  EXPECT_TRUE(eventually([&] { return info_number(AMDGPU_INFO_GTT_USAGE) <= before; }));
}

// More than VRAM holds: the prefetch succeeds, because its own earlier pages are evicted, and nothing is lost.
TEST_F(MemoryUsage, OvercommitEvictsAndKeepsContents) {
  const std::uint64_t before = info_number(AMDGPU_INFO_VRAM_USAGE);
  const std::uint64_t evictions = info_number(AMDGPU_INFO_NUM_EVICTIONS);
  const KfdAlloc filler = allocate(KFD_IOC_ALLOC_MEM_FLAGS_VRAM, (gpu().vram_bytes - before) / 16 * 15 >> 21 << 21);
  ASSERT_NE(filler.handle, 0u);
  const std::size_t pages = gpu().vram_bytes / 8 / kPageSize;
  {
    const Buffer first(pages);
    fill_pattern(first.bytes(), kSeed);
    EXPECT_EQ(kfd().svm_prefetch(first.address(), first.size(), gpu().gpu_id), 0);
    EXPECT_LE(info_number(AMDGPU_INFO_VRAM_USAGE), gpu().vram_bytes);
    EXPECT_GT(info_number(AMDGPU_INFO_NUM_EVICTIONS), evictions);
    EXPECT_EQ(pattern_error(first.bytes(), kSeed), "");
  }
  release(filler);
  EXPECT_TRUE(eventually([&] { return info_number(AMDGPU_INFO_VRAM_USAGE) <= before; }));
}

}  // namespace
}  // namespace kfdlab
