// SPDX-License-Identifier: MIT
// The usage numbers of the render node follow what really happens to memory: SVM pages and buffers raise them,
// and they come back to where they were.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

#include "tests/drm/kfd_buffers.h"
#include "tests/support/buffer.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

constexpr std::size_t kPages = 1024;
constexpr std::uint64_t kSeed = 0xd12;
// VRAM that the overcommit test leaves for SVM.
constexpr std::uint64_t kRoom = 16 << 20;
constexpr std::uint64_t kBufferSize = 8 << 20;
// Steps to the limit of a heap.
constexpr std::uint64_t kStep = 64 << 20;

class MemoryUsage : public KfdBuffersTest {
 protected:
  // Buffers of kStep until one is refused, which has to be with ENOMEM, but no more than `heap` bytes and one step.
  [[nodiscard]] std::vector<KfdAlloc> allocate_all(std::uint32_t type, std::uint64_t heap) const {
    std::vector<KfdAlloc> buffers;
    while (buffers.size() * kStep <= heap) {
      errno = 0;
      const KfdAlloc buffer = allocate(type, kStep);
      if (buffer.handle == 0) {
        EXPECT_EQ(errno, ENOMEM);
        ::munmap(reinterpret_cast<void*>(buffer.va), buffer.size);
        break;
      }
      buffers.push_back(buffer);
    }
    return buffers;
  }

  // In a process that is going to be killed: own files, SVM pages, buffers with mappings. Says 'y' on `writer` when it
  // has them, else 'n'.
  [[noreturn]] void use_memory_and_wait(int writer) const {
    const Fd render = open_node();
    const Result<KfdClient> kfd = KfdClient::open();
    const Buffer pages(kPages);
    bool all = kfd.ok() && kfd.value().acquire_vm(gpu().gpu_id, render.get()) == 0;
    fill_pattern(pages.bytes(), kSeed);
    all = all && kfd.value().svm_prefetch(pages.address(), pages.size(), gpu().gpu_id) == 0;
    for (const std::uint32_t type : {KFD_IOC_ALLOC_MEM_FLAGS_VRAM, KFD_IOC_ALLOC_MEM_FLAGS_GTT}) {
      const KfdAlloc buffer = all ? allocate(kfd.value(), type, kBufferSize) : KfdAlloc();
      void* start = buffer.handle != 0 ? map(buffer, render.get()) : MAP_FAILED;
      all = start != MAP_FAILED;
      if (all) {
        std::memset(start, 1, kBufferSize);
      }
    }
    const char verdict = all ? 'y' : 'n';
    (void)!::write(writer, &verdict, 1);
    for (;;) {
      ::pause();
    }
  }
};

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
  const KfdAlloc buffer = allocate(KFD_IOC_ALLOC_MEM_FLAGS_VRAM, kBufferSize);
  ASSERT_NE(buffer.handle, 0u);
  EXPECT_GE(info_number(AMDGPU_INFO_VRAM_USAGE), before + buffer.size);
  release(buffer);
  EXPECT_TRUE(eventually([&] { return info_number(AMDGPU_INFO_VRAM_USAGE) <= before; }));
}

TEST_F(MemoryUsage, GttBuffersCount) {
  const std::uint64_t before = info_number(AMDGPU_INFO_GTT_USAGE);
  const KfdAlloc buffer = allocate(KFD_IOC_ALLOC_MEM_FLAGS_GTT, kBufferSize);
  ASSERT_NE(buffer.handle, 0u);
  EXPECT_GE(info_number(AMDGPU_INFO_GTT_USAGE), before + buffer.size);
  release(buffer);
  EXPECT_TRUE(eventually([&] { return info_number(AMDGPU_INFO_GTT_USAGE) <= before; }));
}

// More than VRAM holds: the prefetch succeeds, because its own earlier pages are evicted, and nothing is lost.
TEST_F(MemoryUsage, OvercommitEvictsAndKeepsContents) {
  const std::uint64_t before = info_number(AMDGPU_INFO_VRAM_USAGE);
  const std::uint64_t evictions = info_number(AMDGPU_INFO_NUM_EVICTIONS);
  const KfdAlloc filler = allocate(KFD_IOC_ALLOC_MEM_FLAGS_VRAM, gpu().vram_bytes - before - kRoom);
  ASSERT_NE(filler.handle, 0u);
  {
    const Buffer first(2 * kRoom / kPageSize);
    fill_pattern(first.bytes(), kSeed);
    EXPECT_EQ(kfd().svm_prefetch(first.address(), first.size(), gpu().gpu_id), 0);
    EXPECT_LE(info_number(AMDGPU_INFO_VRAM_USAGE), gpu().vram_bytes);
    EXPECT_GT(info_number(AMDGPU_INFO_NUM_EVICTIONS), evictions);
    EXPECT_EQ(pattern_error(first.bytes(), kSeed), "");
  }
  release(filler);
  EXPECT_TRUE(eventually([&] { return info_number(AMDGPU_INFO_VRAM_USAGE) <= before; }));
}

// VRAM buffers are never more than VRAM, and nothing of them goes to RAM to make room for another. What is freed can be
// had again at once.
TEST_F(MemoryUsage, BuffersBeyondVramAreRefused) {
  const std::uint64_t evictions = info_number(AMDGPU_INFO_NUM_EVICTIONS);
  for (int round = 0; round < 2; ++round) {
    const std::vector<KfdAlloc> buffers = allocate_all(KFD_IOC_ALLOC_MEM_FLAGS_VRAM, gpu().vram_bytes);
    EXPECT_FALSE(buffers.empty());
    EXPECT_LE(buffers.size() * kStep, gpu().vram_bytes);
    for (const KfdAlloc& buffer : buffers) {
      release(buffer);
    }
  }
  EXPECT_EQ(info_number(AMDGPU_INFO_NUM_EVICTIONS), evictions);
}

// A VRAM buffer takes the place of SVM pages, which go to RAM with their contents.
TEST_F(MemoryUsage, BufferEvictsSvmPages) {
  const std::uint64_t tables = info_number(AMDGPU_INFO_VRAM_USAGE);  // which stay
  const Buffer pages(kPages);
  fill_pattern(pages.bytes(), kSeed);
  ASSERT_EQ(kfd().svm_prefetch(pages.address(), pages.size(), gpu().gpu_id), 0);
  const std::uint64_t evictions = info_number(AMDGPU_INFO_NUM_EVICTIONS);
  const KfdAlloc all = allocate(KFD_IOC_ALLOC_MEM_FLAGS_VRAM, gpu().vram_bytes - tables);
  ASSERT_NE(all.handle, 0u);
  EXPECT_GT(info_number(AMDGPU_INFO_NUM_EVICTIONS), evictions);
  EXPECT_EQ(pattern_error(pages.bytes(), kSeed), "");
  release(all);
}

// GTT is RAM, of which user space cannot have more than the size of that heap.
TEST_F(MemoryUsage, BuffersBeyondGttAreRefused) {
  drm_amdgpu_info_vram_gtt heaps = {};
  ASSERT_EQ(info(AMDGPU_INFO_VRAM_GTT, &heaps, sizeof(heaps)), 0);
  const std::uint64_t before = info_number(AMDGPU_INFO_GTT_USAGE);
  const std::vector<KfdAlloc> buffers = allocate_all(KFD_IOC_ALLOC_MEM_FLAGS_GTT, heaps.gtt_size);
  EXPECT_FALSE(buffers.empty());
  EXPECT_LE(buffers.size() * kStep, heaps.gtt_size);
  // None of them was moved out of the heap to make room.
  EXPECT_GE(info_number(AMDGPU_INFO_GTT_USAGE), before + buffers.size() * kStep);
  for (const KfdAlloc& buffer : buffers) {
    release(buffer);
  }
  EXPECT_TRUE(eventually([&] { return info_number(AMDGPU_INFO_GTT_USAGE) <= before; }));
}

// SIGKILL with pages in VRAM, a VRAM buffer and a mapping of it: everything comes back.
TEST_F(MemoryUsage, KilledProcessLeavesNothing) {
  const std::uint64_t before = info_number(AMDGPU_INFO_VRAM_USAGE);
  const std::uint64_t gtt_before = info_number(AMDGPU_INFO_GTT_USAGE);
  std::array<int, 2> ends = {-1, -1};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    use_memory_and_wait(writer.get());
  }
  writer.reset();
  char verdict = 0;
  EXPECT_EQ(::read(reader.get(), &verdict, 1), 1);
  EXPECT_EQ(verdict, 'y');
  EXPECT_GE(info_number(AMDGPU_INFO_VRAM_USAGE), before + kPages * kPageSize + kBufferSize);
  EXPECT_GE(info_number(AMDGPU_INFO_GTT_USAGE), gtt_before + kBufferSize);
  EXPECT_EQ(::kill(child, SIGKILL), 0);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(eventually([&] { return info_number(AMDGPU_INFO_VRAM_USAGE) <= before; }));
  EXPECT_TRUE(eventually([&] { return info_number(AMDGPU_INFO_GTT_USAGE) <= gtt_before; }));
}

}  // namespace
}  // namespace kfdlab
