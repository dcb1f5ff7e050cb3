// SPDX-License-Identifier: MIT
#include "device/cp/control_ring.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "device/host/shared_word.h"
#include "tests/unit/device/support/loopback_vm.h"

namespace kfdlab::device {
namespace {

constexpr std::uint64_t kEntries = KFDLAB_CONTROL_RING_SIZE / sizeof(kfdlab_control_entry);
using Vm = LoopbackVm;

TEST(ControlRing, EntriesCompleteInOrderWithInterrupts) {
  Vm vm;
  const std::uint64_t before = vm.transport().irqs(KFDLAB_IRQ_CONTROL);
  vm.gpu().submit_control(KFDLAB_CONTROL_NOP);
  vm.gpu().submit_control(KFDLAB_CONTROL_TLB_INVALIDATE);
  const std::uint64_t done = vm.gpu().submit_control(KFDLAB_CONTROL_TLB_INVALIDATE);
  ASSERT_TRUE(vm.gpu().wait_control(done));
  EXPECT_TRUE(vm.transport().wait_irq(KFDLAB_IRQ_CONTROL, before, kTestDeadline));
  EXPECT_EQ(load_acquire(vm.gpu().device().control_done), 3u);
  EXPECT_EQ(load_relaxed(vm.gpu().device().tlb_invalidations), 2u);
}

TEST(ControlRing, WrapsManyTimes) {
  Vm vm;
  for (std::uint64_t round = 0; round < 5; ++round) {
    std::uint64_t done = 0;
    for (std::uint64_t i = 0; i < kEntries - round; ++i) {
      done = vm.gpu().submit_control(i % 3 == 0 ? KFDLAB_CONTROL_NOP : KFDLAB_CONTROL_TLB_INVALIDATE);
    }
    ASSERT_TRUE(vm.gpu().wait_control(done));
  }
}

TEST(ControlRing, UnknownOpcodeStopsTheRingAtThatEntry) {
  Vm vm;
  vm.gpu().submit_control(KFDLAB_CONTROL_NOP);
  vm.gpu().submit_control(77);
  vm.gpu().submit_control(KFDLAB_CONTROL_NOP);
  EXPECT_TRUE(eventually([&] { return load_acquire(vm.gpu().device().control_error) != 0; }));
  EXPECT_EQ(load_acquire(vm.gpu().device().control_error), KFDLAB_RING_BAD_OPCODE);
  vm.transport().kick(KFDLAB_KICK_CONTROL);
  vm.gpu().emit(trap_packet(1));
  EXPECT_TRUE(vm.gpu().run()) << "the copy ring goes on";
  EXPECT_EQ(load_acquire(vm.gpu().device().control_done), 1u);
}

TEST(ControlRing, NonsenseWritePointerStopsTheRing) {
  for (const std::uint64_t wptr : {kEntries + 2, std::uint64_t{0}, ~std::uint64_t{0}}) {
    Vm vm;
    ASSERT_TRUE(vm.gpu().wait_control(vm.gpu().submit_control(KFDLAB_CONTROL_NOP)));
    store_seq_cst(vm.gpu().driver().control_wptr, wptr);
    vm.transport().kick(KFDLAB_KICK_CONTROL);
    EXPECT_TRUE(eventually([&] { return load_acquire(vm.gpu().device().control_error) != 0; }));
    EXPECT_EQ(load_acquire(vm.gpu().device().control_error), KFDLAB_RING_BAD_POINTER);
    EXPECT_EQ(load_acquire(vm.gpu().device().control_done), 1u);
  }
}

// Only what concerns translations.
class EpochOperations final : public ControlOperations {
 public:
  explicit EpochOperations(EpochDomain& epochs) : epochs_(epochs) {}
  kfdlab_ring_error execute(const kfdlab_control_entry&) override { return KFDLAB_RING_OK; }
  void invalidate(std::span<const Invalidation>) override { epochs_.synchronize(); }

 private:
  EpochDomain& epochs_;
};

TEST(ControlRing, TlbInvalidateWaitsForTheSafePointOfABusyThread) {
  const GuardedMemory memory(8u << 20);
  write_identity(memory.bytes(), 0, 1);
  const Result<Bar> bar = Bar::create(memory.bytes(), 0, 1);
  ASSERT_TRUE(bar.ok());
  LoopbackTransport transport(memory.bytes(), KFDLAB_KICK_COUNT, KFDLAB_IRQ_COUNT);
  TestDriver driver(memory.bytes(), 0, [](unsigned) {});
  EpochDomain epochs;
  EpochDomain::Participant& busy = epochs.add_participant();
  EpochOperations operations(epochs);
  ControlRing ring(bar.value(), 1, operations, transport);
  driver.adopt(1);
  driver.submit_control(KFDLAB_CONTROL_NOP);
  driver.submit_control(KFDLAB_CONTROL_TLB_INVALIDATE);

  const std::atomic<bool> stop{false};
  busy.enter();
  const std::uint64_t before = epochs.current();
  std::thread control([&] { ring.process(stop); });
  EXPECT_TRUE(eventually([&] { return epochs.current() != before; }));
  EXPECT_EQ(load_acquire(driver.device().control_done), 1u) << "the entry before it is complete, it is not";
  busy.pass();
  control.join();
  EXPECT_EQ(load_acquire(driver.device().control_done), 2u);
  busy.leave();
}

TEST(ControlRing, TlbInvalidateOvertakesCopiesInFlight) {
  Vm vm;
  constexpr unsigned kCopies = 512;  // about 2 GiB: far longer than an invalidation
  for (unsigned i = 0; i < kCopies; ++i) {
    vm.gpu().emit(copy_packet(vm.gpu().vram_address(), vm.gpu().vram_address(SDMA_MAX_BYTES), SDMA_MAX_BYTES));
  }
  const std::uint32_t fence = vm.gpu().submit_fence();
  ASSERT_TRUE(eventually([&] { return load_acquire(vm.gpu().device().copy_packets) > 0; }));
  ASSERT_TRUE(vm.gpu().wait_control(vm.gpu().submit_control(KFDLAB_CONTROL_TLB_INVALIDATE)));
  EXPECT_LT(load_acquire(vm.gpu().device().copy_packets), kCopies);
  EXPECT_TRUE(vm.gpu().wait_fence(fence));
}

TEST(ControlRing, IsServedWhileTheIhRingIsFull) {
  Vm vm;
  constexpr std::uint32_t kTraps = KFDLAB_IH_RING_SIZE / sizeof(ih_entry) + 10;
  for (std::uint32_t i = 0; i < kTraps; ++i) {
    vm.gpu().emit(trap_packet(i));
  }
  ASSERT_TRUE(vm.gpu().run());
  EXPECT_EQ(load_acquire(vm.gpu().device().ih_wptr), KFDLAB_IH_RING_SIZE);
  EXPECT_EQ(load_acquire(vm.gpu().device().ih_dropped), 10u);
  EXPECT_TRUE(vm.gpu().wait_control(vm.gpu().submit_control(KFDLAB_CONTROL_TLB_INVALIDATE)));
}

}  // namespace
}  // namespace kfdlab::device
