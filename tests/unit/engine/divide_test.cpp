// SPDX-License-Identifier: MIT
// The compiler's division sequences give correctly rounded quotients for every pair; argument reduction; transcendental
// functions are the rounded exact values.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "tests/unit/engine/support/assembler.h"
#include "tests/unit/engine/support/wave_rig.h"

namespace kfdlab::engine {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;

class Divide : public testing::TestWithParam<SimdLevel> {
 protected:
  WaveRig rig_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Simd, Divide, testing::ValuesIn(simd_levels()),
                         [](const auto& each) { return simd_name(each.param); });

// As LLVM 15 expands an fdiv with denormals.
TEST_P(Divide, SingleSequenceRoundsLikeIeeeDivision) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    v_div_scale_f32 v2, s[0:1], v1, v1, v0
    v_rcp_f32 v3, v2
    v_fma_f32 v4, -v2, v3, 1.0
    v_fma_f32 v3, v4, v3, v3
    v_div_scale_f32 v5, vcc, v0, v1, v0
    v_mul_f32 v6, v5, v3
    v_fma_f32 v7, -v2, v6, v5
    v_fma_f32 v6, v7, v3, v6
    v_fma_f32 v2, -v2, v6, v5
    v_div_fmas_f32 v2, v2, v3, v6
    v_div_fixup_f32 v8, v2, v1, v0
    s_endpgm)");
  for (unsigned round = 0; round < 400; ++round) {
    rig_.load(words);
    rig_.set_v(0, [&](unsigned lane) { return interesting32((lane * 13 + round * 31) % 3000); });
    rig_.set_v(1, [&](unsigned lane) { return interesting32((lane * 7 + round * 3) % 2000); });
    ASSERT_EQ(rig_.run(), Exit::End) << isa::name(rig_.wave().illegal_op);
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      const float a = std::bit_cast<float>(rig_.v(0, lane));
      const float b = std::bit_cast<float>(rig_.v(1, lane));
      const float got = std::bit_cast<float>(rig_.v(8, lane));
      const float expected = a / b;
      ASSERT_TRUE(std::bit_cast<u32>(got) == std::bit_cast<u32>(expected) || (std::isnan(got) && std::isnan(expected)))
          << a << " / " << b << " = " << got << " not " << expected << std::hex << " " << rig_.v(0, lane) << " "
          << rig_.v(1, lane) << " got " << rig_.v(8, lane);
    }
  }
}

TEST_P(Divide, DoubleSequenceRoundsLikeIeeeDivision) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    v_div_scale_f64 v[4:5], s[0:1], v[2:3], v[2:3], v[0:1]
    v_rcp_f64 v[6:7], v[4:5]
    v_fma_f64 v[8:9], -v[4:5], v[6:7], 1.0
    v_fma_f64 v[6:7], v[6:7], v[8:9], v[6:7]
    v_fma_f64 v[8:9], -v[4:5], v[6:7], 1.0
    v_fma_f64 v[6:7], v[6:7], v[8:9], v[6:7]
    v_div_scale_f64 v[8:9], vcc, v[0:1], v[2:3], v[0:1]
    v_mul_f64 v[10:11], v[8:9], v[6:7]
    v_fma_f64 v[4:5], -v[4:5], v[10:11], v[8:9]
    v_div_fmas_f64 v[4:5], v[4:5], v[6:7], v[10:11]
    v_div_fixup_f64 v[12:13], v[4:5], v[2:3], v[0:1]
    s_endpgm)");
  for (unsigned round = 0; round < 400; ++round) {
    rig_.load(words);
    rig_.set_v64(0, [&](unsigned lane) { return interesting64((lane * 13 + round * 31) % 3000); });
    rig_.set_v64(2, [&](unsigned lane) { return interesting64((lane * 7 + round * 3) % 2000); });
    ASSERT_EQ(rig_.run(), Exit::End) << isa::name(rig_.wave().illegal_op);
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      const double a = std::bit_cast<double>(rig_.v64(0, lane));
      const double b = std::bit_cast<double>(rig_.v64(2, lane));
      const double got = std::bit_cast<double>(rig_.v64(12, lane));
      const double expected = a / b;
      ASSERT_TRUE(std::bit_cast<u64>(got) == std::bit_cast<u64>(expected) || (std::isnan(got) && std::isnan(expected)))
          << a << " / " << b << " = " << got << " not " << expected << std::hex << " " << rig_.v64(0, lane) << " "
          << rig_.v64(2, lane) << " got " << rig_.v64(12, lane);
    }
  }
}

TEST_P(Divide, FixupGivesTheSpecialCasesTheirSigns) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, "v_div_fixup_f32 v3, v0, v1, v2\n s_endpgm");
  const u32 cases[][3] = {// denominator, numerator, result
                          {0x00000000, 0x00000000, 0xffc00000}, {0x7f800000, 0xff800000, 0xffc00000},
                          {0x00000000, 0xbf800000, 0xff800000}, {0x80000000, 0xbf800000, 0x7f800000},
                          {0xff800000, 0x3f800000, 0x80000000}, {0x3f800000, 0x80000000, 0x80000000},
                          {0x7fa00001, 0x3f800000, 0x7fe00001}, {0x7fa00001, 0xffb00002, 0xfff00002}};
  rig_.load(words);
  rig_.set_v(0, [](unsigned) { return 0x40400000u; });
  rig_.set_v(1, [&](unsigned lane) { return cases[lane % 8][0]; });
  rig_.set_v(2, [&](unsigned lane) { return cases[lane % 8][1]; });
  ASSERT_EQ(rig_.run(), Exit::End);
  for (unsigned lane = 0; lane < 8; ++lane) {
    EXPECT_EQ(rig_.v(3, lane), cases[lane][2]) << lane;
  }
}

TEST_P(Divide, TrigPreopGivesTheBitsOfTwoOverPiThatMatter) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    v_trig_preop_f64 v[4:5], v[0:1], 0
    v_trig_preop_f64 v[6:7], v[0:1], 1
    v_trig_preop_f64 v[8:9], v[0:1], 2
    s_endpgm)");
  rig_.load(words);
  rig_.set_v64(0, [](unsigned) { return std::bit_cast<u64>(3.0); });
  ASSERT_EQ(rig_.run(), Exit::End);
  const auto part = [&](unsigned reg) { return static_cast<long double>(std::bit_cast<double>(rig_.v64(reg, 0))); };
  // The parts add up to 2/pi, to more bits than a long double has.
  EXPECT_EQ(part(4) + part(6) + part(8), 2 / 3.14159265358979323846264338327950288L);
  EXPECT_EQ(std::bit_cast<double>(rig_.v64(4, 0)), std::floor(0x1p53L * (2 / 3.14159265358979323846264338327950288L)) * 0x1p-53);
}

TEST_P(Divide, TranscendentalsAreTheRoundedExactValues) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    v_rcp_f32 v2, v0
    v_sqrt_f32 v3, v0
    v_rsq_f32 v4, v0
    v_exp_f32 v5, v1
    v_log_f32 v6, v0
    v_sin_f32 v7, v1
    v_cos_f32 v8, v1
    s_endpgm)");
  for (unsigned round = 0; round < 20; ++round) {
    rig_.load(words);
    rig_.set_v(0, [&](unsigned lane) { return interesting32(lane + 64 * round) & 0x7fffffffu; });
    rig_.set_v(1, [&](unsigned lane) { return std::bit_cast<u32>(static_cast<float>(lane + 64 * round) * 0.173f - 97.0f); });
    ASSERT_EQ(rig_.run(), Exit::End);
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      const float a = std::bit_cast<float>(rig_.v(0, lane));
      const float b = std::bit_cast<float>(rig_.v(1, lane));
      const auto got = [&](unsigned reg) { return std::bit_cast<float>(rig_.v(reg, lane)); };
      const auto same = [](float x, double y) { return x == static_cast<float>(y) || (std::isnan(x) && std::isnan(y)); };
      EXPECT_TRUE(same(got(2), 1.0 / double{a})) << a;
      EXPECT_TRUE(same(got(3), std::sqrt(double{a}))) << a;
      EXPECT_TRUE(same(got(4), static_cast<double>(1 / std::sqrt(static_cast<long double>(a))))) << a;
      EXPECT_TRUE(same(got(5), std::exp2(double{b}))) << b;
      EXPECT_TRUE(same(got(6), std::log2(double{a}))) << a;
      constexpr double kTwoPi = 6.283185307179586476925286766559005768;
      const double turn = double{b} - std::floor(double{b});
      EXPECT_NEAR(got(7), std::sin(kTwoPi * turn), 1e-7) << b;
      EXPECT_NEAR(got(8), std::cos(kTwoPi * turn), 1e-7) << b;
    }
  }
}

}  // namespace
}  // namespace kfdlab::engine
