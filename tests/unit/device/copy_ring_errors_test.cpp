// SPDX-License-Identifier: MIT
// What the copy ring does when the driver breaks the rules: the right error, nothing written by the packet at
// fault, nothing consumed behind it.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "device/host/shared_word.h"
#include "tests/unit/device/support/loopback_vm.h"

namespace kfdlab::device {
namespace {

using Vm = LoopbackVm;

class CopyRingErrors : public ::testing::Test {
 protected:
  // Everything a packet could write, before and after it.
  [[nodiscard]] std::vector<std::byte> snapshot() {
    std::vector<std::byte> all;
    for (const std::uint64_t address : {Vm::kRamBase, Vm::kRamBase + Vm::kSegmentSize, Vm::kHighRamBase}) {
      const std::span<std::byte> bytes = vm_.ram(address, Vm::kSegmentSize);
      all.insert(all.end(), bytes.begin(), bytes.end());
    }
    const std::span<std::byte> vram = vm_.gpu().vram();
    all.insert(all.end(), vram.begin(), vram.end());
    return all;
  }

  // The ring stops at the packet with this error: earlier packets ran, it and later ones did nothing.
  template <typename Packet>
  void expect_stop(const Packet& bad, kfdlab_ring_error error) {
    fill_pattern(vm_.ram(Vm::kRamBase, 0x10000), 1);
    const std::uint64_t interrupts = vm_.transport().irqs(KFDLAB_IRQ_IH);
    vm_.gpu().emit(sdma_header(SDMA_OP_NOP, 0));
    const std::uint64_t at = vm_.gpu().copy_wptr();
    vm_.gpu().emit(bad);
    vm_.gpu().emit(fill_packet(vm_.gpu().vram_address(), 0xdeadbeef, 4096));
    const std::vector<std::byte> before = snapshot();
    vm_.gpu().submit();
    EXPECT_TRUE(vm_.gpu().wait_copy_error(error)) << vm_.gpu().copy_error();
    EXPECT_TRUE(vm_.transport().wait_irq(KFDLAB_IRQ_IH, interrupts, kTestDeadline));
    vm_.stop();
    EXPECT_EQ(load_acquire(vm_.gpu().device().copy_rptr), at);
    EXPECT_EQ(load_relaxed(vm_.gpu().device().copy_packets), 1u);
    EXPECT_EQ(std::memcmp(snapshot().data(), before.data(), before.size()), 0);
  }

  Vm vm_;
};

TEST_F(CopyRingErrors, UnknownOpcode) { expect_stop(std::uint32_t{0xff}, KFDLAB_RING_BAD_OPCODE); }

TEST_F(CopyRingErrors, UnknownSubOpcode) {
  sdma_copy_linear packet = copy_packet(Vm::kRamBase, vm_.gpu().vram_address(), 64);
  packet.header = sdma_header(SDMA_OP_COPY, 3);
  expect_stop(packet, KFDLAB_RING_BAD_OPCODE);
}

TEST_F(CopyRingErrors, ReservedHeaderBits) {
  sdma_copy_linear packet = copy_packet(Vm::kRamBase, vm_.gpu().vram_address(), 64);
  packet.header |= 1u << 27;
  expect_stop(packet, KFDLAB_RING_BAD_OPCODE);
}

TEST_F(CopyRingErrors, CopyParameterWeDoNotHave) {
  sdma_copy_linear packet = copy_packet(Vm::kRamBase, vm_.gpu().vram_address(), 64);
  packet.parameter = 1u << 16;
  expect_stop(packet, KFDLAB_RING_BAD_OPCODE);
}

TEST_F(CopyRingErrors, FillOfOtherSizeThanDword) {
  sdma_const_fill packet = fill_packet(vm_.gpu().vram_address(), 1, 64);
  packet.header &= ~SDMA_FILL_DWORD;
  expect_stop(packet, KFDLAB_RING_BAD_OPCODE);
}

TEST_F(CopyRingErrors, CopySourceOutsideMemory) {
  expect_stop(copy_packet(Vm::kNowhere, vm_.gpu().vram_address(), 64), KFDLAB_RING_BAD_ADDRESS);
}

TEST_F(CopyRingErrors, CopyDestinationOutsideMemory) {
  expect_stop(copy_packet(Vm::kRamBase, Vm::kNowhere, 64), KFDLAB_RING_BAD_ADDRESS);
}

TEST_F(CopyRingErrors, CopyThatRunsOneByteOutOfRam) {
  expect_stop(copy_packet(vm_.gpu().vram_address(), Vm::kRamBase + Vm::kRamSize - 64, 65), KFDLAB_RING_BAD_ADDRESS);
}

TEST_F(CopyRingErrors, CopyThatRunsOneByteOutOfVram) {
  expect_stop(copy_packet(Vm::kRamBase, vm_.gpu().vram_address(vm_.gpu().vram().size() - 64), 65),
              KFDLAB_RING_BAD_ADDRESS);
}

TEST_F(CopyRingErrors, CopyThatWrapsTheAddressSpace) {
  expect_stop(copy_packet(~std::uint64_t{0} - 3, vm_.gpu().vram_address(), 64), KFDLAB_RING_BAD_ADDRESS);
}

TEST_F(CopyRingErrors, CopyIntoRegisters) {
  expect_stop(copy_packet(Vm::kRamBase, Vm::kBarBase + KFDLAB_BAR_DEVICE_REGS, 64), KFDLAB_RING_BAD_ADDRESS);
}

TEST_F(CopyRingErrors, CopyFromRing) {
  expect_stop(copy_packet(Vm::kBarBase + KFDLAB_BAR_COPY_RING, Vm::kRamBase, 64), KFDLAB_RING_BAD_ADDRESS);
}

TEST_F(CopyRingErrors, CopyBeyondTheLargestTransfer) {
  expect_stop(copy_packet(vm_.gpu().vram_address(), vm_.gpu().vram_address(), SDMA_MAX_BYTES + 1),
              KFDLAB_RING_BAD_LENGTH);
}

TEST_F(CopyRingErrors, CopyCountWithReservedBits) {
  sdma_copy_linear packet = copy_packet(Vm::kRamBase, vm_.gpu().vram_address(), 64);
  packet.count |= 1u << 31;
  expect_stop(packet, KFDLAB_RING_BAD_LENGTH);
}

TEST_F(CopyRingErrors, FillLengthThatIsNoDword) {
  expect_stop(fill_packet(vm_.gpu().vram_address(), 1, 63), KFDLAB_RING_BAD_LENGTH);
}

TEST_F(CopyRingErrors, FillOfMisalignedAddress) {
  expect_stop(fill_packet(vm_.gpu().vram_address(2), 1, 64), KFDLAB_RING_BAD_ADDRESS);
}

TEST_F(CopyRingErrors, FillOutsideMemory) { expect_stop(fill_packet(Vm::kNowhere, 1, 64), KFDLAB_RING_BAD_ADDRESS); }

TEST_F(CopyRingErrors, FenceToMisalignedAddress) {
  expect_stop(fence_packet(vm_.gpu().fence_address() + 2, 1), KFDLAB_RING_BAD_ADDRESS);
}

TEST_F(CopyRingErrors, FenceToRegisterOtherThanCopyFence) {
  expect_stop(fence_packet(vm_.gpu().fence_address() + 4, 1), KFDLAB_RING_BAD_ADDRESS);
}

TEST_F(CopyRingErrors, PacketRunsPastTheWritePointer) {
  vm_.gpu().emit(sdma_header(SDMA_OP_COPY, SDMA_SUBOP_COPY_LINEAR));
  vm_.gpu().submit();
  EXPECT_TRUE(vm_.gpu().wait_copy_error(KFDLAB_RING_BAD_LENGTH));
}

TEST_F(CopyRingErrors, NopRunsPastTheWritePointer) {
  vm_.gpu().emit(sdma_header(SDMA_OP_NOP, 0) | SDMA_NOP_COUNT_MASK);
  vm_.gpu().submit();
  EXPECT_TRUE(vm_.gpu().wait_copy_error(KFDLAB_RING_BAD_LENGTH));
}

class CopyRingPointer : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(CopyRingPointer, NonsenseWritePointerStopsTheRing) {
  Vm vm;
  vm.gpu().emit(trap_packet(0));
  ASSERT_TRUE(vm.gpu().run());
  store_seq_cst(vm.gpu().driver().copy_wptr, GetParam());
  vm.transport().kick(KFDLAB_KICK_COPY);
  EXPECT_TRUE(vm.gpu().wait_copy_error(KFDLAB_RING_BAD_POINTER));
  EXPECT_EQ(load_acquire(vm.gpu().device().copy_rptr), sizeof(sdma_trap));
}

// Misaligned, a dword more than a ring ahead, gone back, far away.
INSTANTIATE_TEST_SUITE_P(, CopyRingPointer,
                         ::testing::Values(10, KFDLAB_COPY_RING_SIZE + 12, 4, std::uint64_t{1} << 63));

TEST(CopyRingStopped, StaysStoppedWhileControlGoesOn) {
  Vm vm;
  vm.gpu().emit(std::uint32_t{0xff});
  vm.gpu().submit();
  ASSERT_TRUE(vm.gpu().wait_copy_error(KFDLAB_RING_BAD_OPCODE));
  vm.gpu().emit(trap_packet(1));
  vm.gpu().submit();
  vm.transport().kick(KFDLAB_KICK_COPY);
  EXPECT_TRUE(vm.gpu().wait_control(vm.gpu().submit_control(KFDLAB_CONTROL_TLB_INVALIDATE)));
  EXPECT_EQ(load_acquire(vm.gpu().device().copy_rptr), 0u);
}

}  // namespace
}  // namespace kfdlab::device
