// SPDX-License-Identifier: MIT
// Host memory that kernels use: hipHostMalloc with every flag, and hipHostRegister of memory that is not aligned to
// anything.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "tests/hip/hip_fixture.h"
#include "tests/support/buffer.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kSeed = 0x40;

class HipHostMemory : public HipTest {
 protected:
  // CPU writes, kernel checks and writes, CPU checks; through the device's pointer.
  void use(std::span<std::byte> bytes) const {
    std::byte* seen = nullptr;
    HIP_OK(hipHostGetDevicePointer(reinterpret_cast<void**>(&seen), bytes.data(), 0));
    fill_pattern(bytes, kSeed);
    HIP_OK(launch_reseed(seen, bytes.size() / 8, reinterpret_cast<std::uintptr_t>(bytes.data()), kSeed, kSeed + 1,
                         wrong(), nullptr));
    EXPECT_EQ(kernel_errors(), "");
    EXPECT_EQ(pattern_error(bytes, kSeed + 1), "");
  }
};

TEST_F(HipHostMemory, EveryKindIsSharedWithKernels) {
  constexpr unsigned kFlags[] = {hipHostMallocDefault,     hipHostMallocPortable,
                                 hipHostMallocMapped,      hipHostMallocWriteCombined,
                                 hipHostMallocCoherent,    hipHostMallocNonCoherent,
                                 hipHostMallocNumaUser,    hipHostMallocMapped | hipHostMallocPortable};
  for (const unsigned flags : kFlags) {
    SCOPED_TRACE(flags);
    const HipMemory memory = HipMemory::host(256 * kKiB, flags);
    ASSERT_NE(memory.data(), nullptr);
    use(memory.bytes());
  }
}

TEST_F(HipHostMemory, CoherentMemoryIsSeenWhileTheKernelRuns) {
  const HipMemory memory = HipMemory::host(kPage, hipHostMallocCoherent);
  auto* box = memory.as<std::uint32_t>();
  *box = 1;  // not the kernel's turn yet
  constexpr unsigned kTurns = 200;
  HIP_OK(launch_answer(box, kTurns, nullptr));
  for (unsigned turn = 0; turn < kTurns; ++turn) {
    std::atomic_ref(*box).store(2 * turn);
    ASSERT_TRUE(eventually([&] { return std::atomic_ref(*box).load() == 2 * turn + 1; })) << "turn " << turn;
  }
}

TEST_F(HipHostMemory, ContradictingFlagsAreRefused) {
  void* data = nullptr;
  EXPECT_EQ(hipHostMalloc(&data, kPage, hipHostMallocCoherent | hipHostMallocNonCoherent), hipErrorInvalidValue);
  EXPECT_EQ(hipHostMalloc(nullptr, kPage, 0), hipErrorInvalidValue);
  (void)hipGetLastError();
}

TEST_F(HipHostMemory, RegisteredMemoryOfOddAddressAndLengthIsSharedWithKernels) {
  struct Piece {
    std::size_t offset;
    std::size_t size;
  };
  constexpr Piece kPieces[] = {{0, 8}, {8, 16}, {4088, 16}, {1000, 10'008}, {4096, 4096}, {24, 300'040}};
  const Buffer buffer(128);
  for (const Piece piece : kPieces) {
    SCOPED_TRACE(piece.offset);
    fill_pattern(buffer.bytes(), kSeed + 7);
    std::byte* start = buffer.data() + piece.offset;
    HIP_OK(hipHostRegister(start, piece.size, hipHostRegisterDefault));
    use({start, piece.size});
    EXPECT_EQ(pattern_error({buffer.data(), piece.offset}, kSeed + 7), "") << "before it";
    EXPECT_EQ(pattern_error(buffer.bytes().subspan(piece.offset + piece.size), kSeed + 7), "") << "behind it";
    EXPECT_EQ(census(buffer.data(), 128), all_ram(128));
    HIP_OK(hipHostUnregister(start));
  }
}

TEST_F(HipHostMemory, RegisteredMemoryOfAnyByteAddressIsCopiedBothWays) {
  const Buffer buffer(16);
  const HipMemory vram = HipMemory::vram(32 * kKiB);
  for (const std::size_t offset : {1u, 13u, 4095u}) {
    constexpr std::size_t kBytes = 20'001;
    std::byte* start = buffer.data() + offset;
    fill_pattern(buffer.bytes(), kSeed + offset);
    const std::vector<std::byte> original(start, start + kBytes);
    HIP_OK(hipHostRegister(start, kBytes, hipHostRegisterMapped));
    HIP_OK(hipMemcpy(vram.data(), start, kBytes, hipMemcpyHostToDevice));
    std::memset(start, 0, kBytes);
    HIP_OK(hipMemcpy(start, vram.data(), kBytes, hipMemcpyDeviceToHost));
    EXPECT_TRUE(std::equal(original.begin(), original.end(), start));
    HIP_OK(hipHostUnregister(start));
    EXPECT_EQ(pattern_error(buffer.bytes(), kSeed + offset), "") << "what lies beside it is as it was";
  }
}

class HipNoXnackHostMemory : public HipNoXnackTest {};

// With XNACK HIP 5.2.3 takes any address for memory it knows, and ends the process when it does not.
TEST_F(HipNoXnackHostMemory, WhatIsNotRegisteredCannotBeUnregistered) {
  const Buffer buffer(1);
  EXPECT_NE(hipHostUnregister(buffer.data()), hipSuccess);
  (void)hipGetLastError();
}

TEST_F(HipHostMemory, NothingCannotBeRegistered) {
  const Buffer buffer(1);
  EXPECT_NE(hipHostRegister(nullptr, kPage, 0), hipSuccess);
  EXPECT_NE(hipHostRegister(buffer.data(), 0, 0), hipSuccess);
  (void)hipGetLastError();
}

}  // namespace
}  // namespace kfdlab
