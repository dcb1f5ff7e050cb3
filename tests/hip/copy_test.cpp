// SPDX-License-Identifier: MIT
// hipMemcpy in every direction, size and shape, between pageable, pinned, managed and device memory.
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "tests/hip/hip_fixture.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kSeed = 0xc0;
constexpr std::byte kGuard{0xa5};
constexpr std::size_t kGuardBytes = 64;

std::byte byte_at(std::size_t offset, std::uint64_t seed) {
  return static_cast<std::byte>(pattern_word(offset & ~std::size_t{7}, seed) >> (offset % 8 * 8));
}

std::vector<std::byte> pattern_bytes(std::size_t size, std::uint64_t seed) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = byte_at(i, seed);
  }
  return bytes;
}

class HipCopy : public HipTest {
 protected:
  // Source, through `steps` buffers and back: all bytes right, and none beside them touched.
  static void round_trip(std::size_t size, std::size_t from, std::size_t to, std::byte* first, std::byte* second,
                         std::uint64_t seed) {
    const std::vector<std::byte> source = pattern_bytes(size, seed);
    std::vector<std::byte> back(size + 2 * kGuardBytes, kGuard);
    HIP_OK(hipMemset(second, static_cast<int>(kGuard), size + to + kGuardBytes));
    HIP_OK(hipMemcpy(first + from, source.data(), size, hipMemcpyHostToDevice));
    HIP_OK(hipMemcpy(second + to, first + from, size, hipMemcpyDeviceToDevice));
    HIP_OK(hipMemcpy(back.data() + kGuardBytes, second + to, size, hipMemcpyDeviceToHost));
    EXPECT_TRUE(std::equal(source.begin(), source.end(), back.begin() + kGuardBytes)) << size << " bytes";
    std::array<std::byte, kGuardBytes> beside{};
    HIP_OK(hipMemcpy(beside.data(), second + to + size, kGuardBytes, hipMemcpyDeviceToHost));
    const auto is_guard = [](std::byte byte) { return byte == kGuard; };
    EXPECT_TRUE(std::all_of(beside.begin(), beside.end(), is_guard)) << "bytes behind " << size << " were written";
    EXPECT_TRUE(std::all_of(back.begin(), back.begin() + kGuardBytes, is_guard));
    EXPECT_TRUE(std::all_of(back.end() - kGuardBytes, back.end(), is_guard));
  }
};

TEST_F(HipCopy, EveryOddSizeArrivesByteForByte) {
  constexpr std::size_t kSizes[] = {1, 2, 3, 4, 7, 8, 15, 63, 64, 65, 255, 1023, 4095, 4096, 4097, 65537, kMiB + 3};
  const HipMemory first = HipMemory::vram(2 * kMiB);
  const HipMemory second = HipMemory::vram(2 * kMiB);
  for (const std::size_t size : kSizes) {
    ASSERT_NO_FATAL_FAILURE(round_trip(size, 0, 0, first.data(), second.data(), kSeed + size));
  }
}

TEST_F(HipCopy, UnalignedOffsetsArriveByteForByte) {
  constexpr std::size_t kOffsets[] = {1, 2, 3, 5, 8, 13, 4095};
  const HipMemory first = HipMemory::vram(128 * kKiB);
  const HipMemory second = HipMemory::vram(128 * kKiB);
  for (const std::size_t offset : kOffsets) {
    ASSERT_NO_FATAL_FAILURE(round_trip(10'007, offset, 4096 - offset, first.data(), second.data(), kSeed + offset));
  }
}

TEST_F(HipCopy, PinnedMemoryIsCopiedBothWaysAndStaysInRam) {
  const HipMemory source = HipMemory::host(kMiB);
  const HipMemory target = HipMemory::host(kMiB);
  const HipMemory vram = HipMemory::vram(kMiB);
  fill_pattern(source.bytes(), kSeed);
  std::memset(target.data(), 0, target.size());
  HIP_OK(hipMemcpy(vram.data(), source.data(), kMiB, hipMemcpyHostToDevice));
  HIP_OK(launch_check(vram.data(), vram.words(), source.address(), kSeed, wrong(), nullptr));
  EXPECT_EQ(kernel_errors(), "");
  HIP_OK(hipMemcpy(target.data(), vram.data(), kMiB, hipMemcpyDeviceToHost));
  EXPECT_EQ(pattern_error(target.bytes(), source.address(), kSeed), "");
}

TEST_F(HipCopy, HugePinnedBuffersArriveWhole) {
  constexpr std::size_t kBytes = 256 * kMiB;
  const HipMemory vram = HipMemory::vram(kBytes);
  const HipMemory host = HipMemory::host(kBytes);
  // Kernels make and check the contents, and the CPU looks at a word of each page: its emulation is slow.
  HIP_OK(launch_fill(vram.data(), vram.words(), 0, kSeed, nullptr));
  HIP_OK(hipMemcpy(host.data(), vram.data(), kBytes, hipMemcpyDeviceToHost));
  for (std::size_t i = 7; i < host.words(); i += kPage / 8) {
    ASSERT_EQ(host.as<std::uint64_t>()[i], pattern_word(i * 8, kSeed));
  }
  HIP_OK(hipMemset(vram.data(), 0, kBytes));
  HIP_OK(hipMemcpy(vram.data(), host.data(), kBytes, hipMemcpyHostToDevice));
  HIP_OK(launch_check(vram.data(), vram.words(), 0, kSeed, wrong(), nullptr));
  EXPECT_EQ(kernel_errors(), "");
}

TEST_F(HipCopy, LargePageableBuffersArriveWhole) {
  constexpr std::size_t kBytes = 8 * kMiB;
  std::vector<std::byte> host(kBytes);
  fill_pattern(host, 0, kSeed);
  const HipMemory vram = HipMemory::vram(kBytes);
  HIP_OK(hipMemcpy(vram.data(), host.data(), kBytes, hipMemcpyHostToDevice));
  HIP_OK(launch_reseed(vram.data(), vram.words(), 0, kSeed, kSeed + 1, wrong(), nullptr));
  EXPECT_EQ(kernel_errors(), "");
  HIP_OK(hipMemcpy(host.data(), vram.data(), kBytes, hipMemcpyDeviceToHost));
  EXPECT_EQ(pattern_error(host, 0, kSeed + 1), "");
}

TEST_F(HipCopy, DefaultKindFindsTheDirectionByItself) {
  const HipMemory vram = HipMemory::vram(kPage);
  const HipMemory managed = HipMemory::managed(kPage);
  std::vector<std::byte> source = pattern_bytes(kPage, kSeed);
  std::vector<std::byte> target(kPage);
  HIP_OK(hipMemcpy(vram.data(), source.data(), kPage, hipMemcpyDefault));
  HIP_OK(hipMemcpy(managed.data(), vram.data(), kPage, hipMemcpyDefault));
  HIP_OK(hipMemcpy(target.data(), managed.data(), kPage, hipMemcpyDefault));
  EXPECT_EQ(source, target);
  EXPECT_EQ(std::memcmp(managed.data(), source.data(), kPage), 0);
}

TEST_F(HipCopy, ManagedMemoryIsCopiedWhereverItIs) {
  const HipMemory memory = HipMemory::managed(kMiB);
  const HipMemory vram = HipMemory::vram(kMiB);
  std::vector<std::byte> back(kMiB);
  for (const int place : {kGpu, hipCpuDeviceId}) {
    const std::uint64_t seed = kSeed + static_cast<std::uint64_t>(place + 2);
    fill_pattern(memory.bytes(), seed);
    HIP_OK(prefetch(memory, place));
    const PageCensus expected = place == kGpu ? all_vram(256) : all_ram(256);
    EXPECT_EQ(census(memory), expected);
    HIP_OK(hipMemcpy(vram.data(), memory.data(), kMiB, hipMemcpyDeviceToDevice));
    HIP_OK(hipMemcpy(back.data(), vram.data(), kMiB, hipMemcpyDeviceToHost));
    EXPECT_EQ(pattern_error(back, memory.address(), seed), "");
    HIP_OK(hipMemcpy(memory.data(), vram.data(), kMiB, hipMemcpyDeviceToDevice));
    EXPECT_EQ(pattern_error(memory.bytes(), seed), "");
  }
}

TEST_F(HipCopy, AsyncCopiesOfAStreamRunInOrder) {
  const HipStream stream;
  const HipMemory source = HipMemory::host(kMiB);
  const HipMemory target = HipMemory::host(kMiB);
  const HipMemory vram = HipMemory::vram(kMiB);
  fill_pattern(source.bytes(), kSeed);
  HIP_OK(hipMemcpyAsync(vram.data(), source.data(), kMiB, hipMemcpyHostToDevice, stream));
  for (std::uint64_t i = 0; i < 8; ++i) {
    HIP_OK(launch_reseed(vram.data(), vram.words(), source.address(), kSeed + i, kSeed + i + 1, wrong(), stream));
  }
  HIP_OK(hipMemcpyAsync(target.data(), vram.data(), kMiB, hipMemcpyDeviceToHost, stream));
  HIP_OK(hipStreamSynchronize(stream));
  EXPECT_EQ(pattern_error(target.bytes(), source.address(), kSeed + 8), "");
}

TEST_F(HipCopy, RowsOf2dCopiesKeepTheirPitch) {
  constexpr std::size_t kWidth = 1003;
  constexpr std::size_t kHeight = 37;
  std::byte* plane = nullptr;
  std::size_t pitch = 0;
  HIP_OK(hipMallocPitch(reinterpret_cast<void**>(&plane), &pitch, kWidth, kHeight));
  ASSERT_GE(pitch, kWidth);
  const std::vector<std::byte> source = pattern_bytes(kWidth * kHeight, kSeed);
  std::vector<std::byte> target((kWidth + 5) * kHeight, kGuard);
  HIP_OK(hipMemset2D(plane, pitch, 0, kWidth, kHeight));
  HIP_OK(hipMemcpy2D(plane, pitch, source.data(), kWidth, kWidth, kHeight, hipMemcpyHostToDevice));
  HIP_OK(hipMemcpy2D(target.data(), kWidth + 5, plane, pitch, kWidth, kHeight, hipMemcpyDeviceToHost));
  for (std::size_t row = 0; row < kHeight; ++row) {
    const auto* line = target.data() + row * (kWidth + 5);
    ASSERT_EQ(std::memcmp(line, source.data() + row * kWidth, kWidth), 0) << "row " << row;
    ASSERT_TRUE(std::all_of(line + kWidth, line + kWidth + 5, [](std::byte byte) { return byte == kGuard; }));
  }
  HIP_OK(hipFree(plane));
}

TEST_F(HipCopy, BoxesOf3dCopiesArriveWhereTheyBelong) {
  constexpr std::size_t kWidth = 96, kHeight = 11, kDepth = 7;
  const hipExtent extent = make_hipExtent(kWidth, kHeight, kDepth);
  hipPitchedPtr box{};
  HIP_OK(hipMalloc3D(&box, extent));
  std::vector<std::byte> source = pattern_bytes(kWidth * kHeight * kDepth, kSeed);
  std::vector<std::byte> target(source.size());
  hipMemcpy3DParms in{};
  in.srcPtr = make_hipPitchedPtr(source.data(), kWidth, kWidth, kHeight);
  in.dstPtr = box;
  in.extent = extent;
  in.kind = hipMemcpyHostToDevice;
  HIP_OK(hipMemcpy3D(&in));
  hipMemcpy3DParms out{};
  out.srcPtr = box;
  out.dstPtr = make_hipPitchedPtr(target.data(), kWidth, kWidth, kHeight);
  out.extent = extent;
  out.kind = hipMemcpyDeviceToHost;
  HIP_OK(hipMemcpy3D(&out));
  EXPECT_EQ(source, target);
  HIP_OK(hipFree(box.ptr));
}

TEST_F(HipCopy, MemsetWritesItsBytesAndNoOthers) {
  const HipMemory vram = HipMemory::vram(128 * kKiB);
  std::vector<std::byte> back(vram.size());
  constexpr std::size_t kSizes[] = {1, 3, 4, 17, 255, 4096, 65'537};
  for (const std::size_t size : kSizes) {
    HIP_OK(hipMemset(vram.data(), static_cast<int>(kGuard), vram.size()));
    HIP_OK(hipMemset(vram.data() + 7, 0x3c, size));
    HIP_OK(hipMemcpy(back.data(), vram.data(), back.size(), hipMemcpyDeviceToHost));
    for (std::size_t i = 0; i < back.size(); ++i) {
      ASSERT_EQ(back[i], i >= 7 && i < 7 + size ? std::byte{0x3c} : kGuard) << "byte " << i << ", size " << size;
    }
  }
}

TEST_F(HipCopy, MemsetWritesWordsOfTwoAndFourBytes) {
  const HipMemory vram = HipMemory::vram(kPage);
  std::vector<std::uint16_t> halves(kPage / 2);
  HIP_OK(hipMemsetD16(vram.data(), 0x1234, halves.size()));
  HIP_OK(hipMemcpy(halves.data(), vram.data(), kPage, hipMemcpyDeviceToHost));
  EXPECT_EQ(std::count(halves.begin(), halves.end(), 0x1234), static_cast<std::ptrdiff_t>(halves.size()));
  std::vector<std::uint32_t> words(kPage / 4);
  HIP_OK(hipMemsetD32(vram.data(), 0x12345678, words.size()));
  HIP_OK(hipMemcpy(words.data(), vram.data(), kPage, hipMemcpyDeviceToHost));
  EXPECT_EQ(std::count(words.begin(), words.end(), 0x12345678u), static_cast<std::ptrdiff_t>(words.size()));
}

TEST_F(HipCopy, NothingIsCopiedForNoBytesAndNullIsRefused) {
  const HipMemory vram = HipMemory::vram(kPage);
  std::uint64_t word = 0;
  HIP_OK(hipMemcpy(vram.data(), &word, 0, hipMemcpyHostToDevice));
  EXPECT_NE(hipMemcpy(nullptr, &word, 8, hipMemcpyHostToDevice), hipSuccess);
  EXPECT_NE(hipMemcpy(vram.data(), nullptr, 8, hipMemcpyHostToDevice), hipSuccess);
  (void)hipGetLastError();
  HIP_OK(hipFree(nullptr));
}

}  // namespace
}  // namespace kfdlab
