// SPDX-License-Identifier: MIT
// PM4 queues with what kfdtest puts into them.
#include <gtest/gtest.h>

#include "device/cp/gpu_clock.h"
#include "device/host/shared_word.h"
#include "hw/pm4.h"
#include "tests/unit/queue/support/queue_rig.h"

namespace kfdlab::device {
namespace {

using Rig = QueueRig;
using Act = UserQueue::Act;
using Dwords = std::vector<std::uint32_t>;

std::uint32_t lo(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
std::uint32_t hi(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }

Dwords packet(std::uint32_t opcode, const Dwords& body) {
  Dwords dwords = {pm4_header(opcode, static_cast<std::uint32_t>(body.size()))};
  dwords.insert(dwords.end(), body.begin(), body.end());
  return dwords;
}

Dwords write_data(std::uint64_t address, const Dwords& data) {
  Dwords body = {5u << 8 | 1u << 20, lo(address), hi(address)};
  body.insert(body.end(), data.begin(), data.end());
  return packet(PM4_WRITE_DATA, body);
}

Dwords release_mem(std::uint64_t address, std::uint64_t data, std::uint32_t data_sel, std::uint32_t int_sel) {
  return packet(PM4_RELEASE_MEM, {0x14 | 5 << 8, data_sel << 29 | int_sel << 24, lo(address), hi(address), lo(data),
                                  hi(data), lo(data)});
}

Dwords wait_mem(std::uint64_t address, std::uint32_t value) {
  return packet(PM4_WAIT_REG_MEM, {3 | 1 << 4, lo(address), hi(address), value, 0xffffffff, 4});
}

void append(Dwords& to, const Dwords& from) { to.insert(to.end(), from.begin(), from.end()); }

// A dispatch as kfdtest builds it: one buffer that fences itself.
Dwords dispatch_buffer(std::uint64_t va, std::uint64_t code) {
  Dwords ib = packet(PM4_ACQUIRE_MEM, {0x28c40000, 0xffffffff, 0, 0, 0, 4});
  append(ib, packet(PM4_SET_SH_REG, {COMPUTE_START_X, 0, 0, 0, 1, 1, 1}));
  append(ib, packet(PM4_SET_SH_REG, {COMPUTE_PGM_LO, lo(code >> 8), hi(code >> 8), 0, 0, 0x1000, 0x2}));
  append(ib, packet(PM4_SET_SH_REG, {COMPUTE_PGM_RSRC1, 0xac0000, 0x8}));
  append(ib, packet(PM4_SET_SH_REG, {COMPUTE_PGM_RSRC3, 9}));
  append(ib, packet(PM4_SET_SH_REG, {COMPUTE_RESOURCE_LIMITS, 0}));
  append(ib, packet(PM4_SET_SH_REG, {COMPUTE_TMPRING_SIZE, 32 | 2 << 12}));
  append(ib, packet(PM4_SET_SH_REG, {COMPUTE_RESTART_X, 0, 0, 0}));
  Dwords user = {COMPUTE_USER_DATA_0};
  for (std::uint32_t i = 0; i < 16; ++i) {
    user.push_back(0x100 + i);
  }
  append(ib, packet(PM4_SET_SH_REG, user));
  append(ib, packet(PM4_DISPATCH_DIRECT, {4, 3, 2, COMPUTE_DISPATCH_SHADER_EN | COMPUTE_DISPATCH_FORCE_START_AT_000}));
  append(ib, packet(PM4_NOP, {0, 0}));
  const std::uint64_t fence = va + (ib.size() - 2) * 4 + (ib.size() % 2 == 0 ? 0 : 4);
  append(ib, release_mem(fence & ~std::uint64_t{3}, 0xdead, PM4_RELEASE_DATA_32, PM4_RELEASE_INT_NONE));
  append(ib, wait_mem(fence & ~std::uint64_t{3}, 0xdead));
  return ib;
}

TEST(Pm4Queue, RunsADispatchBufferAndTheFenceBehindIt) {
  Rig rig(KFDLAB_QUEUE_PM4);
  const Dwords ib = dispatch_buffer(Rig::kData, 0x7f1234567800);
  std::memcpy(rig.bytes(Rig::kData, ib.size() * 4).data(), ib.data(), ib.size() * 4);
  rig.emit(packet(PM4_INDIRECT_BUFFER, {lo(Rig::kData), hi(Rig::kData), static_cast<std::uint32_t>(ib.size()) | 1u << 23}));
  const std::uint64_t event = Rig::kEvents + 8 * 33;
  rig.emit(release_mem(event, 33, PM4_RELEASE_DATA_64, PM4_RELEASE_INT_CONFIRM));
  EXPECT_EQ(rig.run(), Act::Idle);
  ASSERT_EQ(rig.engine().launched(), 1u);
  EXPECT_EQ(rig.engine().code_invalidations(), 1u);
  EXPECT_EQ(rig.at<std::uint32_t>(Rig::kRptr), 0u) << "the packet is complete when its buffer is";
  const engine::Dispatch dispatch = rig.engine().dispatch(0);
  EXPECT_EQ(dispatch.entry, 0x7f1234567800u);
  EXPECT_EQ(dispatch.rsrc1, 0xac0000u);
  EXPECT_EQ(dispatch.rsrc2, 8u);
  EXPECT_EQ(dispatch.rsrc3, 9u);
  EXPECT_EQ(dispatch.grid, (std::array<std::uint32_t, 3>{4, 3, 2}));
  EXPECT_EQ(dispatch.workgroup, (std::array<std::uint32_t, 3>{1, 1, 1}));
  EXPECT_EQ(dispatch.user_sgpr[15], 0x10fu);
  EXPECT_EQ(dispatch.scratch_base, 0x20000100000u);
  EXPECT_EQ(dispatch.scratch_waves, 32u);
  EXPECT_EQ(dispatch.scratch_wave_bytes, 2048u);
  rig.engine().finish(0);
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.at<std::uint64_t>(event), 33u);
  EXPECT_TRUE(rig.next_ih(IH_CLIENT_GRBM_CP, IH_SOURCE_CP_END_OF_PIPE, 33));
  EXPECT_EQ(rig.at<std::uint32_t>(Rig::kRptr), rig.wptr());
}

TEST(Pm4Queue, WritesDataAndReportsAWrappingReadPointer) {
  constexpr std::uint64_t kRingBytes = 256;
  Rig rig(KFDLAB_QUEUE_PM4, kRingBytes);
  for (std::uint32_t round = 0; round < 30; ++round) {
    rig.emit(write_data(Rig::kData, {round, round + 1, round + 2}));
    EXPECT_EQ(rig.run(), Act::Idle);
    EXPECT_EQ(rig.at<std::uint32_t>(Rig::kData + 8), round + 2);
    EXPECT_EQ(rig.at<std::uint32_t>(Rig::kRptr), rig.wptr() % (kRingBytes / 4));
    EXPECT_EQ(rig.queue().rptr(), rig.wptr());
  }
}

TEST(Pm4Queue, NopsFillersAndOneDwordNops) {
  Rig rig(KFDLAB_QUEUE_PM4);
  rig.emit(packet(PM4_NOP, {1, 2, 3, 4}));
  rig.emit(Dwords{PM4_TYPE2_FILLER, 0xffff1000u, PM4_TYPE2_FILLER});
  rig.emit(write_data(Rig::kData, {5}));
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.at<std::uint32_t>(Rig::kData), 5u);
}

TEST(Pm4Queue, WaitsForMemory) {
  Rig rig(KFDLAB_QUEUE_PM4);
  rig.emit(wait_mem(Rig::kData, 77));
  rig.emit(write_data(Rig::kData + 8, {1}));
  EXPECT_EQ(rig.run(), Act::Waiting);
  store_release(rig.at<std::uint32_t>(Rig::kData), 77u);
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.at<std::uint32_t>(Rig::kData + 8), 1u);
}

TEST(Pm4Queue, ReleaseMemWaitsForKernelsAndCanWriteTheClock) {
  Rig rig(KFDLAB_QUEUE_PM4);
  rig.emit(packet(PM4_SET_SH_REG, {COMPUTE_NUM_THREAD_X, 64, 1, 1}));
  rig.emit(packet(PM4_DISPATCH_DIRECT, {2, 1, 1, COMPUTE_DISPATCH_SHADER_EN}));
  rig.emit(release_mem(Rig::kData, 0, PM4_RELEASE_DATA_CLOCK, PM4_RELEASE_INT_NONE));
  EXPECT_EQ(rig.run(), Act::Idle);
  ASSERT_EQ(rig.engine().launched(), 1u);
  EXPECT_EQ(rig.engine().dispatch(0).grid[0], 128u);
  EXPECT_EQ(rig.at<std::uint64_t>(Rig::kData), 0u);
  const std::uint64_t before = gpu_clock();
  rig.engine().finish(0);
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_GE(rig.at<std::uint64_t>(Rig::kData), before);
  ih_entry entry;
  EXPECT_FALSE(rig.take_ih(entry));
}

TEST(Pm4Queue, PacketThatIsNotWholeWaitsForItsRest) {
  Rig rig(KFDLAB_QUEUE_PM4);
  const Dwords dwords = write_data(Rig::kData, {5, 6});
  rig.emit(std::span(dwords).first(5));
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.at<std::uint32_t>(Rig::kData), 0u);
  rig.emit(std::span(dwords).subspan(5));
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.at<std::uint32_t>(Rig::kData + 4), 6u);
}

TEST(Pm4Queue, FaultInABufferGoesOnAtItsPacket) {
  Rig rig(KFDLAB_QUEUE_PM4, 4096, true);
  Dwords ib = write_data(Rig::kData + 0x1000, {1});
  append(ib, write_data(Rig::kData + 0x2000, {2}));
  append(ib, write_data(Rig::kData + 0x1004, {3}));
  std::memcpy(rig.bytes(Rig::kData, ib.size() * 4).data(), ib.data(), ib.size() * 4);
  rig.unmap(Rig::kData + 0x2000);
  rig.emit(packet(PM4_INDIRECT_BUFFER, {lo(Rig::kData), hi(Rig::kData), static_cast<std::uint32_t>(ib.size())}));
  EXPECT_EQ(rig.run(), Act::Waiting);
  EXPECT_EQ(rig.at<std::uint32_t>(Rig::kData + 0x1000), 1u);
  rig.at<std::uint32_t>(Rig::kData + 0x1000) = 9;
  rig.map(Rig::kData + 0x2000);
  EXPECT_EQ(rig.step_later(), Act::Progress);
  EXPECT_EQ(rig.run(), Act::Idle);
  EXPECT_EQ(rig.at<std::uint32_t>(Rig::kData + 0x1000), 9u) << "not done twice";
  EXPECT_EQ(rig.at<std::uint32_t>(Rig::kData + 0x2000), 2u);
  EXPECT_EQ(rig.at<std::uint32_t>(Rig::kData + 0x1004), 3u);
}

class Pm4Refusal : public ::testing::TestWithParam<Dwords> {};

TEST_P(Pm4Refusal, StopsTheQueueInRingAndBuffer) {
  for (const bool in_buffer : {false, true}) {
    Rig rig(KFDLAB_QUEUE_PM4);
    Dwords bad = GetParam();
    if (in_buffer) {
      std::memcpy(rig.bytes(Rig::kData, bad.size() * 4).data(), bad.data(), bad.size() * 4);
      bad = packet(PM4_INDIRECT_BUFFER, {lo(Rig::kData), hi(Rig::kData), static_cast<std::uint32_t>(bad.size())});
    }
    rig.emit(bad);
    EXPECT_EQ(rig.run(), Act::Stopped);
    EXPECT_NE(rig.mqd().cp_hqd_error, KFDLAB_QUEUE_OK);
    ih_entry entry;
    ASSERT_TRUE(rig.take_ih(entry));
    EXPECT_EQ(entry.source & 0xffff, IH_CLIENT_GRBM_CP | IH_SOURCE_CP_BAD_OPCODE << 8);
    EXPECT_EQ(rig.engine().launched(), 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Packets, Pm4Refusal,
    ::testing::Values(Dwords{0, 0, 0}, Dwords{0x40000000, 0}, packet(0x99, {0}), packet(PM4_WRITE_DATA, {5 << 8, 0, 0}),
                      packet(PM4_WRITE_DATA, {5 << 8, 2, 0, 1}), packet(PM4_WRITE_DATA, {0, 0, 0, 1}),
                      packet(PM4_SET_SH_REG, {0x3ff, 1, 2}), packet(PM4_SET_SH_REG, {0xffff, 1}),
                      packet(PM4_DISPATCH_DIRECT, {1, 1}), packet(PM4_WAIT_REG_MEM, {1 << 4, 1, 0, 0, 0, 0}),
                      packet(PM4_RELEASE_MEM, {0, 2u << 29, 4, 0, 0, 0}), packet(PM4_INDIRECT_BUFFER, {2, 0, 5})));

TEST(Pm4Errors, BuffersDoNotNest) {
  Rig rig(KFDLAB_QUEUE_PM4);
  const Dwords inner = packet(PM4_INDIRECT_BUFFER, {lo(Rig::kData), hi(Rig::kData), 4});
  std::memcpy(rig.bytes(Rig::kData, inner.size() * 4).data(), inner.data(), inner.size() * 4);
  rig.emit(inner);
  EXPECT_EQ(rig.run(), Act::Stopped);
}

TEST(Pm4Errors, HostileWritePointersStopTheQueue) {
  for (const std::uint64_t pointer : {std::uint64_t{1025}, ~std::uint64_t{0}}) {
    Rig rig(KFDLAB_QUEUE_PM4);
    store_release(rig.at<std::uint64_t>(Rig::kWptr), pointer);
    EXPECT_EQ(rig.run(), Act::Stopped);
    EXPECT_EQ(rig.queue().error(), KFDLAB_QUEUE_BAD_POINTER);
  }
}

TEST(Pm4Errors, KernelThatFailsStopsTheQueue) {
  Rig rig(KFDLAB_QUEUE_PM4);
  rig.emit(packet(PM4_DISPATCH_DIRECT, {1, 1, 1, COMPUTE_DISPATCH_SHADER_EN}));
  rig.emit(release_mem(Rig::kData, 1, PM4_RELEASE_DATA_32, PM4_RELEASE_INT_NONE));
  rig.run();
  rig.engine().finish(0, FakeEngine::failed(engine::Verdict::Illegal));
  rig.run();
  EXPECT_EQ(rig.queue().error(), KFDLAB_QUEUE_ILLEGAL_INSTRUCTION);
  EXPECT_EQ(rig.at<std::uint32_t>(Rig::kData), 0u);
}

}  // namespace
}  // namespace kfdlab::device
