// SPDX-License-Identifier: MIT
// The driver's side of user queues through the control ring of a running device: mapping, stopping, killing, and what
// the fences mean.
#include <gtest/gtest.h>

#include "device/cp/gpu_clock.h"
#include "tests/unit/queue/support/aql_packets.h"
#include "tests/unit/queue/support/queue_vm.h"

namespace kfdlab::device {
namespace {

constexpr std::uint64_t kPage = 4096;

std::uint32_t word(QueueVm& vm, std::uint64_t va) { return load_acquire(vm.at<std::uint32_t>(va)); }

// Shows that the scheduler has been around: another queue did something since.
bool other_queue_works(QueueVm& vm, unsigned number, std::uint32_t value) {
  vm.submit_sdma(number, fence_packet(QueueVm::data(number), value));
  return vm.wait_sdma_idle(number);
}

void submit_kernel(QueueVm& vm, unsigned number) {
  auto& wptr = vm.at<std::uint64_t>(QueueVm::wptr_va(number));
  const std::uint64_t index = load_relaxed(wptr);
  vm.at<aql_kernel_dispatch>(QueueVm::ring(number) + index * AQL_PACKET_BYTES % QueueVm::kRingBytes) =
      kernel_packet(QueueVm::data(number));
  store_release(wptr, index + 1);
  vm.ring_doorbell(number, index);
}

TEST(QueueControl, MappedQueueIsServed) {
  QueueVm vm;
  ASSERT_TRUE(vm.map_queue(3, KFDLAB_QUEUE_SDMA));
  EXPECT_EQ(load_acquire(vm.mqd(3).cp_hqd_active), 1u);
  fill_pattern(vm.bytes(QueueVm::data(3), kPage), 1);
  vm.submit_sdma(3, copy_packet(QueueVm::data(3), QueueVm::data(4), kPage));
  vm.submit_sdma(3, trap_packet(44));
  ASSERT_TRUE(vm.wait_sdma_idle(3));
  EXPECT_TRUE(has_pattern(vm.bytes(QueueVm::data(4), kPage), 1));
  ih_entry entry = {};
  ASSERT_TRUE(eventually([&] { return vm.driver().take_ih(entry); }));
  EXPECT_EQ(entry.source & 0xffff, IH_CLIENT_SDMA0 | IH_SOURCE_SDMA_TRAP << 8);
  EXPECT_EQ(entry.pasid, QueueVm::kPasid);
  EXPECT_EQ(entry.src_data[0], 44u);
  EXPECT_TRUE(eventually([&] { return load_acquire(vm.driver().device().queue_packets) == 2; }));
  EXPECT_EQ(load_acquire(vm.driver().device().queue_copy_bytes), kPage);
}

TEST(QueueControl, QuiescedQueueDoesNothingUntilResumed) {
  QueueVm vm;
  ASSERT_TRUE(vm.map_queue(0, KFDLAB_QUEUE_SDMA));
  ASSERT_TRUE(vm.map_queue(1, KFDLAB_QUEUE_SDMA));
  ASSERT_TRUE(vm.quiesce(0));
  vm.submit_sdma(0, fence_packet(QueueVm::data(0), 5));
  ASSERT_TRUE(other_queue_works(vm, 1, 1));
  EXPECT_EQ(word(vm, QueueVm::data(0)), 0u);
  ASSERT_TRUE(vm.resume(0));
  ASSERT_TRUE(vm.wait_sdma_idle(0));
  EXPECT_EQ(word(vm, QueueVm::data(0)), 5u);
}

TEST(QueueControl, QuiescingAVmidStopsAllItsQueuesAndDoesNotCount) {
  QueueVm vm;
  ASSERT_TRUE(vm.map_queue(0, KFDLAB_QUEUE_SDMA));
  ASSERT_TRUE(vm.map_queue(1, KFDLAB_QUEUE_AQL));
  ASSERT_TRUE(vm.quiesce(KFDLAB_QUEUE_ALL));
  ASSERT_TRUE(vm.quiesce(KFDLAB_QUEUE_ALL));
  EXPECT_EQ(FakeEngine::current().quiesced(0), 1);
  EXPECT_EQ(FakeEngine::current().quiesced(1), 1);
  ASSERT_TRUE(vm.map_queue(2, KFDLAB_QUEUE_SDMA));
  vm.submit_sdma(0, fence_packet(QueueVm::data(0), 5));
  ASSERT_TRUE(other_queue_works(vm, 2, 1)) << "mapped later, not quiesced";
  EXPECT_EQ(word(vm, QueueVm::data(0)), 0u);
  ASSERT_TRUE(vm.resume(KFDLAB_QUEUE_ALL));
  EXPECT_EQ(FakeEngine::current().quiesced(0), 0);
  EXPECT_EQ(FakeEngine::current().quiesced(1), 0);
  ASSERT_TRUE(vm.wait_sdma_idle(0));
  ASSERT_TRUE(vm.resume(KFDLAB_QUEUE_ALL)) << "nothing to undo";
  EXPECT_EQ(FakeEngine::current().quiesced(0), 0);
}

TEST(QueueControl, QuiesceStopsACopyInItsMidst) {
  QueueVm vm;
  ASSERT_TRUE(vm.map_queue(0, KFDLAB_QUEUE_SDMA));
  // Two copies of 2 MiB again and again, so that there is always one under way.
  const std::uint64_t source = QueueVm::kVa + (1u << 20);
  const std::uint64_t destination = QueueVm::kVa + (5u << 19);
  for (int i = 0; i < 20; ++i) {
    vm.submit_sdma(0, copy_packet(source, destination, 1u << 20));
  }
  ASSERT_TRUE(vm.quiesce(0));
  fill_pattern(vm.bytes(destination, 1u << 20), 7);  // ours again
  ASSERT_TRUE(vm.map_queue(1, KFDLAB_QUEUE_SDMA));
  for (std::uint32_t i = 1; i < 20; ++i) {
    ASSERT_TRUE(other_queue_works(vm, 1, i));
  }
  EXPECT_TRUE(has_pattern(vm.bytes(destination, 1u << 20), 7));
  ASSERT_TRUE(vm.resume(0));
  EXPECT_TRUE(vm.wait_sdma_idle(0));
}

TEST(QueueControl, UnmapSaysWhereTheQueueWasAndMapGoesOnThere) {
  QueueVm vm;
  ASSERT_TRUE(vm.map_queue(0, KFDLAB_QUEUE_SDMA));
  ASSERT_TRUE(other_queue_works(vm, 0, 1));
  ASSERT_TRUE(vm.unmap(0));
  EXPECT_EQ(vm.mqd(0).cp_hqd_active, 0u);
  EXPECT_EQ(vm.mqd(0).cp_hqd_pq_rptr, sizeof(sdma_fence));
  vm.submit_sdma(0, fence_packet(QueueVm::data(0), 2));
  ASSERT_TRUE(vm.map_queue(1, KFDLAB_QUEUE_SDMA));
  ASSERT_TRUE(other_queue_works(vm, 1, 1));
  EXPECT_EQ(word(vm, QueueVm::data(0)), 1u) << "not mapped";
  ASSERT_TRUE(vm.map_queue(0, KFDLAB_QUEUE_SDMA));
  ASSERT_TRUE(vm.wait_sdma_idle(0));
  EXPECT_EQ(word(vm, QueueVm::data(0)), 2u);
}

TEST(QueueControl, UnmapKillsKernelsAlsoOfAQuiescedQueue) {
  for (const bool quiesced : {false, true}) {
    QueueVm vm;
    ASSERT_TRUE(vm.map_queue(2, KFDLAB_QUEUE_AQL));
    submit_kernel(vm, 2);
    FakeEngine& engine = FakeEngine::current();
    ASSERT_TRUE(eventually([&] { return engine.launched() == 1; }));
    if (quiesced) {
      ASSERT_TRUE(vm.quiesce(2));
    }
    ASSERT_TRUE(vm.unmap(KFDLAB_QUEUE_ALL));
    EXPECT_FALSE(engine.running(0));
    EXPECT_EQ(engine.quiesced(2), 0) << "the number can be used again";
    EXPECT_EQ(vm.mqd(2).cp_hqd_pq_rptr, 0u);
  }
}

TEST(QueueControl, NewsOfAKernelDoNotReachALaterQueueOfTheSameNumber) {
  QueueVm vm;
  ASSERT_TRUE(vm.map_queue(2, KFDLAB_QUEUE_AQL));
  submit_kernel(vm, 2);
  ASSERT_TRUE(eventually([&] { return FakeEngine::current().launched() == 1; }));
  ASSERT_TRUE(vm.unmap(2));
  ASSERT_TRUE(vm.map_queue(2, KFDLAB_QUEUE_AQL));
  ASSERT_TRUE(eventually([&] { return FakeEngine::current().launched() == 2; })) << "the same packet again";
  FakeEngine::current().finish(1);
  EXPECT_TRUE(eventually([&] { return load_acquire(vm.at<std::uint64_t>(QueueVm::rptr_va(2))) == 1; }));
}

TEST(QueueControl, KernelRunsToItsSignalThroughTheEngine) {
  QueueVm vm;
  ASSERT_TRUE(vm.map_queue(2, KFDLAB_QUEUE_AQL));
  submit_kernel(vm, 2);
  FakeEngine& engine = FakeEngine::current();
  ASSERT_TRUE(eventually([&] { return engine.launched() == 1; }));
  EXPECT_EQ(engine.dispatch(0).doorbell, QueueVm::doorbell_offset(2) % 0x2000 / 8);
  engine.finish(0);
  EXPECT_TRUE(eventually([&] { return load_acquire(vm.at<std::uint64_t>(QueueVm::rptr_va(2))) == 1; }));
  EXPECT_TRUE(eventually([&] { return load_acquire(vm.driver().device().queue_dispatches) == 1; }));
}

TEST(QueueControl, UpdateMovesTheRing) {
  QueueVm vm;
  ASSERT_TRUE(vm.map_queue(0, KFDLAB_QUEUE_SDMA));
  ASSERT_TRUE(other_queue_works(vm, 0, 1));
  ASSERT_TRUE(vm.quiesce(0));
  const std::uint64_t ring = QueueVm::data(0) + 0x1000;
  vm.mqd(0).cp_hqd_pq_base = ring;
  ASSERT_TRUE(vm.control(KFDLAB_CONTROL_UPDATE_QUEUE, QueueVm::kVmid, {0, QueueVm::mqd_address(0)}));
  ASSERT_TRUE(vm.resume(0));
  const sdma_fence fence = fence_packet(QueueVm::data(0), 2);
  std::memcpy(vm.bytes(ring + sizeof(fence), sizeof(fence)).data(), &fence, sizeof(fence));
  store_release(vm.at<std::uint64_t>(QueueVm::wptr_va(0)), std::uint64_t{2 * sizeof(fence)});
  vm.ring_doorbell(0, 2 * sizeof(fence));
  ASSERT_TRUE(vm.wait_sdma_idle(0));
  EXPECT_EQ(word(vm, QueueVm::data(0)), 2u);
}

TEST(QueueControl, RetryFaultIsServedByMappingAndInvalidating) {
  QueueVm vm(true);
  ASSERT_TRUE(vm.map_queue(0, KFDLAB_QUEUE_SDMA));
  const std::uint64_t target = QueueVm::data(5);
  vm.set_page(target, false);
  ASSERT_TRUE(vm.control(KFDLAB_CONTROL_TLB_INVALIDATE, QueueVm::kVmid, {target >> 12, 1}));
  vm.submit_sdma(0, fence_packet(target, 9));
  ih_entry fault = {};
  ASSERT_TRUE(eventually([&] { return vm.driver().take_ih(fault); }));
  EXPECT_EQ(ih_fault_address(&fault), target);
  EXPECT_NE(fault.src_data[1] & IH_FAULT_RETRY, 0u);
  EXPECT_EQ(fault.pasid, QueueVm::kPasid);
  vm.set_page(target, true);
  ASSERT_TRUE(vm.control(KFDLAB_CONTROL_TLB_INVALIDATE, QueueVm::kVmid, {target >> 12, 1}));
  ASSERT_TRUE(vm.wait_sdma_idle(0));
  EXPECT_EQ(word(vm, target), 9u);
  EXPECT_GE(load_acquire(vm.driver().device().queue_faults), 1u);
}

// A driver that forgets the invalidation is served by the retries.
TEST(QueueControl, RetryFaultIsTriedAgainWithoutAnInvalidation) {
  QueueVm vm(true);
  ASSERT_TRUE(vm.map_queue(0, KFDLAB_QUEUE_SDMA));
  const std::uint64_t target = QueueVm::data(5);
  vm.set_page(target, false);
  ASSERT_TRUE(vm.control(KFDLAB_CONTROL_TLB_INVALIDATE, QueueVm::kVmid, {target >> 12, 1}));
  vm.submit_sdma(0, fence_packet(target, 9));
  ih_entry fault = {};
  ASSERT_TRUE(eventually([&] { return vm.driver().take_ih(fault); }));
  vm.set_page(target, true);
  EXPECT_TRUE(vm.wait_sdma_idle(0));
}

TEST(QueueControl, VmidTakenAwayFaults) {
  QueueVm vm;
  ASSERT_TRUE(vm.map_queue(0, KFDLAB_QUEUE_SDMA));
  ASSERT_TRUE(other_queue_works(vm, 0, 1));
  ASSERT_TRUE(vm.quiesce(0));
  ASSERT_TRUE(vm.set_vmid(false, false));
  ASSERT_TRUE(vm.resume(0));
  vm.submit_sdma(0, fence_packet(QueueVm::data(0), 2));
  EXPECT_TRUE(eventually([&] { return load_acquire(vm.mqd(0).cp_hqd_error) == KFDLAB_QUEUE_MEMORY_FAULT; }));
  EXPECT_EQ(word(vm, QueueVm::data(0)), 1u);
  ASSERT_TRUE(vm.unmap(0)) << "a queue that stopped can be unmapped";
}

TEST(QueueControl, OneQueueThatStopsLeavesTheOthers) {
  QueueVm vm;
  ASSERT_TRUE(vm.map_queue(0, KFDLAB_QUEUE_SDMA));
  ASSERT_TRUE(vm.map_queue(1, KFDLAB_QUEUE_SDMA));
  vm.submit_sdma(0, trap_packet(1));
  ASSERT_TRUE(vm.wait_sdma_idle(0));
  vm.submit_sdma(0, std::array<std::uint32_t, 1>{0x77});
  EXPECT_TRUE(eventually([&] { return load_acquire(vm.mqd(0).cp_hqd_error) == KFDLAB_QUEUE_BAD_PACKET; }));
  EXPECT_TRUE(other_queue_works(vm, 1, 1));
}

TEST(QueueControl, ClockIsStored) {
  QueueVm vm;
  const std::uint64_t before = gpu_clock();
  ASSERT_TRUE(vm.control(KFDLAB_CONTROL_CLOCK, 0, {}));
  const std::uint64_t clock = load_acquire(vm.driver().device().clock_counter);
  EXPECT_GE(clock, before);
  EXPECT_LE(clock, gpu_clock());
}

TEST(QueueControl, OperationsOnQueuesThatAreNotMappedComplete) {
  QueueVm vm;
  EXPECT_TRUE(vm.unmap(5));
  EXPECT_TRUE(vm.quiesce(5));
  EXPECT_TRUE(vm.resume(KFDLAB_QUEUE_ALL));
}

struct BadEntry {
  const char* what;
  std::uint32_t op;
  std::uint32_t vmid;
  std::vector<std::uint64_t> args;
  kfdlab_ring_error error;
};

void PrintTo(const BadEntry& entry, std::ostream* out) { *out << entry.what; }

class QueueControlRefusal : public ::testing::TestWithParam<BadEntry> {};

TEST_P(QueueControlRefusal, StopsTheControlRing) {
  QueueVm vm;
  ASSERT_TRUE(vm.map_queue(0, KFDLAB_QUEUE_SDMA));
  vm.mqd(1) = vm.mqd(0);
  vm.mqd(2) = vm.mqd(0);
  vm.mqd(2).cp_hqd_pq_size = 3000;
  vm.mqd(3) = vm.mqd(0);
  vm.mqd(3).cp_hqd_pq_doorbell_offset = KFDLAB_DOORBELL_SIZE;
  vm.mqd(4) = vm.mqd(0);
  vm.mqd(4).cp_hqd_pq_wptr_poll_addr += 4;
  vm.mqd(5) = vm.mqd(0);
  vm.mqd(5).queue_type = 4;
  const BadEntry& entry = GetParam();
  EXPECT_FALSE(vm.control(entry.op, entry.vmid, entry.args));
  EXPECT_EQ(load_acquire(vm.driver().device().control_error), static_cast<std::uint32_t>(entry.error));
}

constexpr std::uint32_t kV = QueueVm::kVmid;

INSTANTIATE_TEST_SUITE_P(
    Entries, QueueControlRefusal,
    ::testing::Values(
        BadEntry{"VMID 0", KFDLAB_CONTROL_SET_VMID, 0, {1, 1}, KFDLAB_RING_BAD_LENGTH},
        BadEntry{"VMID out of range", KFDLAB_CONTROL_SET_VMID, KFDLAB_VMID_COUNT, {1, 1}, KFDLAB_RING_BAD_LENGTH},
        BadEntry{"queue out of range", KFDLAB_CONTROL_MAP_QUEUE, kV, {KFDLAB_QUEUE_COUNT, QueueVm::mqd_address(1)},
                 KFDLAB_RING_BAD_LENGTH},
        BadEntry{"queue in use", KFDLAB_CONTROL_MAP_QUEUE, kV, {0, QueueVm::mqd_address(1)}, KFDLAB_RING_BAD_LENGTH},
        BadEntry{"MQD nowhere", KFDLAB_CONTROL_MAP_QUEUE, kV, {1, LoopbackVm::kNowhere}, KFDLAB_RING_BAD_ADDRESS},
        BadEntry{"MQD misaligned", KFDLAB_CONTROL_MAP_QUEUE, kV, {1, QueueVm::mqd_address(1) + 8},
                 KFDLAB_RING_BAD_ADDRESS},
        BadEntry{"ring size", KFDLAB_CONTROL_MAP_QUEUE, kV, {1, QueueVm::mqd_address(2)}, KFDLAB_RING_BAD_LENGTH},
        BadEntry{"doorbell", KFDLAB_CONTROL_MAP_QUEUE, kV, {1, QueueVm::mqd_address(3)}, KFDLAB_RING_BAD_LENGTH},
        BadEntry{"write pointer", KFDLAB_CONTROL_MAP_QUEUE, kV, {1, QueueVm::mqd_address(4)}, KFDLAB_RING_BAD_LENGTH},
        BadEntry{"type", KFDLAB_CONTROL_MAP_QUEUE, kV, {1, QueueVm::mqd_address(5)}, KFDLAB_RING_BAD_LENGTH},
        BadEntry{"update of a running queue", KFDLAB_CONTROL_UPDATE_QUEUE, kV, {0, QueueVm::mqd_address(0)},
                 KFDLAB_RING_BAD_LENGTH},
        BadEntry{"another VMID's queue", KFDLAB_CONTROL_UNMAP_QUEUE, kV + 1, {0}, KFDLAB_RING_BAD_LENGTH},
        BadEntry{"unmap out of range", KFDLAB_CONTROL_QUIESCE, kV, {KFDLAB_QUEUE_COUNT}, KFDLAB_RING_BAD_LENGTH},
        BadEntry{"no such operation", 77, kV, {0}, KFDLAB_RING_BAD_OPCODE}));

}  // namespace
}  // namespace kfdlab::device
