// SPDX-License-Identifier: MIT
// Buffers in GPU page tables: MAP and UNMAP, and what happens when TTM or the process moves their memory.
#include <sys/mman.h>

#include <fstream>

#include "tests/kfd/vm_fixture.h"

namespace kfdlab {
namespace {

class VmBuffer : public VmTest {
 protected:
  struct Allocated {
    KfdAlloc alloc;
    int error = -1;
  };

  [[nodiscard]] Allocated allocate(std::uint32_t flags, std::uint64_t va, std::size_t size,
                                   std::uint64_t user = 0) const {
    Allocated made;
    made.alloc.va = va;
    made.alloc.size = size;
    made.alloc.gpu_id = gpu();
    made.alloc.flags = flags;
    made.alloc.mmap_offset = user;
    made.error = kfd().alloc(&made.alloc);
    return made;
  }
  // The CPU's view of a VRAM or GTT buffer, where the GPU has it.
  [[nodiscard]] void* view(const KfdAlloc& alloc) const {
    return ::mmap(reinterpret_cast<void*>(alloc.va), alloc.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                  render(), static_cast<off_t>(alloc.mmap_offset));
  }
  // Frames of a mapping by frame, which pagemap does not tell.
  [[nodiscard]] std::vector<std::uint64_t> mapped_frames(const void* start, std::size_t npages) const {
    std::vector<std::uint64_t> frames;
    auto pages = device().pages(start, npages);
    EXPECT_TRUE(pages.ok());
    for (const auto& page : pages.value()) {
      frames.push_back(page.pfn);
    }
    return frames;
  }
  // Does the GPU have what the CPU's view shows? Waits for the restore work.
  [[nodiscard]] testing::AssertionResult gpu_sees_view(const KfdAlloc& alloc) const {
    std::string why;
    const bool same = eventually([&] {
      // Touch: an object that moved is mapped anew by a fault.
      for (std::size_t at = 0; at < alloc.size; at += kPageSize) {
        (void)*reinterpret_cast<volatile const char*>(alloc.va + at);
      }
      why = difference(alloc.va, mapped_frames(reinterpret_cast<const void*>(alloc.va), alloc.size / kPageSize));
      return why.empty();
    });
    return same ? testing::AssertionSuccess() : testing::AssertionFailure() << why;
  }
  static std::span<std::byte> bytes(const KfdAlloc& alloc) {
    return {reinterpret_cast<std::byte*>(alloc.va), alloc.size};
  }
  static bool evict_all_objects() {
    const auto minor = std::to_string(node_properties(1)["drm_render_minor"]);
    std::ifstream file("/sys/kernel/debug/dri/" + minor + "/amdgpu_evict_vram");
    std::string answer;
    return static_cast<bool>(file >> answer) && answer == "0";
  }

  Reservation space_{std::size_t{16} << 20};
  [[nodiscard]] std::uint64_t aligned() const { return (space_.address() + 0x1fffff) & ~0x1fffffull; }
};

TEST_F(VmBuffer, VramBufferIsMappedWhereItIs) {
  auto made = allocate(KFD_IOC_ALLOC_MEM_FLAGS_VRAM | kWritable | kPublic, aligned(), 3u << 20);
  ASSERT_EQ(made.error, 0);
  EXPECT_TRUE(gpu_sees_nothing(made.alloc.va, 768)) << "before MAP";
  ASSERT_EQ(map(made.alloc.handle), 0);
  ASSERT_NE(view(made.alloc), MAP_FAILED);
  EXPECT_TRUE(gpu_sees_view(made.alloc));
  for (const auto& at : translate(made.alloc.va, 768)) {
    EXPECT_TRUE(writable(at));
    EXPECT_FALSE(at.entry & AMDGPU_PTE_SYSTEM);
    EXPECT_FALSE(at.entry & AMDGPU_PTE_EXECUTABLE);
  }
  ASSERT_EQ(unmap(made.alloc.handle), 0);
  EXPECT_TRUE(gpu_sees_nothing(made.alloc.va, 768));
  EXPECT_EQ(kfd().free(made.alloc.handle), 0);
}

TEST_F(VmBuffer, GttBufferIsMappedByItsFrames) {
  auto made = allocate(KFD_IOC_ALLOC_MEM_FLAGS_GTT | kWritable | kExecutable, space_.address() + 0x3000, 0x8000);
  ASSERT_EQ(made.error, 0);
  ASSERT_NE(view(made.alloc), MAP_FAILED);
  fill_pattern(bytes(made.alloc), 1);
  ASSERT_EQ(map(made.alloc.handle), 0);
  EXPECT_TRUE(gpu_sees_view(made.alloc));
  EXPECT_TRUE(translate(made.alloc.va, 1)[0].entry & AMDGPU_PTE_EXECUTABLE);
  EXPECT_EQ(pattern_error(bytes(made.alloc), 1), "");
  EXPECT_EQ(unmap(made.alloc.handle), 0);
  EXPECT_EQ(kfd().free(made.alloc.handle), 0);
}

TEST_F(VmBuffer, ReadOnlyBufferIsMappedReadOnly) {
  auto made = allocate(KFD_IOC_ALLOC_MEM_FLAGS_VRAM | kPublic, space_.address(), 0x1000);
  ASSERT_EQ(made.error, 0);
  ASSERT_EQ(map(made.alloc.handle), 0);
  EXPECT_TRUE(valid(translate(made.alloc.va, 1)[0]));
  EXPECT_FALSE(writable(translate(made.alloc.va, 1)[0]));
  EXPECT_EQ(unmap(made.alloc.handle), 0);
  EXPECT_EQ(kfd().free(made.alloc.handle), 0);
}

TEST_F(VmBuffer, EvictedBufferIsMappedWhereItWent) {
  auto made = allocate(KFD_IOC_ALLOC_MEM_FLAGS_VRAM | kWritable | kPublic, aligned(), 4u << 20);
  ASSERT_EQ(made.error, 0);
  ASSERT_NE(view(made.alloc), MAP_FAILED);
  fill_pattern(bytes(made.alloc), 2);
  ASSERT_EQ(map(made.alloc.handle), 0);
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(evict_all_objects());
    EXPECT_TRUE(gpu_sees_view(made.alloc)) << "round " << round;
    EXPECT_EQ(pattern_error(bytes(made.alloc), 2), "");
  }
  // The restore work brings it back, for there is room.
  EXPECT_TRUE(eventually([&] {
    const auto at = translate(made.alloc.va, 1)[0];
    return valid(at) && (at.entry & AMDGPU_PTE_SYSTEM) == 0;
  }));
  EXPECT_EQ(unmap(made.alloc.handle), 0);
  EXPECT_EQ(kfd().free(made.alloc.handle), 0);
}

TEST_F(VmBuffer, BufferThatWasEvictedBeforeMapComesBack) {
  auto made = allocate(KFD_IOC_ALLOC_MEM_FLAGS_VRAM | kWritable | kPublic, aligned(), 1u << 20);
  ASSERT_EQ(made.error, 0);
  ASSERT_TRUE(evict_all_objects());
  ASSERT_EQ(map(made.alloc.handle), 0);
  EXPECT_EQ(translate(made.alloc.va, 1)[0].entry & AMDGPU_PTE_SYSTEM, 0u);
  EXPECT_EQ(unmap(made.alloc.handle), 0);
  EXPECT_EQ(kfd().free(made.alloc.handle), 0);
}

TEST_F(VmBuffer, UserMemoryIsMappedAtItsAlias) {
  Buffer buffer(600);
  fill_pattern(buffer.bytes(), 3);
  auto made = allocate(KFD_IOC_ALLOC_MEM_FLAGS_USERPTR | kWritable, space_.address() + 0x5000, buffer.size(),
                       buffer.address());
  ASSERT_EQ(made.error, 0);
  ASSERT_EQ(map(made.alloc.handle), 0);
  EXPECT_TRUE(gpu_sees_at(made.alloc.va, buffer, 0, 600));
  EXPECT_TRUE(gpu_sees_nothing(buffer.address(), 600)) << "only at the alias";
  EXPECT_EQ(unmap(made.alloc.handle), 0);
  EXPECT_TRUE(gpu_sees_nothing(made.alloc.va, 600));
  EXPECT_EQ(kfd().free(made.alloc.handle), 0);
}

TEST_F(VmBuffer, UserMemoryIsFaultedInAndFollowsItsPages) {
  Buffer buffer(64);
  auto made = allocate(KFD_IOC_ALLOC_MEM_FLAGS_USERPTR | kWritable, space_.address(), buffer.size(), buffer.address());
  ASSERT_EQ(made.error, 0);
  ASSERT_EQ(map(made.alloc.handle), 0);
  EXPECT_EQ(census(buffer), all_ram(64));
  EXPECT_TRUE(gpu_sees_at(made.alloc.va, buffer, 0, 64));

  fill_pattern(buffer.bytes(), 4);
  EXPECT_EQ(in_child([&] {
              fill_pattern(buffer.bytes(), 5);
              return 0;
            }),
            0);
  fill_pattern(buffer.bytes(), 6);
  EXPECT_TRUE(gpu_sees_at(made.alloc.va, buffer, 0, 64)) << "copy on write";

  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(census(buffer), all_vram(64)) << "nothing pins it";
  EXPECT_TRUE(gpu_sees_at(made.alloc.va, buffer, 0, 64));
  EXPECT_EQ(pattern_error(buffer.bytes(), 6), "");

  buffer.protect(0, 8, PROT_READ);
  EXPECT_TRUE(gpu_sees_at(made.alloc.va, buffer, 0, 64));
  EXPECT_FALSE(writable(translate(made.alloc.va, 1)[0]));
  EXPECT_TRUE(writable(translate(made.alloc.va, 64)[63]));
  buffer.protect(0, 8, PROT_READ | PROT_WRITE);
  EXPECT_EQ(unmap(made.alloc.handle), 0);
  EXPECT_EQ(kfd().free(made.alloc.handle), 0);
}

TEST_F(VmBuffer, UnmappedUserMemoryIsGoneAtOnce) {
  Buffer buffer(16);
  fill_pattern(buffer.bytes(), 7);
  auto made = allocate(KFD_IOC_ALLOC_MEM_FLAGS_USERPTR | kWritable, space_.address(), buffer.size(), buffer.address());
  ASSERT_EQ(made.error, 0);
  ASSERT_EQ(map(made.alloc.handle), 0);
  buffer.unmap(4, 4);
  EXPECT_TRUE(gpu_sees_nothing(made.alloc.va + 4 * kPageSize, 4));
  EXPECT_TRUE(gpu_sees_at(made.alloc.va, buffer, 0, 4));
  EXPECT_TRUE(gpu_sees_at(made.alloc.va + 8 * kPageSize, buffer, 8, 8));
  EXPECT_EQ(unmap(made.alloc.handle), 0);
  EXPECT_EQ(kfd().free(made.alloc.handle), 0);
}

// The second half of such a buffer's addresses is the first once more, user memory or not.
TEST_F(VmBuffer, UserMemoryOfAQueueIsMappedTwiceAndGoesTwice) {
  constexpr std::size_t kPages = 700;  // the second copy begins in the middle of a table
  Buffer buffer(kPages);
  fill_pattern(buffer.bytes(), 8);
  auto made = allocate(KFD_IOC_ALLOC_MEM_FLAGS_USERPTR | kWritable | kAqlQueueMem, space_.address() + 0x3000,
                       2 * buffer.size(), buffer.address());
  ASSERT_EQ(made.error, 0);
  ASSERT_EQ(map(made.alloc.handle), 0);
  const std::uint64_t again = made.alloc.va + buffer.size();
  EXPECT_TRUE(gpu_sees_at(made.alloc.va, buffer, 0, kPages));
  EXPECT_TRUE(gpu_sees_at(again, buffer, 0, kPages));
  buffer.unmap(4, 4);
  EXPECT_TRUE(gpu_sees_nothing(made.alloc.va + 4 * kPageSize, 4));
  EXPECT_TRUE(gpu_sees_nothing(again + 4 * kPageSize, 4));
  EXPECT_TRUE(gpu_sees_at(again + 8 * kPageSize, buffer, 8, kPages - 8));
  EXPECT_EQ(unmap(made.alloc.handle), 0);
  EXPECT_EQ(kfd().free(made.alloc.handle), 0);
}

// When ranges have to be mapped anew, buffers, which lie between them, keep what they have.
TEST_F(VmBuffer, ChangeOfRetryFaultsLeavesBuffersMapped) {
  Buffer before(4);
  fill_pattern(before.bytes(), 9);
  ASSERT_EQ(set(before.address(), before.npages(), access()), 0);
  ASSERT_TRUE(gpu_sees(before));
  auto made = allocate(KFD_IOC_ALLOC_MEM_FLAGS_GTT | kWritable | kPublic, space_.address(), 0x8000);
  ASSERT_EQ(made.error, 0);
  ASSERT_NE(view(made.alloc), MAP_FAILED);
  ASSERT_EQ(map(made.alloc.handle), 0);
  ASSERT_TRUE(gpu_sees_view(made.alloc));
  std::int32_t now = 0;
  ASSERT_EQ(kfd().set_xnack_mode(1, &now), 0);
  ASSERT_EQ(kfd().set_xnack_mode(0, &now), 0);
  EXPECT_TRUE(gpu_sees(before));
  EXPECT_TRUE(gpu_sees_view(made.alloc));
  EXPECT_EQ(unmap(made.alloc.handle), 0);
  EXPECT_EQ(kfd().free(made.alloc.handle), 0);
}

TEST_F(VmBuffer, ManyScatteredBuffersLeaveNoTablesBehind) {
  const auto before = counters().vram_held;
  for (std::uint64_t round = 0; round < 40; ++round) {
    Reservation far(std::size_t{4} << 30);
    auto made = allocate(KFD_IOC_ALLOC_MEM_FLAGS_GTT | kWritable, far.address() + (round << 26), 0x1000);
    ASSERT_EQ(made.error, 0);
    ASSERT_EQ(map(made.alloc.handle), 0);
    ASSERT_TRUE(valid(translate(made.alloc.va, 1)[0]));
    ASSERT_EQ(unmap(made.alloc.handle), 0);
    ASSERT_EQ(kfd().free(made.alloc.handle), 0);
  }
  EXPECT_LE(counters().vram_held, before + (2u << 20)) << "one chunk of tables";
}

TEST_F(VmBuffer, FullVramKeepsNobodyFromMapping) {
  for (std::uint64_t size = std::uint64_t{1} << 30; size >= kPageSize; size /= 2) {
    (void)device().reserve(gpu(), size);
  }
  // Two tables each, and tables share chunks of 512: some have to be in RAM.
  constexpr std::uint64_t kCount = 300;
  Reservation far(kCount << 30);
  std::vector<KfdAlloc> buffers;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    auto made = allocate(KFD_IOC_ALLOC_MEM_FLAGS_GTT | kWritable, far.address() + (i << 30), 0x1000);
    ASSERT_EQ(made.error, 0);
    ASSERT_EQ(map(made.alloc.handle), 0);
    buffers.push_back(made.alloc);
  }
  for (const auto& alloc : buffers) {
    EXPECT_TRUE(writable(translate(alloc.va, 1)[0]));
    EXPECT_EQ(unmap(alloc.handle), 0);
    EXPECT_TRUE(gpu_sees_nothing(alloc.va, 1));
    EXPECT_EQ(kfd().free(alloc.handle), 0);
  }
}

TEST_F(VmBuffer, DoorbellsAreMapped) {
  auto made = allocate(KFD_IOC_ALLOC_MEM_FLAGS_DOORBELL | kWritable, space_.address(), 0x2000);
  ASSERT_EQ(made.error, 0);
  ASSERT_EQ(map(made.alloc.handle), 0);
  const auto translations = translate(made.alloc.va, 2);
  EXPECT_TRUE(writable(translations[0]));
  EXPECT_EQ(translations[1].pfn, translations[0].pfn + 1);
  EXPECT_EQ(unmap(made.alloc.handle), 0);
  EXPECT_EQ(kfd().free(made.alloc.handle), 0);
}

TEST_F(VmBuffer, TranslateSaysWhatIsWrong) {
  kfdlab_test_translate request{};
  kfdlab_translation one{};
  request.gpu_id = gpu();
  request.npages = 1;
  request.translations = reinterpret_cast<std::uintptr_t>(&one);
  EXPECT_EQ(device().raw(KFDLAB_TEST_TRANSLATE, &request), 0);
  request.va = 1;
  EXPECT_EQ(device().raw(KFDLAB_TEST_TRANSLATE, &request), EINVAL);
  request.va = 1ull << 48;
  EXPECT_EQ(device().raw(KFDLAB_TEST_TRANSLATE, &request), EINVAL);
  request.va = 0;
  request.npages = 0;
  EXPECT_EQ(device().raw(KFDLAB_TEST_TRANSLATE, &request), EINVAL);
  request.npages = 1;
  request.gpu_id = 1;
  EXPECT_EQ(device().raw(KFDLAB_TEST_TRANSLATE, &request), ENODEV);
  request.gpu_id = gpu();
  request.translations = 8;
  EXPECT_EQ(device().raw(KFDLAB_TEST_TRANSLATE, &request), EFAULT);
  close_kfd();
  request.translations = reinterpret_cast<std::uintptr_t>(&one);
  EXPECT_EQ(device().raw(KFDLAB_TEST_TRANSLATE, &request), ESRCH);
}

}  // namespace
}  // namespace kfdlab
