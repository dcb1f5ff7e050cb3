// SPDX-License-Identifier: MIT
// A guest that writes anything at any time into every page it can reach except memory itself. The device has only
// to survive it inside its mappings (which have guard pages) and to keep its own counsel: what it believes must
// not come from words it wrote itself.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstring>

#include "device/host/shared_word.h"
#include "tests/fuzz/fuzz_seed.h"
#include "tests/unit/device/support/loopback_vm.h"

namespace kfdlab::device {
namespace {

using Vm = LoopbackVm;

std::uint32_t random_dword(FuzzRandom& random) {
  constexpr std::array<std::uint32_t, 5> kHeaders = {0, 1, 5, 6, 0x8000000b};
  switch (below(random, 4)) {
    case 0:
      return kHeaders[below(random, kHeaders.size())];
    case 1:
      return static_cast<std::uint32_t>(below(random, 0x10000));
    case 2:
      return static_cast<std::uint32_t>(Vm::kRamBase + below(random, Vm::kRamSize));
    default:
      return static_cast<std::uint32_t>(random());
  }
}

std::uint64_t random_pointer(FuzzRandom& random, std::uint64_t near) {
  return one_in(random, 50) ? random() : near + below(random, 64) * 4;
}

// Any dword of the register pages and rings.
void scribble(FuzzRandom& random, std::byte* bar) {
  constexpr std::array<std::pair<std::uint64_t, std::uint64_t>, 6> kAreas = {{
      {KFDLAB_BAR_IDENTITY, sizeof(kfdlab_identity)},
      {KFDLAB_BAR_DEVICE_REGS, sizeof(kfdlab_device_regs)},
      {KFDLAB_BAR_DRIVER_REGS, sizeof(kfdlab_driver_regs)},
      {KFDLAB_BAR_CONTROL_RING, KFDLAB_CONTROL_RING_SIZE},
      {KFDLAB_BAR_COPY_RING, KFDLAB_COPY_RING_SIZE},
      {KFDLAB_BAR_IH_RING, KFDLAB_IH_RING_SIZE},
  }};
  const auto [offset, size] = kAreas[below(random, kAreas.size())];
  auto& dword = *reinterpret_cast<std::uint32_t*>(bar + offset + below(random, size / 4) * 4);
  store_relaxed(dword, random_dword(random));
}

TEST(RingFuzz, HostileGuestNeverLeavesTheMappings) {
  FuzzRandom random = fuzz_random();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  while (std::chrono::steady_clock::now() < end) {
    Vm vm(2);
    for (int round = 0; round < 2000; ++round) {
      TestDriver& gpu = vm.gpu(static_cast<unsigned>(below(random, 2)));
      kfdlab_driver_regs& driver = gpu.driver();
      std::byte* bar = gpu.vram().data() - KFDLAB_BAR_VRAM;
      for (int i = 0; i < 8; ++i) {
        auto& dword = *reinterpret_cast<std::uint32_t*>(bar + KFDLAB_BAR_COPY_RING + below(random, 0x4000) * 4);
        store_relaxed(dword, random_dword(random));
      }
      if (one_in(random, 20)) {
        scribble(random, bar);
      }
      if (one_in(random, 40)) {
        store_relaxed(driver.bar_base, random() & ~(Vm::kBarSize - 1));
      }
      store_relaxed(driver.generation, one_in(random, 50) ? 7u : 1u);
      store_seq_cst(driver.copy_wptr, random_pointer(random, load_relaxed(driver.copy_wptr)));
      store_seq_cst(driver.control_wptr, load_relaxed(driver.control_wptr) + below(random, 3));
      LoopbackTransport& transport = vm.transport(static_cast<unsigned>(below(random, 2)));
      transport.kick(one_in(random, 2) ? KFDLAB_KICK_COPY : KFDLAB_KICK_CONTROL);
    }
  }
}

TEST(RingFuzz, WordsTheGuestWritesOverTheDevicePageAreNotBelieved) {
  Vm vm;
  ASSERT_TRUE(vm.gpu().wait_fence(vm.gpu().submit_fence()));
  kfdlab_device_regs& regs = vm.gpu().device();
  store_relaxed<std::uint64_t>(regs.copy_rptr, 0x1000);
  store_relaxed<std::uint64_t>(regs.control_done, 500);
  store_relaxed<std::uint64_t>(regs.ih_wptr, 96);
  store_relaxed<std::uint64_t>(regs.copy_packets, 1000);
  vm.gpu().emit(trap_packet(3));
  ASSERT_TRUE(vm.gpu().run());
  vm.gpu().submit_control(KFDLAB_CONTROL_NOP);
  EXPECT_TRUE(eventually([&] { return load_acquire(regs.control_done) == 1; }));
  EXPECT_EQ(load_acquire(regs.ih_wptr), sizeof(ih_entry));
  EXPECT_EQ(load_acquire(regs.copy_packets), 2u);
}

}  // namespace
}  // namespace kfdlab::device
