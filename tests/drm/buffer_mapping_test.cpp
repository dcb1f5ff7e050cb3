// SPDX-License-Identifier: MIT
// CPU mappings of KFD's buffers through the render node: who may make one, what it shows, and what the kernel must
// not do with it.
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "tests/drm/kfd_buffers.h"
#include "tests/support/buffer.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kSize = 4 << 20;
constexpr std::uint64_t kSeed = 0xb0f;

class BufferMapping : public KfdBuffersTest, public testing::WithParamInterface<std::uint32_t> {
 protected:
  [[nodiscard]] static std::span<std::byte> bytes(void* start) { return {static_cast<std::byte*>(start), kSize}; }
};

TEST_P(BufferMapping, StartsZeroedEvenInReusedMemory) {
  for (int round = 0; round < 2; ++round) {
    const KfdAlloc buffer = allocate(GetParam(), kSize);
    ASSERT_NE(buffer.handle, 0u);
    void* start = map(buffer, fd());
    ASSERT_NE(start, MAP_FAILED) << std::strerror(errno);
    // Each byte equals its neighbour and the first is zero: memcmp() is the one fast loop under emulation.
    const std::byte* first = bytes(start).data();
    ASSERT_TRUE(*first == std::byte{0} && std::memcmp(first, first + 1, kSize - 1) == 0) << "round " << round;
    fill_pattern(bytes(start), kSeed);
    release(buffer);
  }
}

TEST_P(BufferMapping, TwoMappingsShowTheSameMemory) {
  const KfdAlloc buffer = allocate(GetParam(), kSize);
  ASSERT_NE(buffer.handle, 0u);
  void* start = map(buffer, fd());
  ASSERT_NE(start, MAP_FAILED) << std::strerror(errno);
  void* other = ::mmap(nullptr, kSize, PROT_READ, MAP_SHARED, fd(), static_cast<off_t>(buffer.mmap_offset));
  ASSERT_NE(other, MAP_FAILED) << std::strerror(errno);
  fill_pattern(bytes(start), kSeed);
  EXPECT_EQ(std::memcmp(start, other, kSize), 0);
  ::munmap(other, kSize);
  release(buffer);
}

TEST_P(BufferMapping, MappingOutlivesItsHandle) {
  const KfdAlloc buffer = allocate(GetParam(), kSize);
  ASSERT_NE(buffer.handle, 0u);
  void* start = map(buffer, fd());
  ASSERT_NE(start, MAP_FAILED) << std::strerror(errno);
  fill_pattern(bytes(start), kSeed);
  EXPECT_EQ(kfd().free(buffer.handle), 0);
  EXPECT_EQ(pattern_error(bytes(start), kSeed), "");
  errno = 0;
  EXPECT_EQ(::mmap(nullptr, kSize, PROT_READ, MAP_SHARED, fd(), static_cast<off_t>(buffer.mmap_offset)), MAP_FAILED);
  EXPECT_EQ(errno, EINVAL);
  ::munmap(start, kSize);
}

TEST_P(BufferMapping, AnotherFileMayNotMap) {
  const KfdAlloc buffer = allocate(GetParam(), kSize);
  ASSERT_NE(buffer.handle, 0u);
  const Fd other = open_node();
  ASSERT_TRUE(other.valid());
  errno = 0;
  EXPECT_EQ(::mmap(nullptr, kSize, PROT_READ, MAP_SHARED, other.get(), static_cast<off_t>(buffer.mmap_offset)),
            MAP_FAILED);
  EXPECT_EQ(errno, EACCES);
  release(buffer);
}

TEST_P(BufferMapping, PrivateWritableAndOversizedMappingsAreRefused) {
  const KfdAlloc buffer = allocate(GetParam(), kSize);
  ASSERT_NE(buffer.handle, 0u);
  const auto offset = static_cast<off_t>(buffer.mmap_offset);
  errno = 0;
  EXPECT_EQ(::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd(), offset), MAP_FAILED);
  EXPECT_EQ(errno, EINVAL);
  errno = 0;
  EXPECT_EQ(::mmap(nullptr, 2 * kSize, PROT_READ, MAP_SHARED, fd(), offset), MAP_FAILED);
  EXPECT_EQ(errno, EINVAL);
  release(buffer);
}

// VRAM frames have struct pages that belong to SVM. A reference taken through such a mapping would be to a free page.
TEST_P(BufferMapping, PagesCannotBeReferenced) {
  const KfdAlloc buffer = allocate(GetParam(), kSize);
  ASSERT_NE(buffer.handle, 0u);
  void* start = map(buffer, fd());
  ASSERT_NE(start, MAP_FAILED) << std::strerror(errno);
  fill_pattern(bytes(start), kSeed);
  std::array<int, 2> ends = {-1, -1};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd reader(ends[0]);
  const Fd writer(ends[1]);
  iovec page = {start, kPageSize};
  errno = 0;
  EXPECT_EQ(::vmsplice(writer.get(), &page, 1, 0), -1);
  EXPECT_EQ(errno, EFAULT);
  release(buffer);
}

TEST_P(BufferMapping, DebuggersReadAndWriteThroughIt) {
  const KfdAlloc buffer = allocate(GetParam(), kSize);
  ASSERT_NE(buffer.handle, 0u);
  void* start = map(buffer, fd());
  ASSERT_NE(start, MAP_FAILED) << std::strerror(errno);
  fill_pattern(bytes(start), kSeed);
  const Fd memory(::open("/proc/self/mem", O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(memory.valid());
  // Across a page boundary, at an odd place.
  std::array<std::byte, 100> copy = {};
  const std::uint64_t at = buffer.va + 3 * kPageSize - 37;
  ASSERT_EQ(::pread(memory.get(), copy.data(), copy.size(), static_cast<off_t>(at)), static_cast<ssize_t>(copy.size()));
  EXPECT_EQ(std::memcmp(copy.data(), reinterpret_cast<void*>(at), copy.size()), 0);
  copy.fill(std::byte{0x3c});
  ASSERT_EQ(::pwrite(memory.get(), copy.data(), copy.size(), static_cast<off_t>(at)),
            static_cast<ssize_t>(copy.size()));
  EXPECT_EQ(std::memcmp(copy.data(), reinterpret_cast<void*>(at), copy.size()), 0);
  release(buffer);
}

INSTANTIATE_TEST_SUITE_P(Heap, BufferMapping,
                         testing::Values(KFD_IOC_ALLOC_MEM_FLAGS_VRAM, KFD_IOC_ALLOC_MEM_FLAGS_GTT),
                         [](const testing::TestParamInfo<std::uint32_t>& heap) {
                           return heap.param == KFD_IOC_ALLOC_MEM_FLAGS_VRAM ? "Vram" : "Gtt";
                         });

using VramEviction = KfdBuffersTest;

// Nothing but buffers in VRAM: SVM pages take the place of the oldest. It is mapped from RAM at the next touch, with
// its contents.
TEST_F(VramEviction, MappedBufferKeepsItsContents) {
  const std::uint64_t before = info_number(AMDGPU_INFO_VRAM_USAGE);
  const std::uint64_t evictions = info_number(AMDGPU_INFO_NUM_EVICTIONS);
  const KfdAlloc buffer = allocate(KFD_IOC_ALLOC_MEM_FLAGS_VRAM, kSize);
  ASSERT_NE(buffer.handle, 0u);
  void* start = map(buffer, fd());
  ASSERT_NE(start, MAP_FAILED) << std::strerror(errno);
  const std::span<std::byte> contents(static_cast<std::byte*>(start), kSize);
  fill_pattern(contents, kSeed);
  const KfdAlloc rest = allocate(KFD_IOC_ALLOC_MEM_FLAGS_VRAM, gpu().vram_bytes - before - kSize);
  ASSERT_NE(rest.handle, 0u);
  const Buffer pages(1);
  fill_pattern(pages.bytes(), kSeed);
  ASSERT_EQ(kfd().svm_prefetch(pages.address(), pages.size(), gpu().gpu_id), 0);
  EXPECT_GT(info_number(AMDGPU_INFO_NUM_EVICTIONS), evictions);
  EXPECT_EQ(pattern_error(contents, kSeed), "");
  EXPECT_EQ(pattern_error(pages.bytes(), kSeed), "");
  release(rest);
  release(buffer);
}

}  // namespace
}  // namespace kfdlab
