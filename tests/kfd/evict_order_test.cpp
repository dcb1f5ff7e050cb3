// SPDX-License-Identifier: MIT
// Who leaves first, and the other inhabitants of VRAM: plain buffers and SVM pages push each other out, by age, and
// nothing of either is lost.
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "tests/kfd/evict_fixture.h"

namespace kfdlab {
namespace {

class EvictOrder : public Evict {
 protected:
  static constexpr std::size_t kHalf = kLeft / 2;

  // A KFD buffer with a CPU view; freed at the end of its life.
  class VramBuffer {
   public:
    VramBuffer(const EvictOrder& test, std::size_t npages, std::uint32_t kind = KFD_IOC_ALLOC_MEM_FLAGS_VRAM)
        : kfd_(test.kfd()), space_(npages * kPageSize) {
      alloc_.va = space_.address();
      alloc_.size = space_.size();
      alloc_.gpu_id = test.gpu();
      alloc_.flags =
          kind | KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC | static_cast<std::uint32_t>(KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE);
      error_ = kfd_.alloc(&alloc_);
      if (error_ == 0) {
        view_ = ::mmap(nullptr, space_.size(), PROT_READ | PROT_WRITE, MAP_SHARED, test.render_fd(),
                       static_cast<off_t>(alloc_.mmap_offset));
      }
    }
    VramBuffer(const VramBuffer&) = delete;
    VramBuffer& operator=(const VramBuffer&) = delete;
    ~VramBuffer() {
      if (view_ != MAP_FAILED) {
        ::munmap(view_, space_.size());
      }
      if (error_ == 0) {
        EXPECT_EQ(kfd_.free(alloc_.handle), 0);
      }
    }
    // On the GPU, where the process's queues need it.
    [[nodiscard]] int map() const { return kfd_.map(alloc_.handle, std::vector{alloc_.gpu_id}, nullptr); }
    [[nodiscard]] int unmap() const { return kfd_.unmap(alloc_.handle, std::vector{alloc_.gpu_id}, nullptr); }
    [[nodiscard]] int error() const { return error_ != 0 ? error_ : view_ == MAP_FAILED ? ENXIO : 0; }
    [[nodiscard]] std::span<std::byte> bytes() const { return {static_cast<std::byte*>(view_), space_.size()}; }
    [[nodiscard]] bool zeroed() const {
      const std::byte* first = bytes().data();
      return *first == std::byte{0} && std::memcmp(first, first + 1, bytes().size() - 1) == 0;
    }
    // The pattern of the GPU's address.
    void fill(std::uint64_t seed) const { fill_pattern(bytes(), alloc_.va, seed); }
    [[nodiscard]] std::string wrong(std::uint64_t seed) const { return pattern_error(bytes(), alloc_.va, seed); }

   private:
    const KfdClient& kfd_;
    Reservation space_;
    KfdAlloc alloc_;
    int error_ = -1;
    void* view_ = MAP_FAILED;
  };
};

TEST_F(EvictOrder, OldestPagesLeaveFirst) {
  const auto first = in_vram(kHalf);
  const auto second = in_vram(kHalf);
  const auto pressure = press(kHalf);
  EXPECT_EQ(census(*first), all_ram(kHalf));
  EXPECT_EQ(census(*second), all_vram(kHalf));
  EXPECT_EQ(pages_evicted(), kHalf) << "no more than is needed";
  EXPECT_EQ(contents(*first), "");
  EXPECT_EQ(contents(*second), "");
}

// A prefetch of pages that are there already moves nothing, but says that they are needed.
TEST_F(EvictOrder, PrefetchedAgainIsRecentlyUsed) {
  const auto first = in_vram(kHalf);
  const auto second = in_vram(kHalf);
  ASSERT_TRUE(prefetch_to_vram(*first));
  const auto pressure = press(kHalf);
  EXPECT_EQ(census(*first), all_vram(kHalf));
  EXPECT_EQ(census(*second), all_ram(kHalf));
  EXPECT_EQ(pages_evicted(), kHalf);
  EXPECT_EQ(contents(*first), "");
  EXPECT_EQ(contents(*second), "");
}

TEST_F(EvictOrder, OlderBufferLeavesBeforeYoungerSvmPages) {
  const VramBuffer buffer(*this, kHalf);
  ASSERT_EQ(buffer.error(), 0);
  buffer.fill(kSeed);
  const auto memory = in_vram(kHalf);
  const auto pressure = press(kHalf);
  EXPECT_EQ(census(*memory), all_vram(kHalf));
  EXPECT_EQ(pages_evicted(), 0u) << "the buffer left";
  EXPECT_EQ(evictions(), 1u);
  EXPECT_EQ(buffer.wrong(kSeed), "");
  EXPECT_EQ(contents(*memory), "");
}

TEST_F(EvictOrder, OlderSvmPagesLeaveBeforeYoungerBuffer) {
  const auto memory = in_vram(kHalf);
  const VramBuffer buffer(*this, kHalf);
  ASSERT_EQ(buffer.error(), 0);
  buffer.fill(kSeed);
  const auto pressure = press(kHalf);
  EXPECT_EQ(census(*memory), all_ram(kHalf));
  EXPECT_EQ(pages_evicted(), kHalf);
  EXPECT_EQ(evictions(), kHalf / 512) << "the buffer stayed";
  EXPECT_EQ(buffer.wrong(kSeed), "");
  EXPECT_EQ(contents(*memory), "");
}

// All of a process's mapped buffers have to be there before its queues run, so they would be back at once, in the place
// of the pages that pushed them out.
TEST_F(EvictOrder, AMappedBufferStaysWhenItsProcessBringsPages) {
  const VramBuffer buffer(*this, kHalf);
  ASSERT_EQ(buffer.error(), 0);
  ASSERT_EQ(buffer.map(), 0);
  buffer.fill(kSeed);
  const auto first = in_vram(kHalf);
  Buffer second(kLeft);
  fill_pattern(second.bytes(), kSeed);
  const PageCensus moved = move_to_vram(second);
  EXPECT_EQ(census(*first), all_ram(kHalf)) << "pages make room for pages";
  EXPECT_EQ(moved.vram, kHalf);
  EXPECT_EQ(pages_evicted(), kHalf);
  EXPECT_EQ(buffer.wrong(kSeed), "");
  EXPECT_EQ(buffer.unmap(), 0);
  EXPECT_EQ(move_to_vram(second), all_vram(kLeft)) << "nobody needs the buffer now";
  EXPECT_EQ(buffer.wrong(kSeed), "");
  EXPECT_EQ(pattern_error(second.bytes(), kSeed), "");
  EXPECT_EQ(contents(*first), "");
}

// What its limits let a process have it gets, though its buffers lie in the way.
TEST_F(EvictOrder, AMappedBufferMakesRoomForABufferOfItsProcess) {
  const VramBuffer first(*this, kHalf);
  ASSERT_EQ(first.error(), 0);
  ASSERT_EQ(first.map(), 0);
  first.fill(kSeed);
  const VramBuffer second(*this, kLeft);
  ASSERT_EQ(second.error(), 0);
  EXPECT_TRUE(second.zeroed());
  EXPECT_EQ(first.wrong(kSeed), "");
  EXPECT_EQ(first.unmap(), 0);
}

TEST_F(EvictOrder, BufferAllocationEvictsSvmPagesAndIsZeroed) {
  const auto memory = in_vram(kLeft);
  const VramBuffer buffer(*this, kLeft);
  ASSERT_EQ(buffer.error(), 0) << "one object of all VRAM";
  EXPECT_EQ(census(*memory), all_ram(kLeft));
  EXPECT_EQ(pages_evicted(), kLeft);
  EXPECT_TRUE(buffer.zeroed()) << "what the process had there is nobody else's to see";
  EXPECT_EQ(contents(*memory), "");
}

TEST_F(EvictOrder, OneObjectOfAllVramLeavesForASinglePageAndKeepsItsContents) {
  const VramBuffer buffer(*this, kLeft);
  ASSERT_EQ(buffer.error(), 0);
  buffer.fill(kSeed);
  const auto memory = in_vram(1);
  EXPECT_EQ(evictions(), 1u);
  EXPECT_EQ(held_pages(), 1u);
  EXPECT_EQ(buffer.wrong(kSeed), "");
  EXPECT_EQ(contents(*memory), "");
  buffer.fill(kSeed + 1);
  const auto pressure = press(kLeft - 1);
  EXPECT_EQ(buffer.wrong(kSeed + 1), "");
}

TEST_F(EvictOrder, GttBufferEvictsNothing) {
  const auto memory = in_vram(kLeft);
  const VramBuffer buffer(*this, kLeft, KFD_IOC_ALLOC_MEM_FLAGS_GTT);
  ASSERT_EQ(buffer.error(), 0);
  buffer.fill(kSeed);
  EXPECT_EQ(evictions(), 0u);
  EXPECT_EQ(census(*memory), all_vram(kLeft));
  EXPECT_EQ(buffer.wrong(kSeed), "");
}

TEST_F(EvictOrder, BufferLargerThanVramIsRefusedAndEvictsNothing) {
  const auto memory = in_vram(kLeft);
  KfdAlloc request;
  const Reservation space(counters().vram_size + kPageSize);
  request.va = space.address();
  request.size = space.size();
  request.gpu_id = gpu();
  request.flags = KFD_IOC_ALLOC_MEM_FLAGS_VRAM;
  EXPECT_EQ(kfd().alloc(&request), ENOMEM);
  EXPECT_EQ(evictions(), 0u);
  EXPECT_EQ(census(*memory), all_vram(kLeft));
}

TEST_F(EvictOrder, HundredsOfObjectsOfOnePageAreEvictedAndFreed) {
  constexpr std::size_t kObjects = 300;
  {
    // Every second page, one call each: blocks of one page that cannot be part of a larger one.
    const Buffer memory(2 * kObjects);
    std::vector<std::unique_ptr<VramBuffer>> buffers;
    for (std::size_t i = 0; i < kObjects; ++i) {
      fill_pattern(memory.pages(2 * i, 1), kSeed);
      ASSERT_EQ(kfd().svm_prefetch(memory.page_address(2 * i), kPageSize, gpu()), 0);
      buffers.push_back(std::make_unique<VramBuffer>(*this, 1));
      ASSERT_EQ(buffers.back()->error(), 0);
      buffers.back()->fill(kSeed + i);
    }
    EXPECT_EQ(held_pages(), 2 * kObjects);
    EXPECT_EQ(counters().buffer_objects - start().buffer_objects, 2 * kObjects);

    const auto pressure = press();
    EXPECT_GE(evictions(), 2 * kObjects);
    EXPECT_EQ(pages_evicted(), kObjects);
    EXPECT_EQ(held_pages(), kLeft);
    for (std::size_t i = 0; i < kObjects; ++i) {
      ASSERT_EQ(pattern_error(memory.pages(2 * i, 1), kSeed), "");
      ASSERT_EQ(buffers[i]->wrong(kSeed + i), "");
    }
    EXPECT_EQ(contents(*pressure, kSeed + 77), "");
  }
  EXPECT_TRUE(eventually([&] { return held_pages() == 0; }));
  EXPECT_EQ(counters().buffer_objects, start().buffer_objects);
}

}  // namespace
}  // namespace kfdlab
