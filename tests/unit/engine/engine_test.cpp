// SPDX-License-Identifier: MIT
// Dispatches: where waves begin, workgroups, barriers, forward progress, faults, quiesce and kill.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "device/engine/lower.h"
#include "tests/unit/engine/support/assembler.h"
#include "tests/unit/engine/support/engine_rig.h"

namespace kfdlab::engine {
namespace {

class EngineTest : public testing::Test {
 protected:
  void SetUp() override {
    if (host_simd_level() == SimdLevel::None) {
      GTEST_SKIP() << "this CPU has neither AVX2 nor AVX-512";
    }
    rig_ = std::make_unique<EngineRig>();
  }
  std::unique_ptr<EngineRig> rig_;
};

// data[group * size + item] = its own index, mixed.
constexpr const char* kStoreIndex = R"(
  s_lshl_b32 s3, s2, 6
  v_add_u32 v1, s3, v0
  v_lshlrev_b32 v2, 2, v1
  v_xor_b32 v1, 0x5a5a, v1
  global_store_dword v2, v1, s[0:1]
  s_endpgm)";

TEST_F(EngineTest, EveryWorkItemOfAPartialGridRunsOnce) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, kStoreIndex);
  rig_->load(words);
  constexpr std::uint32_t kItems = 64 * 100 + 17;
  auto* data = rig_->at<std::uint32_t>(EngineRig::kData);
  std::fill_n(data, kItems + 64, 0xffffffffu);
  const auto outcome = rig_->run(rig_->linear(kItems, 64));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->verdict, Verdict::Done) << outcome->name;
  for (std::uint32_t i = 0; i < kItems; ++i) {
    ASSERT_EQ(data[i], i ^ 0x5a5a) << i;
  }
  EXPECT_EQ(data[kItems], 0xffffffffu);
  EXPECT_EQ(outcome->instructions, 101u * 6);
  EXPECT_LE(outcome->start_ns, outcome->end_ns);
}

TEST_F(EngineTest, ThreeDimensionsArePackedIntoV0AndWorkgroupNumbersFollowTheUserSgprs) {
  // data[((z * 5 + y) * 6 + x)] = v0 of the item
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    v_and_b32 v1, 0x3ff, v0
    v_bfe_u32 v2, v0, 10, 10
    v_bfe_u32 v3, v0, 20, 10
    s_mul_i32 s2, s2, 4
    s_mul_i32 s3, s3, 3
    s_mul_i32 s4, s4, 2
    v_add_u32 v1, s2, v1
    v_add_u32 v2, s3, v2
    v_add_u32 v3, s4, v3
    v_mul_lo_u32 v4, v3, 5
    v_add_u32 v4, v4, v2
    v_mul_lo_u32 v4, v4, 6
    v_add_u32 v4, v4, v1
    v_lshlrev_b32 v4, 2, v4
    global_store_dword v4, v0, s[0:1]
    s_endpgm)");
  rig_->load(words);
  Dispatch dispatch = rig_->linear(1, 1);
  dispatch.grid = {6, 5, 3};
  dispatch.workgroup = {4, 3, 2};
  dispatch.rsrc2 = 2u << 1 | 7u << 7;
  auto* data = rig_->at<std::uint32_t>(EngineRig::kData);
  std::fill_n(data, 6 * 5 * 3 + 1, 0xffffffffu);
  const auto outcome = rig_->run(dispatch);
  ASSERT_TRUE(outcome);
  ASSERT_EQ(outcome->verdict, Verdict::Done) << outcome->name;
  for (std::uint32_t z = 0; z < 3; ++z) {
    for (std::uint32_t y = 0; y < 5; ++y) {
      for (std::uint32_t x = 0; x < 6; ++x) {
        EXPECT_EQ(data[(z * 5 + y) * 6 + x], x % 4 | (y % 3) << 10 | (z % 2) << 20);
      }
    }
  }
}

TEST_F(EngineTest, BarrierLetsNoWavePassBeforeTheLast) {
  // Each wave writes LDS, waits, and reads what the next wave has written.
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    s_mov_b32 m0, -1
    v_lshlrev_b32 v1, 2, v0
    v_add_u32 v2, 0x100, v0
    ds_write_b32 v1, v2
    s_waitcnt lgkmcnt(0)
    s_barrier
    v_add_u32 v3, 64, v0
    v_and_b32 v3, 0x3ff, v3
    v_lshlrev_b32 v3, 2, v3
    ds_read_b32 v4, v3
    s_waitcnt lgkmcnt(0)
    s_lshl_b32 s3, s2, 12
    v_add_u32 v1, s3, v1
    global_store_dword v1, v4, s[0:1]
    s_endpgm)");
  rig_->load(words);
  Dispatch dispatch = rig_->linear(1024 * 8, 1024);
  dispatch.lds_bytes = 4096;
  const auto outcome = rig_->run(dispatch);
  ASSERT_TRUE(outcome);
  ASSERT_EQ(outcome->verdict, Verdict::Done) << outcome->name;
  const auto* data = rig_->at<std::uint32_t>(EngineRig::kData);
  for (std::uint32_t i = 0; i < 1024 * 8; ++i) {
    ASSERT_EQ(data[i], 0x100 + (i + 64) % 1024) << i;
  }
}

TEST_F(EngineTest, WorkgroupsThatWaitForLaterOnesGetOn) {
  // Workgroup n spins until word n + 1 is set, then sets word n; the last sets its own at once.
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    s_lshl_b32 s3, s2, 2
    v_mov_b32 v1, s3
    v_mov_b32 v3, 1
    s_cmp_eq_u32 s2, 23
    s_cbranch_scc1 done
  spin:
    global_load_dword v2, v1, s[0:1] offset:4 glc
    s_waitcnt vmcnt(0)
    v_readfirstlane_b32 s4, v2
    s_cmp_eq_u32 s4, 0
    s_cbranch_scc1 spin
  done:
    global_store_dword v1, v3, s[0:1]
    s_endpgm)");
  rig_->load(words);
  auto* data = rig_->at<std::uint32_t>(EngineRig::kData);
  std::fill_n(data, 64, 0);
  const auto outcome = rig_->run(rig_->linear(24, 1));
  ASSERT_TRUE(outcome) << "no forward progress";
  EXPECT_EQ(outcome->verdict, Verdict::Done);
  for (unsigned i = 0; i < 24; ++i) {
    EXPECT_EQ(data[i], 1u);
  }
}

TEST_F(EngineTest, FaultWithoutRetryEndsTheDispatchAndNotItsNeighbour) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, kStoreIndex);
  rig_->load(words);
  Dispatch bad = rig_->linear(64 * 64, 64);
  bad.user_sgpr[1] = 0x7f;
  const Dispatch good = rig_->linear(64 * 64, 64);
  const DispatchId first = rig_->launch(bad);
  const DispatchId second = rig_->launch(good);
  const auto failed = rig_->wait(first);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->verdict, Verdict::Fault);
  EXPECT_EQ(failed->fault.access, device::MemoryAccess::Write);
  EXPECT_EQ(failed->fault.page >> 32, 0x7fu);
  EXPECT_EQ(failed->pc, EngineRig::kCode + 20);
  const auto done = rig_->wait(second);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->verdict, Verdict::Done);
}

TEST_F(EngineTest, RetriedFaultLeavesNoTraceInTheResult) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, kStoreIndex);
  rig_->load(words);
  constexpr std::uint32_t kItems = 64 * 256;  // 16 pages
  auto* data = rig_->at<std::uint32_t>(EngineRig::kData);
  std::fill_n(data, kItems, 0);
  for (std::uint64_t page = 0; page < 16; page += 2) {
    rig_->unmap_page(EngineRig::kData + page * 4096);
  }
  Dispatch dispatch = rig_->linear(kItems, 64);
  dispatch.xnack = true;
  const DispatchId id = rig_->launch(dispatch);
  // The driver's part: map each page that is asked for.
  std::size_t served = 0;
  while (!rig_->ended(id)) {
    const auto faults = rig_->faults();
    for (; served < faults.size(); ++served) {
      rig_->map_page(faults[served].page);
    }
  }
  const auto outcome = rig_->wait(id);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->verdict, Verdict::Done);
  EXPECT_GE(served, 8u);
  EXPECT_EQ(outcome->instructions, kItems / 64 * 6);
  for (std::uint32_t i = 0; i < kItems; ++i) {
    ASSERT_EQ(data[i], i ^ 0x5a5a) << i;
  }
}

TEST_F(EngineTest, IllegalInstructionStopsTheDispatchWithItsWords) {
  rig_->load({0xbf800000, 0xffffffff, 0xffffffff, 0xffffffff});
  const auto outcome = rig_->run(rig_->linear(64, 64));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->verdict, Verdict::Illegal);
  EXPECT_EQ(outcome->pc, EngineRig::kCode + 4);
  EXPECT_EQ(outcome->name, "0xffffffff");
  EXPECT_EQ(rig_->engine().counters().illegal, 1u);
}

TEST_F(EngineTest, TrapStopsTheDispatch) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, "s_trap 2\n s_endpgm");
  rig_->load(words);
  const auto outcome = rig_->run(rig_->linear(64, 64));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->verdict, Verdict::Trap);
  EXPECT_EQ(outcome->trap_id, 2);
}

TEST_F(EngineTest, MessagesReachTheHostWithM0) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, "s_mov_b32 m0, 0x123\n s_sendmsg sendmsg(MSG_INTERRUPT)\n s_endpgm");
  rig_->load(words);
  ASSERT_TRUE(rig_->run(rig_->linear(64, 64)));
  EXPECT_EQ(rig_->messages(), std::vector<std::uint32_t>{0x123});
}

TEST_F(EngineTest, RefusesWhatTheGpuDoesNotHave) {
  Dispatch dispatch = rig_->linear(2048, 2048);
  auto outcome = rig_->run(dispatch);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->verdict, Verdict::Refused);
  dispatch = rig_->linear(64, 64);
  dispatch.lds_bytes = 65u << 10;
  outcome = rig_->run(dispatch);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->verdict, Verdict::Refused);
  dispatch = rig_->linear(0, 64);
  outcome = rig_->run(dispatch);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->verdict, Verdict::Done);
}

constexpr const char* kEndless = R"(
  v_mov_b32 v1, 0
  v_mov_b32 v2, 0
loop:
  v_add_u32 v2, 1, v2
  global_store_dword v1, v2, s[0:1]
  s_branch loop)";

TEST_F(EngineTest, EndlessKernelIsKilledAndAnotherQueueRunsBeside) {
  KFDLAB_ASSEMBLE_OR_SKIP(endless, kEndless);
  KFDLAB_ASSEMBLE_OR_SKIP(words, kStoreIndex);
  rig_->load(endless);
  rig_->load(words, EngineRig::kCode + 4096);
  Dispatch forever = rig_->linear(64 * 100, 64);
  forever.queue = 7;
  const DispatchId id = rig_->launch(forever);
  Dispatch good = rig_->linear(64 * 64, 64);
  good.entry += 4096;
  good.user_sgpr[0] += 65536;
  const auto beside = rig_->run(good);
  ASSERT_TRUE(beside);
  EXPECT_EQ(beside->verdict, Verdict::Done);
  EXPECT_FALSE(rig_->ended(id));
  rig_->engine().kill_queue(7);
  EXPECT_TRUE(rig_->ended(id));
  const auto killed = rig_->wait(id);
  ASSERT_TRUE(killed);
  EXPECT_EQ(killed->verdict, Verdict::Killed);
  EXPECT_TRUE(rig_->engine().idle());
}

TEST_F(EngineTest, QuiescedQueueWritesNothingAndGoesOnWhenResumed) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, kEndless);
  rig_->load(words);
  volatile auto* data = rig_->at<std::uint32_t>(EngineRig::kData);
  *data = 0;
  const DispatchId id = rig_->launch(rig_->linear(64, 64));
  ASSERT_TRUE(rig_->wait_for([&] { return true; }));
  while (*data == 0) {
  }
  rig_->engine().quiesce_queue(1);
  const std::uint32_t seen = *data;
  for (int i = 0; i < 1'000'000; ++i) {
    ASSERT_EQ(*data, seen);
  }
  rig_->engine().resume_queue(1);
  while (*data == seen) {
  }
  EXPECT_FALSE(rig_->ended(id));
  rig_->engine().kill_vmid(device::TestGpu::kVmid);
  EXPECT_TRUE(rig_->ended(id));
}

TEST_F(EngineTest, AqlPacketFillsUserSgprsInTheDescriptorsOrder) {
  std::array<std::uint8_t, 64> packet{};
  std::array<std::uint8_t, 64> descriptor{};
  const auto put = [](std::array<std::uint8_t, 64>& bytes, std::size_t offset, auto value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
  };
  put(packet, 2, std::uint16_t{2});
  put(packet, 4, std::uint16_t{16});
  put(packet, 6, std::uint16_t{8});
  put(packet, 12, std::uint32_t{100});
  put(packet, 16, std::uint32_t{9});
  put(packet, 24, std::uint32_t{48});
  put(packet, 28, std::uint32_t{1024});
  put(packet, 40, std::uint64_t{0x7000000012345678});
  put(descriptor, 16, std::int64_t{-256});
  put(descriptor, 48, std::uint32_t{0x00af0041});
  put(descriptor, 52, std::uint32_t{0x1390});
  put(descriptor, 56, std::uint16_t{1 << 0 | 1 << 1 | 1 << 3 | 1 << 5 | 1 << 6});
  AqlLaunch launch{.packet = packet, .descriptor = descriptor};
  launch.packet_va = 0x1000;
  launch.descriptor_va = 0x40000;
  launch.queue_va = 0x2000;
  launch.dispatch_id = 5;
  launch.scratch_descriptor = {1, 2, 3, 4};
  launch.scratch_base = 0x900000000;
  Dispatch dispatch;
  std::uint32_t lane_bytes = 0;
  ASSERT_EQ(prepare_aql(launch, dispatch, lane_bytes), "");
  EXPECT_EQ(dispatch.entry, 0x40000u - 256);
  EXPECT_EQ(dispatch.grid, (std::array<std::uint32_t, 3>{100, 9, 1}));
  EXPECT_EQ(dispatch.workgroup, (std::array<std::uint32_t, 3>{16, 8, 1}));
  EXPECT_EQ(dispatch.lds_bytes, 1024u);
  EXPECT_EQ(lane_bytes, 48u);
  const std::array<std::uint32_t, 11> expected{1, 2, 3, 4, 0x1000, 0, 0x12345678, 0x70000000, 0, 9, 48};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(dispatch.user_sgpr[i], expected[i]) << i;
  }
  put(packet, 4, std::uint16_t{0});
  EXPECT_NE(prepare_aql(launch, dispatch, lane_bytes), "");
}

}  // namespace
}  // namespace kfdlab::engine
