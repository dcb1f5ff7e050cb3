// SPDX-License-Identifier: MIT
// Packets and kernels that end an AQL queue: what the runtime and the driver are told, and that nothing goes on.
#include <gtest/gtest.h>

#include "tests/unit/queue/support/aql_packets.h"
#include "tests/unit/queue/support/queue_rig.h"

namespace kfdlab::device {
namespace {

using Rig = QueueRig;
using Act = UserQueue::Act;

struct Refusal {
  const char* what;
  void (*spoil)(aql_kernel_dispatch& packet);
  std::int64_t inactive;
  kfdlab_queue_error error;
};

void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.what; }

class AqlRefusal : public ::testing::TestWithParam<Refusal> {};

TEST_P(AqlRefusal, StopsTheQueueAndTellsRuntimeAndDriver) {
  Rig rig(KFDLAB_QUEUE_AQL);
  const std::uint64_t signal = rig.make_signal(0, 1);
  aql_kernel_dispatch packet = kernel_packet(Rig::kKernel, signal);
  GetParam().spoil(packet);
  rig.emit_aql(packet);
  rig.emit_aql(kernel_packet(Rig::kKernel, signal));
  rig.at<std::uint32_t>(Rig::kKernel + 0x100) = FakeEngine::kBadObject;
  EXPECT_EQ(rig.run(), Act::Stopped);
  EXPECT_EQ(rig.queue().error(), GetParam().error);
  EXPECT_EQ(rig.mqd().cp_hqd_error, static_cast<std::uint32_t>(GetParam().error));
  EXPECT_EQ(rig.signal(Rig::kInactive).value, GetParam().inactive);
  EXPECT_EQ(rig.at<std::uint64_t>(Rig::kEvents + 8 * 5), 5u);
  EXPECT_TRUE(rig.next_ih(IH_CLIENT_GRBM_CP, IH_SOURCE_CP_END_OF_PIPE, 5));
  EXPECT_TRUE(rig.next_ih(IH_CLIENT_GRBM_CP, IH_SOURCE_CP_BAD_OPCODE,
                          ih_queue_error(Rig::kDoorbell / 8, GetParam().error)));
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.engine().launched(), 0u);
  EXPECT_EQ(rig.signal(signal).value, 1);
  EXPECT_EQ(rig.rptr(), 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Packets, AqlRefusal,
    ::testing::Values(
        Refusal{"no dimensions", [](aql_kernel_dispatch& p) { p.setup = 0; }, AQL_INACTIVE_DIMENSION,
                KFDLAB_QUEUE_BAD_DISPATCH},
        Refusal{"empty grid",
                [](aql_kernel_dispatch& p) {
                  p.setup = 2;
                  p.grid_size_y = 0;
                },
                AQL_INACTIVE_DIMENSION, KFDLAB_QUEUE_BAD_DISPATCH},
        Refusal{"empty workgroup", [](aql_kernel_dispatch& p) { p.workgroup_size_x = 0; },
                AQL_INACTIVE_WORKGROUP_SIZE, KFDLAB_QUEUE_BAD_DISPATCH},
        Refusal{"huge workgroup", [](aql_kernel_dispatch& p) { p.workgroup_size_x = 0xffff; },
                AQL_INACTIVE_WORKGROUP_SIZE, KFDLAB_QUEUE_BAD_DISPATCH},
        Refusal{"too much LDS", [](aql_kernel_dispatch& p) { p.group_segment_size = 65537; },
                AQL_INACTIVE_GROUP_MEMORY, KFDLAB_QUEUE_BAD_DISPATCH},
        Refusal{"bad code object", [](aql_kernel_dispatch& p) { p.kernel_object += 0x100; },
                AQL_INACTIVE_CODE_OBJECT, KFDLAB_QUEUE_BAD_DISPATCH},
        Refusal{"agent dispatch", [](aql_kernel_dispatch& p) { p.header = AQL_AGENT_DISPATCH; },
                AQL_INACTIVE_PACKET_FORMAT, KFDLAB_QUEUE_BAD_PACKET},
        Refusal{"unknown type", [](aql_kernel_dispatch& p) { p.header = 0x77; }, AQL_INACTIVE_PACKET_FORMAT,
                KFDLAB_QUEUE_BAD_PACKET},
        Refusal{"unknown vendor format",
                [](aql_kernel_dispatch& p) {
                  p.header = AQL_VENDOR_SPECIFIC;
                  p.setup = 0x55;
                },
                AQL_INACTIVE_VENDOR_PACKET, KFDLAB_QUEUE_BAD_PACKET},
        Refusal{"PM4 without a buffer",
                [](aql_kernel_dispatch& p) {
                  p.header = AQL_VENDOR_SPECIFIC;
                  p.setup = AQL_FORMAT_PM4_IB;
                },
                AQL_INACTIVE_VENDOR_PACKET, KFDLAB_QUEUE_BAD_PACKET},
        Refusal{"barrier on a misaligned signal",
                [](aql_kernel_dispatch& p) {
                  p = {};
                  p.header = AQL_BARRIER_AND;
                  p.workgroup_size_z = 0;
                  reinterpret_cast<aql_barrier&>(p).dep_signal[0] = Rig::kSignals + 4;
                },
                AQL_INACTIVE_PACKET_FORMAT, KFDLAB_QUEUE_BAD_PACKET}));

struct Ending {
  engine::Verdict verdict;
  std::int64_t inactive;  // 0: the runtime is not told by a signal
  kfdlab_queue_error error;
};

class AqlVerdict : public ::testing::TestWithParam<Ending> {};

TEST_P(AqlVerdict, StopsTheQueueAndKillsItsOtherKernels) {
  Rig rig(KFDLAB_QUEUE_AQL);
  const std::uint64_t signal = rig.make_signal(0, 2);
  rig.emit_aql(kernel_packet(Rig::kKernel, signal));
  rig.emit_aql(kernel_packet(Rig::kKernel, signal));
  rig.run();
  engine::Outcome outcome = FakeEngine::failed(GetParam().verdict);
  outcome.fault = {.page = 0x7000, .vmid = Rig::kVmid, .access = MemoryAccess::Read};
  rig.engine().finish(0, outcome);
  rig.run();
  EXPECT_EQ(rig.queue().error(), GetParam().error);
  EXPECT_FALSE(rig.engine().running(1));
  EXPECT_EQ(rig.signal(Rig::kInactive).value, GetParam().inactive);
  EXPECT_EQ(rig.signal(signal).value, 2);
  rig.run();
  if (GetParam().verdict == engine::Verdict::Fault) {
    ih_entry fault;
    ASSERT_TRUE(rig.take_ih(fault));
    EXPECT_EQ(ih_fault_address(&fault), 0x7000u);
    EXPECT_EQ(fault.src_data[1] & 0xf0, IH_FAULT_READ) << "no retry";
  } else {
    EXPECT_TRUE(rig.next_ih(IH_CLIENT_GRBM_CP, IH_SOURCE_CP_END_OF_PIPE, 5));
  }
  EXPECT_TRUE(rig.next_ih(IH_CLIENT_GRBM_CP, IH_SOURCE_CP_BAD_OPCODE,
                          ih_queue_error(Rig::kDoorbell / 8, GetParam().error)));
}

INSTANTIATE_TEST_SUITE_P(
    Kernels, AqlVerdict,
    ::testing::Values(Ending{engine::Verdict::Fault, 0, KFDLAB_QUEUE_MEMORY_FAULT},
                      Ending{engine::Verdict::Illegal, 0x40000000, KFDLAB_QUEUE_ILLEGAL_INSTRUCTION},
                      Ending{engine::Verdict::Trap, 0x80000000ll, KFDLAB_QUEUE_TRAP},
                      Ending{engine::Verdict::Refused, AQL_INACTIVE_REGISTERS, KFDLAB_QUEUE_BAD_DISPATCH}));

TEST(AqlErrors, FaultWithoutXnackStopsTheQueue) {
  Rig rig(KFDLAB_QUEUE_AQL);
  rig.emit_aql(kernel_packet(Rig::kNowhere));
  EXPECT_EQ(rig.run(), Act::Stopped);
  EXPECT_EQ(rig.queue().error(), KFDLAB_QUEUE_MEMORY_FAULT);
  ih_entry fault;
  ASSERT_TRUE(rig.take_ih(fault));
  EXPECT_EQ(ih_fault_address(&fault), Rig::kNowhere);
  EXPECT_EQ(fault.pasid, Rig::kPasid);
  EXPECT_EQ(fault.src_data[1] & 0xf0, IH_FAULT_READ);
  EXPECT_TRUE(rig.next_ih(IH_CLIENT_GRBM_CP, IH_SOURCE_CP_BAD_OPCODE,
                          ih_queue_error(Rig::kDoorbell / 8, KFDLAB_QUEUE_MEMORY_FAULT)));
  EXPECT_EQ(rig.signal(Rig::kInactive).value, 0);
}

TEST(AqlErrors, DriverTurnsARetryFaultIntoAnError) {
  Rig rig(KFDLAB_QUEUE_AQL, 4096, true);
  rig.emit_aql(kernel_packet(Rig::kNowhere));
  EXPECT_EQ(rig.run(), Act::Waiting);
  EXPECT_EQ(rig.queue().error(), KFDLAB_QUEUE_OK);
  rig.gpu().map(Rig::kNowhere, AMDGPU_VM_NORETRY_FLAGS);
  EXPECT_EQ(rig.step_later(), Act::Stopped);
  EXPECT_EQ(rig.queue().error(), KFDLAB_QUEUE_MEMORY_FAULT);
}

TEST(AqlErrors, QueueWithoutInactiveSignalStopsToo) {
  Rig rig(KFDLAB_QUEUE_AQL);
  rig.at<aql_queue>(Rig::kAqlQueue).queue_inactive_signal = 0;
  aql_kernel_dispatch packet = kernel_packet(Rig::kKernel);
  packet.setup = 0;
  rig.emit_aql(packet);
  EXPECT_EQ(rig.run(), Act::Stopped);
  EXPECT_TRUE(rig.next_ih(IH_CLIENT_GRBM_CP, IH_SOURCE_CP_BAD_OPCODE,
                          ih_queue_error(Rig::kDoorbell / 8, KFDLAB_QUEUE_BAD_DISPATCH)));
}

}  // namespace
}  // namespace kfdlab::device
