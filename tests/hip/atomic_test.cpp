// SPDX-License-Identifier: MIT
// Atomics at system scope: CPU threads and a kernel change the same word at once, wherever it lies, and no change is
// lost. Threads of the CPU go on until the kernel is done, so both really run side by side.
#include <atomic>
#include <thread>

#include "tests/hip/hip_fixture.h"

namespace kfdlab {
namespace {

constexpr unsigned kThreads = 512;
constexpr unsigned kTimes = 200;

class HipAtomic : public HipTest {
 protected:
  using Launch = hipError_t (*)(std::uint32_t*, unsigned, unsigned, hipStream_t);

  // What the word is when a kernel and two CPU threads have added to it; `added` gets the sum that it must be.
  static void add_at_once(std::uint32_t* word, Launch launch, std::uint32_t* added) {
    std::atomic_ref counter(*word);
    counter.store(0);
    std::atomic<bool> stop{false};
    std::atomic<std::uint32_t> by_cpu{0};
    const auto work = [&] {
      std::uint32_t mine = 0;
      do {
        counter.fetch_add(1);
        ++mine;
      } while (!stop.load());
      by_cpu += mine;
    };
    std::thread first(work);
    std::thread second(work);
    const hipError_t launched = launch(word, kThreads, kTimes, nullptr);
    const hipError_t ran = hipDeviceSynchronize();
    stop = true;
    first.join();
    second.join();
    HIP_OK(launched);
    HIP_OK(ran);
    *added = by_cpu + kThreads * kTimes;
  }
};

TEST_F(HipAtomic, NoAdditionToHostMemoryIsLost) {
  const HipMemory memory = HipMemory::host(kPage, hipHostMallocCoherent);
  std::uint32_t added = 0;
  ASSERT_NO_FATAL_FAILURE(add_at_once(memory.as<std::uint32_t>(), launch_add, &added));
  EXPECT_EQ(*memory.as<std::uint32_t>(), added);
}

TEST_F(HipAtomic, NoAdditionToManagedMemoryIsLostInRamOrVram) {
  for (const int place : {hipCpuDeviceId, kGpu}) {
    const HipMemory memory = HipMemory::managed(kPage);
    *memory.as<std::uint32_t>() = 0;
    HIP_OK(prefetch(memory, place));
    std::uint32_t added = 0;
    ASSERT_NO_FATAL_FAILURE(add_at_once(memory.as<std::uint32_t>(), launch_add, &added));
    EXPECT_EQ(*memory.as<std::uint32_t>(), added);
    if (place == kGpu) {
      EXPECT_EQ(census(memory), all_vram(1)) << "the CPU's atomics work on VRAM where it is";
    }
  }
}

TEST_F(HipAtomic, NoExchangeIsLost) {
  const HipMemory memory = HipMemory::host(kPage, hipHostMallocCoherent);
  std::uint32_t added = 0;
  const Launch few = [](std::uint32_t* word, unsigned, unsigned, hipStream_t stream) {
    return launch_add_by_cas(word, 64, kThreads * kTimes / 64 / 16, stream);
  };
  ASSERT_NO_FATAL_FAILURE(add_at_once(memory.as<std::uint32_t>(), few, &added));
  EXPECT_EQ(*memory.as<std::uint32_t>(), added - kThreads * kTimes + kThreads * kTimes / 16);
}

TEST_F(HipAtomic, KernelAndCpuAnswerEachOtherInManagedMemory) {
  for (const int place : {hipCpuDeviceId, kGpu}) {
    const HipMemory memory = HipMemory::managed(kPage);
    auto* box = memory.as<std::uint32_t>();
    *box = 1;
    HIP_OK(prefetch(memory, place));
    constexpr unsigned kTurns = 100;
    HIP_OK(launch_answer(box, kTurns, nullptr));
    bool answered = true;
    for (unsigned turn = 0; turn < kTurns && answered; ++turn) {
      std::atomic_ref(*box).store(2 * turn);
      answered = eventually([&] { return std::atomic_ref(*box).load() == 2 * turn + 1; });
      EXPECT_TRUE(answered) << "turn " << turn;
    }
  }
}

}  // namespace
}  // namespace kfdlab
