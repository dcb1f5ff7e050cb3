// SPDX-License-Identifier: MIT
// Managed memory: who touches a page first, who asks for it and who has it. A CPU access to VRAM is an ordinary access
// here, so only the GPU's faults, prefetches and evictions move pages.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>


#include "tests/hip/hip_fixture.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kSeed = 0x4d;

class HipManaged : public HipTest {
 protected:
  hipError_t reseed(const HipMemory& memory, std::uint64_t from) const {
    return launch_reseed(memory.data(), memory.words(), memory.address(), from, from + 1, wrong(), nullptr);
  }
};

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
  HIP_OK(reseed(memory, kSeed));
  EXPECT_EQ(kernel_errors(), "");
  EXPECT_EQ(census(memory), all_vram(256));
  EXPECT_EQ(pattern_error(memory.bytes(), kSeed + 1), "");
}

TEST_F(HipManaged, PrefetchToTheHostBringsPagesBack) {
  const HipMemory memory = HipMemory::managed(kMiB);
  fill_pattern(memory.bytes(), kSeed);
  HIP_OK(prefetch(memory, kGpu));
  HIP_OK(reseed(memory, kSeed));
  HIP_OK(hipDeviceSynchronize());
  const auto before = counters();
  HIP_OK(prefetch(memory, hipCpuDeviceId));
  EXPECT_EQ(census(memory), all_ram(256));
  EXPECT_EQ(counters().pages_to_ram_prefetch - before.pages_to_ram_prefetch, 256u);
  EXPECT_EQ(pattern_error(memory.bytes(), kSeed + 1), "");
}

TEST_F(HipManaged, PrefetchOfAPartMovesThatPartOnly) {
  const HipMemory memory = HipMemory::managed(4 * kMiB);
  fill_pattern(memory.bytes(), kSeed);
  HIP_OK(hipMemPrefetchAsync(memory.data() + kMiB, kMiB, kGpu, nullptr));
  HIP_OK(hipStreamSynchronize(nullptr));
  EXPECT_EQ(census(memory.data(), 256), all_ram(256));
  EXPECT_EQ(census(memory.data() + kMiB, 256), all_vram(256));
  EXPECT_EQ(census(memory.data() + 2 * kMiB, 512), all_ram(512));
  EXPECT_EQ(pattern_error(memory.bytes(), kSeed), "");
}

TEST_F(HipManaged, FirstTouchByTheCpuIsInRam) {
  const HipMemory memory = HipMemory::managed(kMiB);
  fill_pattern(memory.bytes(), kSeed);
  EXPECT_EQ(census(memory), all_ram(256));
  HIP_OK(launch_check(memory.data(), memory.words(), memory.address(), kSeed, wrong(), nullptr));
  EXPECT_EQ(kernel_errors(), "");
}

TEST_F(HipManaged, FirstTouchByTheGpuFindsZeroes) {
  const HipMemory memory = HipMemory::managed(kMiB);
  const HipMemory copy = HipMemory::vram(kMiB);
  HIP_OK(hipMemcpy(copy.data(), memory.data(), kMiB, hipMemcpyDeviceToDevice));
  std::vector<std::uint64_t> words(copy.words(), 1);
  HIP_OK(hipMemcpy(words.data(), copy.data(), kMiB, hipMemcpyDeviceToHost));
  EXPECT_EQ(std::count(words.begin(), words.end(), 0u), static_cast<std::ptrdiff_t>(words.size()));
  HIP_OK(launch_fill(memory.data(), memory.words(), memory.address(), kSeed, nullptr));
  HIP_OK(hipDeviceSynchronize());
  EXPECT_EQ(pattern_error(memory.bytes(), kSeed), "");
}

TEST_F(HipManaged, PingPongKeepsEveryWord) {
  const HipMemory memory = HipMemory::managed(kMiB);
  fill_pattern(memory.bytes(), kSeed);
  for (std::uint64_t turn = 0; turn < 12; turn += 2) {
    HIP_OK(reseed(memory, kSeed + turn));
    ASSERT_EQ(kernel_errors(), "") << "turn " << turn;
    ASSERT_EQ(pattern_error(memory.bytes(), kSeed + turn + 1), "") << "turn " << turn;
    fill_pattern(memory.bytes(), kSeed + turn + 2);
    if (turn % 4 == 0) {
      HIP_OK(prefetch(memory, turn % 8 == 0 ? kGpu : hipCpuDeviceId));
    }
  }
}

TEST_F(HipManaged, CpuAndGpuWriteWordsOfTheSamePagesAtOnce) {
  for (const int place : {hipCpuDeviceId, kGpu}) {
    const HipMemory memory = HipMemory::managed(64 * kPage);
    const HipMemory flags = HipMemory::host(kPage, hipHostMallocCoherent);
    auto* rounds = flags.as<std::uint32_t>();
    auto* stop = rounds + 16;
    *rounds = 0;
    *stop = 0;
    // The kernel has the lower half of each page, the CPU the upper half.
    fill_pattern(memory.bytes(), kSeed);
    HIP_OK(prefetch(memory, place));
    constexpr unsigned kTurns = 20;
    HIP_OK(launch_reseed_until(memory.data(), 256, kSeed, stop, wrong(), rounds, nullptr));
    for (unsigned turn = 0; turn < kTurns; ++turn) {
      const std::uint64_t seed = kSeed + 100 + turn;
      for (std::size_t page = 0; page < memory.npages(); ++page) {
        fill_pattern({memory.data() + page * kPage + kPage / 2, kPage / 2}, seed);
      }
      ASSERT_EQ(pattern_error({memory.data() + kPage / 2, kPage / 2}, seed), "");
    }
    EXPECT_TRUE(eventually([&] { return std::atomic_ref(*rounds).load() > kTurns; }));
    std::atomic_ref(*stop).store(1);
    EXPECT_EQ(kernel_errors(), "");
    EXPECT_EQ(pattern_error({memory.data(), kPage / 2}, kSeed + *rounds), "");
    EXPECT_EQ(pattern_error({memory.data() + kPage / 2, kPage / 2}, kSeed + 100 + kTurns - 1), "");
  }
}

TEST_F(HipManaged, FreedMemoryLeavesNothingInVram) {
  const auto before = counters();
  {
    const HipMemory memory = HipMemory::managed(2 * kMiB);
    fill_pattern(memory.bytes(), kSeed);
    HIP_OK(prefetch(memory, kGpu));
    EXPECT_EQ(counters().svm_pages_occupied - before.svm_pages_occupied, 512u);
  }
  EXPECT_TRUE(eventually([&] { return counters().svm_pages_occupied == before.svm_pages_occupied; }));
  EXPECT_EQ(counters().svm_ranges, before.svm_ranges);
}

TEST_F(HipManaged, PrefetchOfMemoryThatIsNotHipsIsRefusedOrChangesNothing) {
  HipMemory memory = HipMemory::managed(kPage);
  memory.bytes()[0] = std::byte{1};
  EXPECT_EQ(hipMemPrefetchAsync(nullptr, kPage, kGpu, nullptr), hipErrorInvalidValue);
  EXPECT_EQ(hipMemPrefetchAsync(memory.data(), 0, kGpu, nullptr), hipErrorInvalidValue);
  EXPECT_EQ(hipMemPrefetchAsync(memory.data(), kPage, 1000, nullptr), hipErrorInvalidDevice);
  (void)hipGetLastError();
  EXPECT_EQ(census(memory), all_ram(1));
}

// ---- with XNACK: faults move pages ----

class HipXnackManaged : public HipXnackTest {};

TEST_F(HipXnackManaged, FirstTouchByTheGpuIsInVram) {
  const HipMemory memory = HipMemory::managed(kMiB);
  EXPECT_EQ(census(memory), none(256));
  HIP_OK(launch_fill(memory.data(), memory.words(), memory.address(), kSeed, nullptr));
  HIP_OK(hipDeviceSynchronize());
  EXPECT_EQ(census(memory), all_vram(256));
  EXPECT_EQ(pattern_error(memory.bytes(), kSeed), "");
  EXPECT_EQ(census(memory), all_vram(256)) << "the CPU's reads move nothing";
}

TEST_F(HipXnackManaged, AFaultMovesPagesThatTheCpuTouchedToVram) {
  const HipMemory memory = HipMemory::managed(kMiB);
  fill_pattern(memory.bytes(), kSeed);
  EXPECT_EQ(census(memory), all_ram(256));
  const auto before = counters();
  HIP_OK(launch_reseed(memory.data(), memory.words(), memory.address(), kSeed, kSeed + 1, wrong(), nullptr));
  EXPECT_EQ(kernel_errors(), "");
  EXPECT_EQ(census(memory), all_vram(256));
  EXPECT_EQ(counters().pages_to_vram - before.pages_to_vram, 256u);
  EXPECT_EQ(pattern_error(memory.bytes(), kSeed + 1), "");
}

TEST_F(HipXnackManaged, AFaultMovesItsGranuleOnly) {
  const HipMemory memory = HipMemory::managed(16 * kMiB);
  ASSERT_EQ(memory.address() % (2 * kMiB), 0u);
  fill_pattern(memory.bytes(), kSeed);
  HIP_OK(launch_reseed(memory.data() + 4 * kMiB + kPage, 1, memory.address() + 4 * kMiB + kPage, kSeed, kSeed + 1,
                       wrong(), nullptr));
  EXPECT_EQ(kernel_errors(), "");
  EXPECT_EQ(census(memory.data(), 1024), all_ram(1024));
  EXPECT_EQ(census(memory.data() + 4 * kMiB, 512), all_vram(512));
  EXPECT_EQ(census(memory.data() + 6 * kMiB, 2560), all_ram(2560));
}

TEST_F(HipXnackManaged, PagesTheHostDroppedAreZeroForTheKernel) {
  const HipMemory memory = HipMemory::managed(kMiB);
  fill_pattern(memory.bytes(), kSeed);
  HIP_OK(prefetch(memory, kGpu));
  ASSERT_EQ(::madvise(memory.data() + 16 * kPage, 16 * kPage, MADV_DONTNEED), 0);
  const HipMemory result = HipMemory::host(kPage);
  auto* found = result.as<std::uint64_t>();
  *found = 1;
  HIP_OK(launch_load(memory.data() + 20 * kPage, found, nullptr));
  HIP_OK(hipDeviceSynchronize());
  EXPECT_EQ(*found, 0u);
  HIP_OK(launch_check(memory.data(), 16 * kPage / 8, memory.address(), kSeed, wrong(), nullptr));
  EXPECT_EQ(kernel_errors(), "");
}

// ---- without: memory is mapped where it is ----

class HipNoXnackManaged : public HipNoXnackTest {};

TEST_F(HipNoXnackManaged, KernelsUsePagesWhereTheyAre) {
  const HipMemory memory = HipMemory::managed(kMiB);
  fill_pattern(memory.bytes(), kSeed);
  const auto before = counters();
  HIP_OK(launch_reseed(memory.data(), memory.words(), memory.address(), kSeed, kSeed + 1, wrong(), nullptr));
  EXPECT_EQ(kernel_errors(), "");
  EXPECT_EQ(census(memory), all_ram(256));
  EXPECT_EQ(counters().pages_to_vram, before.pages_to_vram);
}

TEST_F(HipNoXnackManaged, UnmappedAndMappedAgainPagesAreSeenByTheNextKernel) {
  const HipMemory memory = HipMemory::managed(kMiB);
  fill_pattern(memory.bytes(), kSeed);
  HIP_OK(launch_check(memory.data(), memory.words(), memory.address(), kSeed, wrong(), nullptr));
  EXPECT_EQ(kernel_errors(), "");
  ASSERT_EQ(::madvise(memory.data(), memory.size(), MADV_DONTNEED), 0);
  fill_pattern(memory.bytes(), kSeed + 1);
  HIP_OK(launch_check(memory.data(), memory.words(), memory.address(), kSeed + 1, wrong(), nullptr));
  EXPECT_EQ(kernel_errors(), "");
}

}  // namespace
}  // namespace kfdlab
