// SPDX-License-Identifier: MIT
// The contract of address_spaces.h between the thread that invalidates and those that translate.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "device/mmu/epoch.h"
#include "device/mmu/tlb.h"
#include "tests/unit/device/support/test_driver.h"
#include "tests/unit/mmu/support/test_gpu.h"

namespace kfdlab::device {
namespace {

constexpr std::uint64_t kVa = 0x7f1234600000;
constexpr std::uint64_t kPage = 4096;

void store_entry(std::uint64_t& entry, std::uint64_t value) {
  std::atomic_ref(entry).store(value, std::memory_order_relaxed);
}

TEST(TlbEpoch, SynchronizeWaitsForAThreadThatStillUsesAnOldTranslation) {
  TestGpu gpu;
  EpochDomain epochs;
  EpochDomain::Participant& participant = epochs.add_participant();
  Tlb tlb(gpu.spaces(), gpu.walker());
  MemoryFault fault;
  const Tlb::Key key = Tlb::key(TestGpu::kVmid);
  gpu.map(kVa, 0x3000 | TestGpu::kReadWrite);

  participant.enter();
  tlb.catch_up();
  ASSERT_NE(tlb.translate<MemoryAccess::Write>(key, kVa, fault), nullptr);

  std::atomic<bool> done{false};
  const std::uint64_t before = epochs.current();
  std::thread control([&] {
    store_entry(gpu.entry(gpu.root(), kVa, KFDLAB_GPUVM_PTB), 0);
    gpu.spaces().invalidate({.vmid = TestGpu::kVmid, .first_page = kVa / kPage, .pages = 1});
    epochs.synchronize();
    done = true;
  });
  EXPECT_TRUE(eventually([&] { return epochs.current() != before; }));
  EXPECT_FALSE(done);
  EXPECT_NE(tlb.find<MemoryAccess::Write>(key, kVa), nullptr) << "allowed until the safe point";
  participant.pass();
  tlb.catch_up();
  EXPECT_EQ(tlb.translate<MemoryAccess::Write>(key, kVa, fault), nullptr);
  EXPECT_TRUE(eventually([&] { return done.load(); }));
  control.join();
  participant.leave();
}

// Threads write through their TLBs while pages are moved to other memory: behind synchronize() nothing is written
// to the old place any more.
TEST(TlbEpoch, NothingIsWrittenToAPageThatWasTakenAway) {
  constexpr unsigned kThreads = 3;
  constexpr unsigned kVas = 8;
  constexpr unsigned kRounds = 3000;
  TestGpu gpu;
  EpochDomain epochs;
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> writes{0};
  // Page i is at frame 2i or 2i+1.
  std::array<std::uint64_t*, kVas> entries;
  std::array<std::uint64_t, kVas> frames;
  for (unsigned i = 0; i < kVas; ++i) {
    entries[i] = &gpu.entry(gpu.root(), kVa + i * kPage, KFDLAB_GPUVM_PTB);
    frames[i] = 2 * i * kPage;
    *entries[i] = frames[i] | TestGpu::kReadWrite;
  }
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, &participant = epochs.add_participant(), t] {
      Tlb tlb(gpu.spaces(), gpu.walker());
      MemoryFault fault;
      std::uint64_t count = 0;
      participant.enter();
      while (!stop.load(std::memory_order_relaxed)) {
        tlb.catch_up();
        for (unsigned i = 0; i < kVas; ++i) {
          if (std::byte* host = tlb.translate<MemoryAccess::Write>(Tlb::key(TestGpu::kVmid), kVa + i * kPage, fault)) {
            std::atomic_ref(*reinterpret_cast<std::uint64_t*>(host + 8 * t)).store(++count, std::memory_order_relaxed);
          }
        }
        if (count % 64 == 0) {  // also threads that come and go
          writes.fetch_add(64, std::memory_order_relaxed);
          participant.leave();
          participant.enter();
        } else {
          participant.pass();
        }
      }
      participant.leave();
    });
  }
  const auto frame_sum = [&](std::uint64_t frame) {
    std::uint64_t sum = 0;
    for (unsigned t = 0; t < kThreads; ++t) {
      auto& word = *reinterpret_cast<std::uint64_t*>(gpu.vram().data() + frame + 8 * t);
      sum += std::atomic_ref(word).load(std::memory_order_relaxed);
    }
    return sum;
  };
  std::array<std::uint64_t, kVas> quiet{};  // sum of the frame that page i has left
  unsigned violations = 0;
  ASSERT_TRUE(eventually([&] { return writes.load() > 1000; }));
  for (unsigned round = 0; round < kRounds; ++round) {
    const unsigned i = round % kVas;
    if (round >= kVas && frame_sum(frames[i] ^ kPage) != quiet[i]) {
      ++violations;
    }
    const std::uint64_t old = frames[i];
    frames[i] ^= kPage;
    store_entry(*entries[i], frames[i] | TestGpu::kReadWrite);
    gpu.spaces().invalidate({.vmid = TestGpu::kVmid, .first_page = kVa / kPage + i, .pages = 1});
    epochs.synchronize();
    quiet[i] = frame_sum(old);
  }
  stop = true;
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(violations, 0u);
}

}  // namespace
}  // namespace kfdlab::device
