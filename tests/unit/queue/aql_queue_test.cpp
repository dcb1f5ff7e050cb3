// SPDX-License-Identifier: MIT
// The AQL packet processor with packets as a runtime writes them: order, barriers, signals, retirement, scratch,
// faults that are retried.
#include <gtest/gtest.h>

#include "device/host/shared_word.h"
#include "tests/unit/queue/support/aql_packets.h"
#include "tests/unit/queue/support/queue_rig.h"

namespace kfdlab::device {
namespace {

using Rig = QueueRig;
using Act = UserQueue::Act;

constexpr std::uint16_t kBarrier = AQL_HEADER_BARRIER;

TEST(AqlQueue, LaunchesAKernelWithItsPacketAndDescriptor) {
  Rig rig(KFDLAB_QUEUE_AQL);
  rig.at<std::uint32_t>(Rig::kKernel) = 0xfeed;
  aql_kernel_dispatch packet = kernel_packet(Rig::kKernel);
  packet.group_segment_size = 4096;
  rig.emit_aql(packet);
  EXPECT_EQ(rig.run(), Act::Idle);
  ASSERT_EQ(rig.engine().launched(), 1u);
  const engine::Dispatch dispatch = rig.engine().dispatch(0);
  EXPECT_EQ(dispatch.queue, Rig::kQueue);
  EXPECT_EQ(dispatch.vmid, Rig::kVmid);
  EXPECT_FALSE(dispatch.xnack);
  EXPECT_EQ(dispatch.entry, Rig::kKernel);
  EXPECT_EQ(dispatch.rsrc1, 0xfeedu);
  EXPECT_EQ(dispatch.lds_bytes, 4096u);
  EXPECT_EQ(dispatch.dispatch_va, Rig::kRing);
  EXPECT_EQ(dispatch.queue_va, Rig::kAqlQueue);
  EXPECT_EQ(dispatch.shared_aperture_hi, 0x10000u);
  EXPECT_EQ(dispatch.private_aperture_hi, 0x20000u);
  EXPECT_EQ(rig.work().dispatches, 1u);
}

TEST(AqlQueue, CompletionWritesTimesValueMailboxAndInterrupt) {
  Rig rig(KFDLAB_QUEUE_AQL);
  const std::uint64_t signal = rig.make_signal(0, 1, 9);
  rig.emit_aql(kernel_packet(Rig::kKernel, signal));
  rig.run();
  EXPECT_EQ(rig.signal(signal).value, 1);
  EXPECT_EQ(rig.rptr(), 0u);
  rig.engine().finish(0);
  rig.run();
  EXPECT_EQ(rig.signal(signal).value, 0);
  EXPECT_EQ(rig.signal(signal).start_ts, 100u) << "ns to ticks of 100 MHz";
  EXPECT_EQ(rig.signal(signal).end_ts, 500u);
  EXPECT_EQ(rig.at<std::uint64_t>(Rig::kEvents + 8 * 9), 9u);
  EXPECT_TRUE(rig.next_ih(IH_CLIENT_GRBM_CP, IH_SOURCE_CP_END_OF_PIPE, 9));
  EXPECT_EQ(rig.rptr(), 1u);
  EXPECT_EQ(rig.at<std::uint16_t>(Rig::kRing), AQL_INVALID);
  EXPECT_EQ(rig.queue().rptr(), 1u);
}

TEST(AqlQueue, SignalWithoutEventRaisesNoInterrupt) {
  Rig rig(KFDLAB_QUEUE_AQL);
  const std::uint64_t signal = rig.make_signal(0, 3);
  rig.emit_aql(barrier_packet(AQL_BARRIER_AND, {}, signal));
  rig.run();
  EXPECT_EQ(rig.signal(signal).value, 2);
  ih_entry entry;
  EXPECT_FALSE(rig.take_ih(entry));
}

TEST(AqlQueue, KernelsOverlapAndRetireInOrder) {
  Rig rig(KFDLAB_QUEUE_AQL);
  const std::uint64_t first = rig.make_signal(0, 1);
  const std::uint64_t second = rig.make_signal(1, 1);
  rig.emit_aql(kernel_packet(Rig::kKernel, first));
  rig.emit_aql(kernel_packet(Rig::kKernel, second));
  rig.run();
  ASSERT_EQ(rig.engine().launched(), 2u);
  rig.engine().finish(1);
  rig.run();
  EXPECT_EQ(rig.signal(second).value, 0) << "completion does not wait for the first";
  EXPECT_EQ(rig.rptr(), 0u) << "the first kernel may still read its packet";
  EXPECT_EQ(rig.at<std::uint16_t>(rig.aql_va(1)) & 0xff, AQL_KERNEL_DISPATCH);
  rig.engine().finish(0);
  rig.run();
  EXPECT_EQ(rig.signal(first).value, 0);
  EXPECT_EQ(rig.rptr(), 2u);
}

TEST(AqlQueue, BarrierBitWaitsForEverythingBefore) {
  Rig rig(KFDLAB_QUEUE_AQL);
  rig.emit_aql(kernel_packet(Rig::kKernel));
  aql_kernel_dispatch second = kernel_packet(Rig::kKernel);
  second.header |= kBarrier;
  rig.emit_aql(second);
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.engine().launched(), 1u);
  rig.engine().finish(0);
  rig.run();
  EXPECT_EQ(rig.engine().launched(), 2u);
}

TEST(AqlQueue, PacketIsNotTakenBeforeItsHeaderIsValid) {
  Rig rig(KFDLAB_QUEUE_AQL);
  aql_kernel_dispatch packet = kernel_packet(Rig::kKernel);
  const std::uint16_t header = packet.header;
  packet.header = AQL_INVALID;
  rig.emit_aql(packet);
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.engine().launched(), 0u);
  store_release(rig.at<std::uint16_t>(Rig::kRing), header);
  rig.run();
  EXPECT_EQ(rig.engine().launched(), 1u);
}

TEST(AqlQueue, PacketIsNotTakenBeforeTheWriteIndexPassesIt) {
  Rig rig(KFDLAB_QUEUE_AQL);
  rig.at<aql_kernel_dispatch>(Rig::kRing) = kernel_packet(Rig::kKernel);
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.engine().launched(), 0u);
}

TEST(AqlQueue, RingWrapsAndFullRingWaits) {
  constexpr std::uint64_t kPackets = 4;
  Rig rig(KFDLAB_QUEUE_AQL, kPackets * AQL_PACKET_BYTES);
  for (std::uint64_t i = 0; i < kPackets; ++i) {
    rig.emit_aql(kernel_packet(Rig::kKernel + i));
  }
  // A producer moves the index first and waits for room then.
  store_release(rig.at<std::uint64_t>(Rig::kWptr), kPackets + 3);
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.engine().launched(), kPackets);
  EXPECT_EQ(rig.queue().error(), KFDLAB_QUEUE_OK);
  for (std::uint64_t round = 0; round < 20; ++round) {
    rig.engine().finish(round);
    rig.run();
    EXPECT_EQ(rig.rptr(), round + 1);
    rig.emit_aql(kernel_packet(Rig::kKernel + kPackets + round));
    rig.run();
    ASSERT_EQ(rig.engine().launched(), kPackets + round + 1);
    EXPECT_EQ(rig.engine().dispatch(kPackets + round).entry, Rig::kKernel + kPackets + round);
  }
}

TEST(AqlQueue, WriteIndexThatGoesBackMeansNothing) {
  Rig rig(KFDLAB_QUEUE_AQL);
  for (int i = 0; i < 3; ++i) {
    rig.emit_aql(barrier_packet(AQL_BARRIER_AND, {}));
  }
  rig.run();
  EXPECT_EQ(rig.rptr(), 3u);
  for (const std::uint64_t index : {std::uint64_t{1}, std::uint64_t{0}}) {
    store_release(rig.at<std::uint64_t>(Rig::kWptr), index);
    EXPECT_EQ(rig.run(), Act::Idle);
  }
  EXPECT_EQ(rig.rptr(), 3u);
  EXPECT_EQ(rig.queue().error(), KFDLAB_QUEUE_OK);
}

TEST(AqlQueue, BarrierAndWaitsForAllItsSignals) {
  Rig rig(KFDLAB_QUEUE_AQL);
  const std::uint64_t a = rig.make_signal(0, 1);
  const std::uint64_t b = rig.make_signal(1, 1);
  const std::uint64_t done = rig.make_signal(2, 1);
  rig.emit_aql(barrier_packet(AQL_BARRIER_AND, {a, 0, b}, done));
  rig.emit_aql(kernel_packet(Rig::kKernel));
  EXPECT_EQ(rig.run(), Act::Waiting);
  store_release(rig.signal(b).value, std::int64_t{0});
  EXPECT_EQ(rig.run(), Act::Waiting);
  EXPECT_EQ(rig.signal(done).value, 1);
  EXPECT_EQ(rig.engine().launched(), 0u) << "nothing behind a barrier packet is launched before it is complete";
  store_release(rig.signal(a).value, std::int64_t{0});
  rig.run();
  EXPECT_EQ(rig.signal(done).value, 0);
  EXPECT_EQ(rig.engine().launched(), 1u);
}

TEST(AqlQueue, BarrierOrWaitsForOneOfItsSignals) {
  Rig rig(KFDLAB_QUEUE_AQL);
  const std::uint64_t a = rig.make_signal(0, 1);
  const std::uint64_t b = rig.make_signal(1, -1);
  const std::uint64_t done = rig.make_signal(2, 1);
  rig.emit_aql(barrier_packet(AQL_BARRIER_OR, {a, b}, done));
  EXPECT_EQ(rig.run(), Act::Waiting);
  store_release(rig.signal(b).value, std::int64_t{0});
  rig.run();
  EXPECT_EQ(rig.signal(done).value, 0);
  rig.emit_aql(barrier_packet(AQL_BARRIER_OR, {}, done));
  rig.run();
  EXPECT_EQ(rig.signal(done).value, -1) << "without signals there is nothing to wait for";
}

TEST(AqlQueue, BarrierValueComparesTheMaskedValue) {
  struct Case {
    std::uint32_t condition;
    std::int64_t closed, open;
  };
  for (const Case& c : {Case{AQL_CONDITION_EQ, 0x104, 0x105}, Case{AQL_CONDITION_NE, 0x105, 0x104},
                        Case{AQL_CONDITION_LT, 0x105, 0x104}, Case{AQL_CONDITION_GTE, 0x104, 0x106}}) {
    Rig rig(KFDLAB_QUEUE_AQL);
    const std::uint64_t signal = rig.make_signal(0, c.closed);
    rig.emit_aql(barrier_value_packet(signal, 5, 0xff, c.condition));
    EXPECT_EQ(rig.run(), Act::Waiting) << c.condition;
    store_release(rig.signal(signal).value, c.open);
    rig.run();
    EXPECT_EQ(rig.rptr(), 1u) << c.condition;
  }
}

// As ROCr 5.2.3 sends it after it has loaded code; nothing but read_dispatch_id tells it that this is done.
TEST(AqlQueue, Pm4BufferInvalidatesCodeAndReadIndexPassesIt) {
  Rig rig(KFDLAB_QUEUE_AQL);
  const std::array<std::uint32_t, 7> acquire = {0xc0055800, 0x28840000, 0xffffffff, 0xff, 0, 0, 4};
  std::memcpy(rig.bytes(Rig::kData, sizeof(acquire)).data(), acquire.data(), sizeof(acquire));
  rig.emit_aql(pm4_packet(Rig::kData, acquire.size()));
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.engine().code_invalidations(), 1u);
  EXPECT_EQ(rig.rptr(), 1u);
}

TEST(AqlQueue, ScratchIsAskedForAndWaitedFor) {
  Rig rig(KFDLAB_QUEUE_AQL);
  rig.emit_aql(kernel_packet(Rig::kKernel));
  aql_kernel_dispatch packet = kernel_packet(Rig::kKernel);
  packet.private_segment_size = 100;  // 6400 bytes a wave
  rig.emit_aql(packet);
  EXPECT_EQ(rig.run(), Act::Idle) << "first the earlier kernel, which may be using the scratch there is";
  EXPECT_EQ(rig.signal(Rig::kInactive).value, 0);
  rig.engine().finish(0);
  EXPECT_EQ(rig.run(), Act::Waiting);
  EXPECT_EQ(rig.signal(Rig::kInactive).value, AQL_INACTIVE_SCRATCH);
  EXPECT_TRUE(rig.next_ih(IH_CLIENT_GRBM_CP, IH_SOURCE_CP_END_OF_PIPE, 5));
  EXPECT_EQ(rig.rptr(), 1u) << "the runtime looks there for the packet that needs scratch";
  EXPECT_EQ(rig.at<std::uint16_t>(rig.aql_va(1)) & 0xff, AQL_KERNEL_DISPATCH);

  auto& queue = rig.at<aql_queue>(Rig::kAqlQueue);
  queue.compute_tmpring_size = 32 | 7 << 12;  // 32 waves of 7 KiB
  queue.scratch_backing_memory_location = 0x7f0000100000;
  EXPECT_EQ(rig.run(), Act::Waiting) << "not before the signal is 0";
  store_release(rig.signal(Rig::kInactive).value, std::int64_t{0});
  EXPECT_EQ(rig.run(), Act::Idle);
  ASSERT_EQ(rig.engine().launched(), 2u);
  EXPECT_EQ(rig.engine().dispatch(1).scratch_base, 0x7f0000100000u);
  EXPECT_EQ(rig.engine().dispatch(1).scratch_waves, 32u);
  EXPECT_EQ(rig.engine().dispatch(1).scratch_wave_bytes, 7168u);
  ih_entry entry;
  EXPECT_FALSE(rig.take_ih(entry)) << "asked once";
}

// As ROCr marks allocations too large to keep: it wants them back, and gives others for the next kernel.
TEST(AqlQueue, ScratchToBeUsedOnceIsGivenBackWhenItsKernelHasEnded) {
  Rig rig(KFDLAB_QUEUE_AQL);
  auto& queue = rig.at<aql_queue>(Rig::kAqlQueue);
  queue.compute_tmpring_size = 32 | 7 << 12;
  queue.queue_properties |= AQL_QUEUE_USE_SCRATCH_ONCE;
  aql_kernel_dispatch packet = kernel_packet(Rig::kKernel);
  packet.private_segment_size = 100;
  rig.emit_aql(packet);
  rig.emit_aql(packet);
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.engine().launched(), 1u) << "the second waits for scratch of its own";
  rig.engine().finish(0);
  EXPECT_EQ(rig.run(), Act::Waiting);
  EXPECT_EQ(rig.signal(Rig::kInactive).value, AQL_INACTIVE_SCRATCH_RECLAIM);
  queue.compute_tmpring_size = 0;
  queue.queue_properties &= ~AQL_QUEUE_USE_SCRATCH_ONCE;
  store_release(rig.signal(Rig::kInactive).value, std::int64_t{0});
  EXPECT_EQ(rig.run(), Act::Waiting);
  EXPECT_EQ(rig.signal(Rig::kInactive).value, AQL_INACTIVE_SCRATCH);
  queue.compute_tmpring_size = 32 | 7 << 12;
  store_release(rig.signal(Rig::kInactive).value, std::int64_t{0});
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.engine().launched(), 2u);
}

TEST(AqlQueue, WorkgroupOfMoreWavesThanThereIsScratchForAsksOnce) {
  Rig rig(KFDLAB_QUEUE_AQL);
  rig.at<aql_queue>(Rig::kAqlQueue).compute_tmpring_size = 2 | 7 << 12;  // two waves
  aql_kernel_dispatch packet = kernel_packet(Rig::kKernel);
  packet.private_segment_size = 100;
  packet.workgroup_size_x = 256;
  packet.workgroup_size_y = packet.workgroup_size_z = 1;
  rig.emit_aql(packet);
  EXPECT_EQ(rig.run(), Act::Waiting);
  EXPECT_EQ(rig.signal(Rig::kInactive).value, AQL_INACTIVE_SCRATCH);
  store_release(rig.signal(Rig::kInactive).value, std::int64_t{0});
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.engine().launched(), 1u) << "what the engine makes of it is its business";
}

TEST(AqlQueue, SignalThatFaultsIsDecrementedOnceItsPageIsThere) {
  Rig rig(KFDLAB_QUEUE_AQL, 4096, true);
  const std::uint64_t signal = rig.make_signal(0, 1, 7);
  rig.emit_aql(kernel_packet(Rig::kKernel, signal));
  rig.run();
  rig.unmap(Rig::kSignals);
  rig.engine().finish(0);
  EXPECT_EQ(rig.run(), Act::Waiting);
  ih_entry fault;
  ASSERT_TRUE(rig.take_ih(fault));
  EXPECT_EQ(fault.source & 0xffff, IH_CLIENT_UTCL2 | IH_SOURCE_VM_FAULT << 8);
  EXPECT_EQ(ih_fault_address(&fault), Rig::kSignals);
  EXPECT_EQ(fault.src_data[1] & 0xf0, IH_FAULT_WRITE | IH_FAULT_RETRY);
  EXPECT_EQ(fault.source >> 16 & 0xff, IH_FAULT_RING_NOT_PRESENT);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(rig.step_later(), Act::Waiting);
  }
  EXPECT_EQ(rig.rptr(), 0u);
  rig.map(Rig::kSignals);
  EXPECT_EQ(rig.step_later(), Act::Progress);
  rig.run();
  EXPECT_EQ(rig.signal(signal).value, 0);
  EXPECT_EQ(rig.at<std::uint64_t>(Rig::kEvents + 8 * 7), 7u);
  EXPECT_EQ(rig.rptr(), 1u);
}

TEST(AqlQueue, SignalIsUntouchedWhileItsMailboxFaults) {
  Rig rig(KFDLAB_QUEUE_AQL, 4096, true);
  const std::uint64_t signal = rig.make_signal(0, 1, 7);
  rig.unmap(Rig::kEvents);
  rig.emit_aql(barrier_packet(AQL_BARRIER_AND, {}, signal));
  EXPECT_EQ(rig.run(), Act::Waiting);
  EXPECT_EQ(rig.signal(signal).value, 1);
  EXPECT_EQ(rig.signal(signal).end_ts, 0u);
  rig.map(Rig::kEvents);
  EXPECT_EQ(rig.step_later(), Act::Progress);
  EXPECT_EQ(rig.signal(signal).value, 0);
}

// Each page the queue needs, missing at first.
TEST(AqlQueue, EveryPageMayBeMissingWithXnack) {
  for (const std::uint64_t page : {Rig::kRing, Rig::kAqlQueue, Rig::kSignals, Rig::kEvents, Rig::kKernel}) {
    Rig rig(KFDLAB_QUEUE_AQL, 4096, true);
    const std::uint64_t signal = rig.make_signal(0, 2, 7);
    rig.emit_aql(kernel_packet(Rig::kKernel, signal));
    aql_barrier barrier = barrier_packet(AQL_BARRIER_AND, {}, signal);
    barrier.header |= kBarrier;
    rig.emit_aql(barrier);
    rig.unmap(page);
    rig.run();
    rig.map(page);
    for (int i = 0; i < 4; ++i) {
      static_cast<void>(rig.step_later());
    }
    ASSERT_EQ(rig.engine().launched(), 1u) << std::hex << page;
    rig.unmap(page);
    rig.engine().finish(0);
    rig.run();
    rig.map(page);
    for (int i = 0; i < 10; ++i) {
      static_cast<void>(rig.step_later());
    }
    EXPECT_EQ(rig.queue().error(), KFDLAB_QUEUE_OK) << std::hex << page;
    EXPECT_EQ(rig.signal(signal).value, 0) << std::hex << page;
    EXPECT_EQ(rig.rptr(), 2u) << std::hex << page;
    EXPECT_EQ(rig.engine().launched(), 1u) << std::hex << page;
  }
}

TEST(AqlQueue, QuiescedQueueTouchesNothing) {
  Rig rig(KFDLAB_QUEUE_AQL);
  const std::uint64_t signal = rig.make_signal(0, 1);
  rig.emit_aql(kernel_packet(Rig::kKernel, signal));
  rig.run();
  rig.emit_aql(kernel_packet(Rig::kKernel));
  rig.queue().set_quiesced(true);
  rig.engine().finish(0);
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.signal(signal).value, 1);
  EXPECT_EQ(rig.rptr(), 0u);
  EXPECT_EQ(rig.engine().launched(), 1u);
  rig.queue().set_quiesced(false);
  rig.run();
  EXPECT_EQ(rig.signal(signal).value, 0);
  EXPECT_EQ(rig.rptr(), 1u);
  EXPECT_EQ(rig.engine().launched(), 2u);
}

}  // namespace
}  // namespace kfdlab::device
