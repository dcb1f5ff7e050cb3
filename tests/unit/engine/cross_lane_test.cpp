// SPDX-License-Identifier: MIT
// Lanes that read other lanes, SDWA, DPP and VGPR indexing.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <functional>

#include "tests/unit/engine/support/assembler.h"
#include "tests/unit/engine/support/wave_rig.h"

namespace kfdlab::engine {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;

class CrossLane : public testing::TestWithParam<SimdLevel> {
 protected:
  WaveRig rig_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Simd, CrossLane, testing::ValuesIn(simd_levels()),
                         [](const auto& each) { return simd_name(each.param); });

u32 value(unsigned lane) { return lane * 0x01010101u ^ 0x80402010u; }

TEST_P(CrossLane, ReadlaneAndWritelaneIgnoreExecAndFirstlaneFindsTheFirst) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    v_readfirstlane_b32 s0, v1
    v_readlane_b32 s1, v1, 63
    s_mov_b32 s3, 7
    v_readlane_b32 s2, v1, s3
    v_writelane_b32 v2, s2, 5
    s_mov_b64 exec, 0
    v_readfirstlane_b32 s4, v1
    v_writelane_b32 v2, 9, s3
    s_endpgm)");
  rig_.load(words);
  rig_.wave().set_exec(0xff00);
  rig_.set_v(1, value);
  rig_.set_v(2, [](unsigned) { return 0; });
  ASSERT_EQ(rig_.run(), Exit::End);
  EXPECT_EQ(rig_.s(0), value(8));
  EXPECT_EQ(rig_.s(1), value(63));
  EXPECT_EQ(rig_.s(2), value(7));
  EXPECT_EQ(rig_.s(4), value(0));
  EXPECT_EQ(rig_.v(2, 5), value(7));
  EXPECT_EQ(rig_.v(2, 7), 9u);
  EXPECT_EQ(rig_.v(2, 6), 0u);
}

TEST_P(CrossLane, MbcntCountsLanesBelow) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    v_mbcnt_lo_u32_b32 v1, s0, 40
    v_mbcnt_hi_u32_b32 v1, s1, v1
    s_endpgm)");
  rig_.load(words);
  constexpr u64 kMask = 0xf0f1234500ffabcdull;
  rig_.wave().set_u64(0, kMask);
  ASSERT_EQ(rig_.run(), Exit::End);
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    EXPECT_EQ(rig_.v(1, lane), 40u + static_cast<u32>(std::popcount(kMask & ((1ull << lane) - 1)))) << lane;
  }
}

struct DppCase {
  const char* control;
  std::function<int(int lane)> source;  // -1: none
};

TEST_P(CrossLane, DppReadsTheLaneItsControlNames) {
  const std::vector<DppCase> cases = {
      {"quad_perm:[3,1,0,2]", [](int l) { return (l & ~3) + std::array{3, 1, 0, 2}[static_cast<unsigned>(l & 3)]; }},
      {"row_shl:3", [](int l) { return (l & 15) + 3 < 16 ? l + 3 : -1; }},
      {"row_shr:1", [](int l) { return (l & 15) >= 1 ? l - 1 : -1; }},
      {"row_ror:5", [](int l) { return (l & ~15) + ((l + 11) & 15); }},
      {"wave_shl:1", [](int l) { return l < 63 ? l + 1 : -1; }},
      {"wave_rol:1", [](int l) { return (l + 1) & 63; }},
      {"wave_shr:1", [](int l) { return l - 1; }},
      {"wave_ror:1", [](int l) { return (l + 63) & 63; }},
      {"row_mirror", [](int l) { return l ^ 15; }},
      {"row_half_mirror", [](int l) { return l ^ 7; }},
      {"row_bcast:15", [](int l) { return l < 16 ? -1 : (l & ~15) - 1; }},
      {"row_bcast:31", [](int l) { return l < 32 ? -1 : 31; }},
      {"row_newbcast:6", [](int l) { return (l & ~15) + 6; }},
  };
  std::string source;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    source += "v_mov_b32_dpp v" + std::to_string(10 + 2 * i) + ", v1 " + cases[i].control +
              " row_mask:0xf bank_mask:0xf bound_ctrl:0\n";
    source += "v_add_u32_dpp v" + std::to_string(11 + 2 * i) + ", v1, v2 " + cases[i].control +
              " row_mask:0xd bank_mask:0x7\n";
  }
  KFDLAB_ASSEMBLE_OR_SKIP(words, source + "s_endpgm");
  constexpr u64 kExec = 0xffffffff7ffffdffull;
  rig_.load(words);
  rig_.wave().set_exec(kExec);
  rig_.set_v(1, value);
  rig_.set_v(2, [](unsigned lane) { return lane << 20; });
  for (unsigned reg = 10; reg < 10 + 2 * cases.size(); ++reg) {
    rig_.set_v(reg, [](unsigned lane) { return 0x777000u + lane; });
  }
  ASSERT_EQ(rig_.run(), Exit::End) << isa::name(rig_.wave().illegal_op);
  EXPECT_EQ(rig_.wave().exec(), kExec);
  const auto active = [](int lane) { return (kExec >> lane & 1) != 0; };
  for (unsigned i = 0; i < cases.size(); ++i) {
    for (int lane = 0; lane < 64; ++lane) {
      const auto l = static_cast<unsigned>(lane);
      const int from = cases[i].source(lane);
      const bool readable = from >= 0 && active(from);
      const u32 read = readable ? value(static_cast<unsigned>(from)) : 0;
      EXPECT_EQ(rig_.v(10 + 2 * i, l), active(lane) ? read : 0x777000u + l) << cases[i].control << " lane " << lane;
      const bool enabled = active(lane) && readable && (0xd >> (lane / 16) & 1) != 0 && (0x7 >> (lane % 16 / 4) & 1) != 0;
      EXPECT_EQ(rig_.v(11 + 2 * i, l), enabled ? read + (l << 20) : 0x777000u + l) << cases[i].control << " lane " << lane;
    }
  }
}

TEST_P(CrossLane, SdwaSelectsPartsAndMergesThem) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    v_or_b32_sdwa v10, v1, v2 dst_sel:DWORD dst_unused:UNUSED_PAD src0_sel:BYTE_1 src1_sel:WORD_1
    v_add_u32_sdwa v11, sext(v1), v2 dst_sel:DWORD dst_unused:UNUSED_PAD src0_sel:BYTE_3 src1_sel:DWORD
    v_lshlrev_b32_sdwa v12, v3, v2 dst_sel:WORD_1 dst_unused:UNUSED_PRESERVE src0_sel:DWORD src1_sel:BYTE_2
    v_mov_b32_sdwa v13, v1 dst_sel:BYTE_1 dst_unused:UNUSED_SEXT src0_sel:BYTE_0
    v_mov_b32_sdwa v14, v1 dst_sel:BYTE_2 dst_unused:UNUSED_PAD src0_sel:WORD_0
    v_cmp_eq_u32_sdwa vcc, v1, v2 src0_sel:BYTE_0 src1_sel:BYTE_3
    s_endpgm)");
  rig_.load(words);
  rig_.set_v(1, value);
  rig_.set_v(2, [](unsigned lane) { return value(lane * 3) * 7; });
  rig_.set_v(3, [](unsigned lane) { return lane % 8; });
  rig_.set_v(12, [](unsigned lane) { return 0xaaaa5555u + lane; });
  ASSERT_EQ(rig_.run(), Exit::End) << isa::name(rig_.wave().illegal_op);
  u64 equal = 0;
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const u32 a = rig_.v(1, lane);
    const u32 b = rig_.v(2, lane);
    EXPECT_EQ(rig_.v(10, lane), (a >> 8 & 0xff) | b >> 16);
    EXPECT_EQ(rig_.v(11, lane), static_cast<u32>(static_cast<std::int8_t>(a >> 24)) + b);
    EXPECT_EQ(rig_.v(12, lane), ((0xaaaa5555u + lane) & 0xffff) | (b >> 16 & 0xff) << (lane % 8) << 16);
    EXPECT_EQ(rig_.v(13, lane), ((a & 0xff) << 8) | ((a & 0x80) != 0 ? 0xffff0000u : 0));
    EXPECT_EQ(rig_.v(14, lane), (a & 0xff) << 16);
    equal |= u64{(a & 0xff) == b >> 24} << lane;
  }
  EXPECT_EQ(rig_.wave().vcc(), equal);
}

TEST_P(CrossLane, VgprIndexingMovesTheRegistersThatM0Names) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    s_set_gpr_idx_on s0, gpr_idx(SRC0)
    v_mov_b32 v20, v4
    s_set_gpr_idx_idx s1
    v_mov_b32 v21, v4
    s_set_gpr_idx_mode gpr_idx(DST)
    v_mov_b32 v22, v4
    s_set_gpr_idx_off
    v_mov_b32 v30, v4
    s_endpgm)");
  rig_.load(words);
  rig_.s(0) = 2;
  rig_.s(1) = 3;
  for (unsigned reg = 4; reg < 31; ++reg) {
    rig_.set_v(reg, [&](unsigned lane) { return reg * 1000 + lane; });
  }
  ASSERT_EQ(rig_.run(), Exit::End) << isa::name(rig_.wave().illegal_op);
  EXPECT_EQ(rig_.v(20, 1), 6001u);
  EXPECT_EQ(rig_.v(21, 1), 7001u);
  EXPECT_EQ(rig_.v(22, 1), 22001u);
  EXPECT_EQ(rig_.v(25, 1), 4001u);
  EXPECT_EQ(rig_.v(30, 1), 4001u);
}

TEST_P(CrossLane, RegistersBeyondTheAllocationAreIllegal) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, "v_mov_b32 v0, v1\n v_mov_b32 v8, v0\n s_endpgm");
  rig_.load(words);
  rig_.wave().vgpr_rows = 8;
  rig_.wave().accum_offset = 8;
  EXPECT_EQ(rig_.run(), Exit::Illegal);
  EXPECT_EQ(rig_.wave().pc, WaveRig::kCode + 4);
  EXPECT_EQ(rig_.wave().illegal_op, isa::Op::v_mov_b32);
}

}  // namespace
}  // namespace kfdlab::engine
