// SPDX-License-Identifier: MIT
// Scalar instructions, branches and the run loop.
#include <gtest/gtest.h>

#include "tests/unit/engine/support/assembler.h"
#include "tests/unit/engine/support/wave_rig.h"

namespace kfdlab::engine {
namespace {

SimdLevel some_level() { return simd_levels().empty() ? SimdLevel::None : simd_levels().back(); }

class Salu : public testing::Test {
 protected:
  void SetUp() override {
    if (some_level() == SimdLevel::None) {
      GTEST_SKIP() << "this CPU has neither AVX2 nor AVX-512";
    }
    rig_ = std::make_unique<WaveRig>(some_level());
  }
  std::unique_ptr<WaveRig> rig_;
};

TEST_F(Salu, CarriesAndBorrowsGoThroughScc) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    s_add_u32 s2, s0, s1
    s_addc_u32 s3, s0, s0
    s_sub_u32 s4, s1, s0
    s_subb_u32 s5, s1, s1
    s_add_i32 s6, 0x7fffffff, 1
    s_cselect_b32 s7, 11, 22
    s_sub_i32 s8, s1, s1
    s_cselect_b32 s9, 11, 22
    s_endpgm)");
  rig_->load(words);
  rig_->s(0) = 0xffffffff;
  rig_->s(1) = 2;
  ASSERT_EQ(rig_->run(), Exit::End);
  EXPECT_EQ(rig_->s(2), 1u);
  EXPECT_EQ(rig_->s(3), 0xffffffffu);
  EXPECT_EQ(rig_->s(4), 3u);
  EXPECT_EQ(rig_->s(5), 0xffffffffu);
  EXPECT_EQ(rig_->s(6), 0x80000000u);
  EXPECT_EQ(rig_->s(7), 11u);
  EXPECT_EQ(rig_->s(8), 0u);
  EXPECT_EQ(rig_->s(9), 22u);
  EXPECT_EQ(rig_->executed(), 9);
}

TEST_F(Salu, ShiftsAndFieldsOf32And64Bits) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    s_mov_b64 s[0:1], 0x80000001
    s_lshl_b64 s[2:3], s[0:1], 36
    s_lshr_b64 s[4:5], s[2:3], 34
    s_mov_b32 s1, 0x80000000
    s_ashr_i64 s[6:7], s[0:1], 33
    s_mov_b32 s30, 0x12345678
    s_bfe_u32 s8, s30, 0x80004
    s_mov_b32 s31, 0x12345688
    s_bfe_i32 s9, s31, 0x80000
    s_bfm_b32 s10, 4, 8
    s_bfe_u64 s[12:13], s[2:3], 0x100024
    s_brev_b32 s14, 1
    s_ff1_i32_b64 s15, s[2:3]
    s_flbit_i32_b32 s16, 0x00010000
    s_bcnt1_i32_b64 s17, s[0:1]
    s_sext_i32_i8 s18, 0x1ff
    s_mov_b32 s32, 0x11112222
    s_pack_ll_b32_b16 s19, s32, 0x33334444
    s_pack_lh_b32_b16 s20, s19, s19
    s_mul_hi_u32 s21, 0x80000000, 6
    s_mul_i32 s22, 0x10001, 0x10001
    s_not_b64 s[24:25], 0
    s_ff1_i32_b32 s26, 0
    s_abs_i32 s27, -5
    s_endpgm)");
  rig_->load(words);
  ASSERT_EQ(rig_->run(), Exit::End);
  EXPECT_EQ(rig_->s(2), 0u);
  EXPECT_EQ(rig_->s(3), 0x10u);
  EXPECT_EQ(rig_->s(4), 4u);
  EXPECT_EQ(rig_->s(6), 0xc0000000u);
  EXPECT_EQ(rig_->s(7), 0xffffffffu);
  EXPECT_EQ(rig_->s(8), 0x67u);
  EXPECT_EQ(rig_->s(9), 0xffffff88u);
  EXPECT_EQ(rig_->s(10), 0xf00u);
  EXPECT_EQ(rig_->s(12), 1u);
  EXPECT_EQ(rig_->s(14), 0x80000000u);
  EXPECT_EQ(rig_->s(15), 36u);
  EXPECT_EQ(rig_->s(16), 15u);
  EXPECT_EQ(rig_->s(17), 3u);
  EXPECT_EQ(rig_->s(18), 0xffffffffu);
  EXPECT_EQ(rig_->s(19), 0x44442222u);
  EXPECT_EQ(rig_->s(20), 0x44442222u);
  EXPECT_EQ(rig_->s(21), 3u);
  EXPECT_EQ(rig_->s(22), 0x20001u);
  EXPECT_EQ(rig_->s(24), 0xffffffffu);
  EXPECT_EQ(rig_->s(25), 0xffffffffu);
  EXPECT_EQ(rig_->s(26), 0xffffffffu);
  EXPECT_EQ(rig_->s(27), 5u);
}

TEST_F(Salu, LoopRunsAndCountsEachInstruction) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    s_movk_i32 s0, 0
    s_movk_i32 s1, 0
  loop:
    s_add_u32 s1, s1, s0
    s_addk_i32 s0, 1
    s_cmpk_lt_u32 s0, 0x3e8
    s_cbranch_scc1 loop
    s_endpgm)");
  rig_->load(words);
  ASSERT_EQ(rig_->run(), Exit::End);
  EXPECT_EQ(rig_->s(1), 999u * 1000 / 2);
  EXPECT_EQ(rig_->executed(), 2 + 4 * 1000 + 1);
}

TEST_F(Salu, SpentBudgetYieldsAndGoesOnWhereItStopped) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    s_movk_i32 s0, 0
  loop:
    s_addk_i32 s0, 1
    s_cmpk_lt_u32 s0, 0x3e8
    s_cbranch_scc1 loop
    s_endpgm)");
  rig_->load(words);
  std::int64_t all = 0;
  Exit exit = Exit::Yield;
  for (unsigned turns = 0; exit == Exit::Yield && turns < 1000; ++turns) {
    exit = rig_->run(64);
    all += rig_->executed();
  }
  EXPECT_EQ(exit, Exit::End);
  EXPECT_EQ(all, 1 + 3 * 1000 + 1);
}

TEST_F(Salu, CallsReturnBehindThemselves) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    s_getpc_b64 s[0:1]
    s_add_u32 s2, s0, 16
    s_addc_u32 s3, s1, 0
    s_swappc_b64 s[30:31], s[2:3]
    s_endpgm
    s_movk_i32 s4, 7
    s_setpc_b64 s[30:31])");
  rig_->load(words);
  for (int i = 0; i < 3; ++i) {
    rig_->wave().pc = WaveRig::kCode;
    rig_->s(4) = 0;
    ASSERT_EQ(rig_->run(), Exit::End);
    EXPECT_EQ(rig_->s(0), WaveRig::kCode + 4);
    EXPECT_EQ(rig_->s(4), 7u);
  }
}

TEST_F(Salu, SaveexecNarrowsExecAndTellsInScc) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    s_mov_b64 exec, 0xff
    s_mov_b64 s[0:1], 0xf0
    s_and_saveexec_b64 s[2:3], s[0:1]
    s_cselect_b32 s4, 1, 0
    s_andn2_saveexec_b64 s[6:7], s[0:1]
    s_cselect_b32 s5, 1, 0
    s_cbranch_execz done
    s_movk_i32 s5, 9
  done:
    s_endpgm)");
  rig_->load(words);
  ASSERT_EQ(rig_->run(), Exit::End);
  EXPECT_EQ(rig_->s(2), 0xffu);
  EXPECT_EQ(rig_->s(6), 0xf0u);
  EXPECT_EQ(rig_->s(4), 1u);
  EXPECT_EQ(rig_->s(5), 0u);
  EXPECT_EQ(rig_->wave().exec(), 0u);
}

TEST_F(Salu, HardwareRegistersShowAperturesAndMode) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    s_getreg_b32 s0, hwreg(HW_REG_SH_MEM_BASES, 16, 16)
    s_getreg_b32 s1, hwreg(HW_REG_SH_MEM_BASES, 0, 16)
    s_getreg_b32 s2, hwreg(HW_REG_MODE, 4, 4)
    s_setreg_imm32_b32 hwreg(HW_REG_MODE, 4, 4), 3
    s_getreg_b32 s3, hwreg(HW_REG_MODE)
    s_mov_b64 s[4:5], src_shared_base
    s_mov_b64 s[6:7], src_private_base
    s_endpgm)");
  rig_->load(words);
  rig_->wave().shared_aperture_hi = 0x20000000;
  rig_->wave().private_aperture_hi = 0x10000000;
  ASSERT_EQ(rig_->run(), Exit::End);
  EXPECT_EQ(rig_->s(0), 0x2000u);
  EXPECT_EQ(rig_->s(1), 0x1000u);
  EXPECT_EQ(rig_->s(2), 0xfu);
  EXPECT_EQ(rig_->s(3), 0x30u | kModeDx10Clamp | kModeIeee);
  EXPECT_EQ(rig_->s(4), 0u);
  EXPECT_EQ(rig_->s(5), 0x20000000u);
  EXPECT_EQ(rig_->s(7), 0x10000000u);
}

TEST_F(Salu, WordsThatAreNoInstructionStopTheWaveThere) {
  rig_->load({0xbf800000, 0xffffffff, 0xffffffff, 0xffffffff});
  EXPECT_EQ(rig_->run(), Exit::Illegal);
  EXPECT_EQ(rig_->wave().pc, WaveRig::kCode + 4);
  EXPECT_EQ(rig_->wave().illegal_op, isa::Op::kCount);
}

TEST_F(Salu, JumpToWhereNothingIsMappedFaultsThere) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    s_mov_b32 s0, 0x12345000
    s_movk_i32 s1, 0x7f
    s_setpc_b64 s[0:1])");
  rig_->load(words);
  EXPECT_EQ(rig_->run(), Exit::Fault);
  EXPECT_EQ(rig_->wave().pc, 0x7f12345000u);
  EXPECT_EQ(rig_->wave().fault.access, device::MemoryAccess::Execute);
  EXPECT_EQ(rig_->wave().fault.page, 0x7f12345000u);
}

TEST_F(Salu, CodeThatRunsOffItsPageFaultsOnTheNextOne) {
  rig_->gpu().unmap(WaveRig::kCode + 4096);
  rig_->load(std::vector<std::uint32_t>(1024, 0xbf800000));
  EXPECT_EQ(rig_->run(), Exit::Fault);
  EXPECT_EQ(rig_->wave().pc, WaveRig::kCode + 4096);
  EXPECT_EQ(rig_->executed(), 1024);
}

TEST_F(Salu, ChangedCodeIsSeenAfterAnInvalidation) {
  KFDLAB_ASSEMBLE_OR_SKIP(before, "s_movk_i32 s0, 1\n s_endpgm");
  KFDLAB_ASSEMBLE_OR_SKIP(after, "s_movk_i32 s0, 2\n s_endpgm");
  rig_->load(before);
  ASSERT_EQ(rig_->run(), Exit::End);
  EXPECT_EQ(rig_->s(0), 1u);
  rig_->load(after);
  ASSERT_EQ(rig_->run(), Exit::End);
  EXPECT_EQ(rig_->s(0), 2u);
}

TEST_F(Salu, TrapWithoutHandlerLeavesWithItsNumber) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, "s_nop 0\n s_trap 2\n s_endpgm");
  rig_->load(words);
  EXPECT_EQ(rig_->run(), Exit::Trap);
  EXPECT_EQ(rig_->wave().trap_id, 2);
  EXPECT_EQ(rig_->wave().pc, WaveRig::kCode + 4);
}

TEST_F(Salu, TrapHandlerFindsThePcAndReturns) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    s_trap 3
    s_movk_i32 s0, 5
    s_endpgm
    s_nop 0
    s_add_u32 ttmp0, ttmp0, 4
    s_addc_u32 ttmp1, ttmp1, 0
    s_rfe_b64 ttmp[0:1])");
  rig_->load(words);
  rig_->wave().tba = WaveRig::kCode + 16;
  ASSERT_EQ(rig_->run(), Exit::End);
  EXPECT_EQ(rig_->s(0), 5u);
  EXPECT_EQ(rig_->s(isa::kTtmp0 + 1) >> 16 & 0xff, 3u);
}

}  // namespace
}  // namespace kfdlab::engine
