// SPDX-License-Identifier: MIT
// What the copy ring does when the driver keeps the rules.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "device/host/shared_word.h"
#include "tests/unit/device/support/loopback_vm.h"

namespace kfdlab::device {
namespace {

using Vm = LoopbackVm;

bool all_dwords_are(std::span<const std::byte> bytes, std::uint32_t value) {
  for (std::size_t i = 0; i < bytes.size(); i += sizeof(value)) {
    if (std::memcmp(bytes.data() + i, &value, sizeof(value)) != 0) {
      return false;
    }
  }
  return true;
}

TEST(CopyRing, CopiesRamToVramAndBack) {
  Vm vm;
  constexpr std::uint32_t kSize = 0x23456;
  fill_pattern(vm.ram(Vm::kRamBase, kSize), 1);
  vm.gpu().emit(copy_packet(Vm::kRamBase, vm.gpu().vram_address(0x1000), kSize));
  vm.gpu().emit(copy_packet(vm.gpu().vram_address(0x1000), Vm::kHighRamBase + 3, kSize));
  ASSERT_TRUE(vm.gpu().run());
  EXPECT_TRUE(has_pattern(vm.gpu().vram().subspan(0x1000, kSize), 1));
  EXPECT_TRUE(has_pattern(vm.ram(Vm::kHighRamBase + 3, kSize), 1));
  EXPECT_EQ(vm.gpu().vram()[0xfff], std::byte{0});
  EXPECT_EQ(vm.gpu().vram()[0x1000 + kSize], std::byte{0});
  EXPECT_EQ(load_relaxed(vm.gpu().device().copy_bytes), 2u * kSize);
  EXPECT_EQ(load_relaxed(vm.gpu().device().copy_packets), 2u);
}

TEST(CopyRing, LargestTransferIsOnePacket) {
  Vm vm;
  fill_pattern(vm.gpu().vram().first(SDMA_MAX_BYTES), 2);
  vm.gpu().emit(copy_packet(vm.gpu().vram_address(), vm.gpu().vram_address(SDMA_MAX_BYTES), SDMA_MAX_BYTES));
  ASSERT_TRUE(vm.gpu().run());
  EXPECT_TRUE(has_pattern(vm.gpu().vram().subspan(SDMA_MAX_BYTES, SDMA_MAX_BYTES), 2));
}

TEST(CopyRing, TransferCrossesRamSegmentsOnBothSides) {
  Vm vm;
  constexpr std::uint64_t kSeam = Vm::kRamBase + Vm::kSegmentSize;
  fill_pattern(vm.gpu().vram().first(0x3001), 3);
  vm.gpu().emit(copy_packet(vm.gpu().vram_address(), kSeam - 0x1003, 0x3001));
  vm.gpu().emit(copy_packet(kSeam - 0x1003, vm.gpu().vram_address(0x8000), 0x3001));
  vm.gpu().emit(fill_packet(kSeam - 8, 0x01020304, 16));
  ASSERT_TRUE(vm.gpu().run());
  EXPECT_TRUE(has_pattern(vm.gpu().vram().subspan(0x8000, 0x3001), 3));
  EXPECT_TRUE(all_dwords_are(vm.ram(kSeam - 8, 8), 0x01020304));
  EXPECT_TRUE(all_dwords_are(vm.ram(kSeam, 8), 0x01020304));
}

TEST(CopyRing, PeersVramResolvesThroughItsDriversBarBase) {
  Vm vm(2);
  fill_pattern(vm.gpu(0).vram().first(0x5000), 4);
  vm.gpu(0).emit(copy_packet(vm.gpu(0).vram_address(), vm.gpu(1).vram_address(0x2000), 0x5000));
  ASSERT_TRUE(vm.gpu(0).run());
  EXPECT_TRUE(has_pattern(vm.gpu(1).vram().subspan(0x2000, 0x5000), 4));
}

TEST(CopyRing, OverlappingCopyStaysInsideItsDestination) {
  Vm vm;
  fill_pattern(vm.ram(Vm::kRamBase, 0x40000), 5);
  vm.gpu().emit(copy_packet(Vm::kRamBase + 0x1000, Vm::kRamBase + 0x1800, 0x20000));
  ASSERT_TRUE(vm.gpu().run());
  const GuardedMemory reference(0x40000);
  fill_pattern(reference.bytes(), 5);
  const std::span<std::byte> ram = vm.ram(Vm::kRamBase, 0x40000);
  EXPECT_TRUE(std::ranges::equal(ram.first(0x1800), reference.bytes().first(0x1800)));
  EXPECT_TRUE(std::ranges::equal(ram.subspan(0x21800), reference.bytes().subspan(0x21800)));
}

TEST(CopyRing, FillsDwordsOfAnyValueAndOnlyThose) {
  Vm vm;
  for (const std::uint32_t value : {0u, 0xffffffffu, 0x5a5a5a5au, 0x12345678u}) {
    std::ranges::fill(vm.gpu().vram().first(0x40000), std::byte{0x77});
    vm.gpu().emit(fill_packet(vm.gpu().vram_address(4), value, 0x2fffc));
    ASSERT_TRUE(vm.gpu().run());
    EXPECT_TRUE(all_dwords_are(vm.gpu().vram().subspan(4, 0x2fffc), value));
    EXPECT_TRUE(all_dwords_are(vm.gpu().vram().first(4), 0x77777777));
    EXPECT_TRUE(all_dwords_are(vm.gpu().vram().subspan(0x30000, 0x100), 0x77777777));
  }
  EXPECT_EQ(load_relaxed(vm.gpu().device().fill_bytes), 4u * 0x2fffc);
}

TEST(CopyRing, FenceIsWrittenAfterTheCopiesBeforeIt) {
  Vm vm;
  for (std::uint64_t round = 0; round < 50; ++round) {
    fill_pattern(vm.ram(Vm::kRamBase, 0x4000), round);
    for (std::uint64_t page = 0; page < 4; ++page) {
      vm.gpu().emit(copy_packet(Vm::kRamBase + page * 4096, vm.gpu().vram_address(page * 4096), 4096));
    }
    ASSERT_TRUE(vm.gpu().wait_fence(vm.gpu().submit_fence()));
    ASSERT_TRUE(has_pattern(vm.gpu().vram().first(0x4000), round));
  }
}

TEST(CopyRing, FenceWritesRamAndVramToo) {
  Vm vm;
  vm.gpu().emit(fence_packet(Vm::kRamBase + 0x40, 0xabcd));
  vm.gpu().emit(fence_packet(vm.gpu().vram_address(0x80), 0xef01));
  ASSERT_TRUE(vm.gpu().run());
  EXPECT_TRUE(all_dwords_are(vm.ram(Vm::kRamBase + 0x40, 4), 0xabcd));
  EXPECT_TRUE(all_dwords_are(vm.gpu().vram().subspan(0x80, 4), 0xef01));
}

TEST(CopyRing, TrapBecomesIhEntryAndInterrupt) {
  Vm vm;
  const std::uint64_t before = vm.transport().irqs(KFDLAB_IRQ_IH);
  vm.gpu().emit(trap_packet(42));
  ASSERT_TRUE(vm.gpu().run());
  EXPECT_TRUE(vm.transport().wait_irq(KFDLAB_IRQ_IH, before, kTestDeadline));
  ih_entry entry;
  ASSERT_TRUE(vm.gpu().take_ih(entry));
  EXPECT_EQ(entry.source, ih_source(IH_CLIENT_SDMA0, IH_SOURCE_SDMA_TRAP, 0, 0));
  EXPECT_EQ(entry.src_data[0], 42u);
}

TEST(CopyRing, NopSkipsAsManyDwordsAsItSays) {
  Vm vm;
  const std::uint32_t nop[] = {sdma_header(SDMA_OP_NOP, 0) | 3u << SDMA_NOP_COUNT_SHIFT, 0xffffffff, 0xffffffff,
                               0xffffffff};
  vm.gpu().emit(nop);
  const std::uint32_t plain = sdma_header(SDMA_OP_NOP, 0);
  vm.gpu().emit(plain);
  vm.gpu().emit(trap_packet(1));
  ASSERT_TRUE(vm.gpu().run());
  EXPECT_EQ(load_relaxed(vm.gpu().device().copy_packets), 3u);
}

// 28 does not divide the ring, so in several rounds packets straddle its end at every dword.
TEST(CopyRing, PacketsWrapAtTheEndOfTheRingAtAnyDword) {
  Vm vm;
  constexpr std::uint64_t kSlots = 128;
  const std::uint64_t packets = 8 * KFDLAB_COPY_RING_SIZE / sizeof(sdma_copy_linear);
  fill_pattern(vm.ram(Vm::kRamBase, kSlots * 64), 6);
  for (std::uint64_t i = 0; i < packets; ++i) {
    const std::uint64_t slot = i % kSlots * 64;
    vm.gpu().emit(copy_packet(Vm::kRamBase + slot, vm.gpu().vram_address(slot), 64));
    if (i % 4000 == 3999) {
      ASSERT_TRUE(vm.gpu().run());
    }
  }
  ASSERT_TRUE(vm.gpu().run());
  EXPECT_TRUE(has_pattern(vm.gpu().vram().first(kSlots * 64), 6));
  EXPECT_EQ(load_relaxed(vm.gpu().device().copy_packets), packets);
}

TEST(CopyRing, FullRingIsConsumedToTheLastByte) {
  Vm vm;
  for (std::uint64_t i = 0; i < KFDLAB_COPY_RING_SIZE / 4; ++i) {
    vm.gpu().emit(sdma_header(SDMA_OP_NOP, 0));
  }
  ASSERT_TRUE(vm.gpu().run());
  EXPECT_EQ(load_acquire(vm.gpu().device().copy_rptr), KFDLAB_COPY_RING_SIZE);
}

TEST(Generation, NothingIsConsumedBeforeTheDriverAdoptsIt) {
  Vm vm(1, false);
  fill_pattern(vm.ram(Vm::kRamBase, 4096), 7);
  store_relaxed(vm.gpu().driver().bar_base, Vm::kBarBase);
  for (const std::uint32_t other : {0u, 2u}) {
    store_release(vm.gpu().driver().generation, other);
    vm.gpu().emit(copy_packet(Vm::kRamBase, vm.gpu().vram_address(), 4096));
    vm.gpu().submit();
    const std::uint64_t done = vm.gpu().submit_control(KFDLAB_CONTROL_NOP);
    vm.transport().kick(KFDLAB_KICK_COPY);
    EXPECT_FALSE(eventually([&] { return load_acquire(vm.gpu().device().control_done) == done; },
                            std::chrono::milliseconds(50)));
    EXPECT_EQ(load_acquire(vm.gpu().device().copy_rptr), 0u);
    EXPECT_EQ(vm.gpu().copy_error(), KFDLAB_RING_OK);
  }
  store_release(vm.gpu().driver().generation, 1u);
  vm.transport().kick(KFDLAB_KICK_CONTROL);
  vm.gpu().submit_control(KFDLAB_CONTROL_NOP);
  EXPECT_TRUE(vm.gpu().wait_control(3));
  ASSERT_TRUE(vm.gpu().run());
  EXPECT_TRUE(has_pattern(vm.gpu().vram().first(4096), 7));
}

TEST(Generation, NewProcessAnnouncesItselfWithCleanRegistersAndAnInterrupt) {
  Vm vm;
  EXPECT_EQ(vm.transport().irqs(KFDLAB_IRQ_STATE), 1u);
  EXPECT_EQ(load_acquire(vm.gpu().device().state), kfdlab_state_word(1, KFDLAB_STATE_READY));
}

}  // namespace
}  // namespace kfdlab::device
