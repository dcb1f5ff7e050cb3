// SPDX-License-Identifier: MIT
// f16, packed, mixed-precision and dot instructions against C++ with _Float16, and modes of rounding and denormals.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>

#include "tests/unit/engine/support/assembler.h"
#include "tests/unit/engine/support/wave_rig.h"

namespace kfdlab::engine {
namespace {

using u16 = std::uint16_t;
using u32 = std::uint32_t;
using i32 = std::int32_t;

class Half : public testing::TestWithParam<SimdLevel> {
 protected:
  WaveRig rig_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Simd, Half, testing::ValuesIn(simd_levels()),
                         [](const auto& each) { return simd_name(each.param); });

double value_of(u16 half) {
  const int exponent = half >> 10 & 31;
  const double mantissa = half & 1023;
  const double sign = (half & 0x8000) != 0 ? -1 : 1;
  if (exponent == 31) return mantissa != 0 ? std::nan("") : sign * INFINITY;
  return sign * (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(mantissa + 1024, exponent - 25));
}
// Nearest, ties to even. The long double has the exact value.
u16 half_of(long double v) {
  const u16 sign = std::signbit(v) ? 0x8000 : 0;
  if (std::isnan(v)) return 0x7e00;
  v = std::fabs(v);
  int exponent = 0;
  static_cast<void>(std::frexp(v, &exponent));
  const int unit = std::max(exponent - 11, -24);
  const long double rounded = std::isinf(v) ? v : std::ldexp(std::nearbyint(std::ldexp(v, -unit)), unit);
  if (rounded >= 65520.0L) return sign | 0x7c00;
  if (rounded < 0x1p-14L) return static_cast<u16>(sign | static_cast<u16>(std::ldexp(rounded, 24)));
  static_cast<void>(std::frexp(rounded, &exponent));
  return static_cast<u16>(sign | ((exponent + 14) << 10) | (static_cast<u16>(std::ldexp(rounded, 11 - exponent)) & 1023));
}
bool same(u16 a, u16 b) { return a == b || ((a & 0x7fff) > 0x7c00 && (b & 0x7fff) > 0x7c00); }

u32 two_halves(unsigned i) {
  static constexpr u16 kEdges[] = {0x0000, 0x8000, 0x3c00, 0xbc00, 0x7c00, 0xfc00, 0x7e00, 0x0001, 0x83ff, 0x0400,
                                   0x7bff, 0xfbff, 0x3bff, 0x3c01, 0x0800, 0x1400};
  const u32 noise = interesting32(1000 + i * 17);
  return i < 256 ? kEdges[i % 16] | static_cast<u32>(kEdges[i / 16]) << 16 : noise;
}

TEST_P(Half, ArithmeticRoundsOnce) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    v_add_f16 v10, v0, v1
    v_sub_f16 v11, v0, v1
    v_mul_f16 v12, v0, v1
    v_fma_f16 v13, v0, v1, v2
    v_sqrt_f16 v14, v0
    v_rcp_f16 v15, v0
    v_pk_add_f16 v16, v0, v1
    v_pk_mul_f16 v17, v0, v1 op_sel:[1,0] op_sel_hi:[0,1]
    v_pk_fma_f16 v18, v0, v1, v2 neg_lo:[1,0,0] neg_hi:[0,0,1]
    v_cvt_f32_f16 v19, v0
    v_cvt_f16_f32 v20, v19
    v_fma_f16 v21, v0, v1, v2 op_sel:[1,0,1,1]
    s_endpgm)");
  for (unsigned round = 0; round < 64; ++round) {
    rig_.load(words);
    rig_.set_v(0, [&](unsigned lane) { return two_halves(lane + 64 * (round % 8)); });
    rig_.set_v(1, [&](unsigned lane) { return two_halves((lane * 5 + round * 11) % 400); });
    rig_.set_v(2, [&](unsigned lane) { return two_halves((lane * 3 + round * 7) % 400); });
    rig_.set_v(21, [&](unsigned) { return 0x1234abcdu; });
    ASSERT_EQ(rig_.run(), Exit::End) << isa::name(rig_.wave().illegal_op);
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      const auto low = [&](unsigned reg) { return static_cast<u16>(rig_.v(reg, lane)); };
      const auto high = [&](unsigned reg) { return static_cast<u16>(rig_.v(reg, lane) >> 16); };
      const long double a = value_of(low(0));
      const long double b = value_of(low(1));
      const long double c = value_of(low(2));
      const long double ah = value_of(high(0));
      const long double bh = value_of(high(1));
      const long double ch = value_of(high(2));
      ASSERT_TRUE(same(low(10), half_of(a + b))) << double(a) << " " << double(b);
      ASSERT_EQ(high(10), 0);
      ASSERT_TRUE(same(low(11), half_of(a - b)));
      ASSERT_TRUE(same(low(12), half_of(a * b)));
      ASSERT_TRUE(same(low(13), half_of(a * b + c))) << double(a) << " " << double(b) << " " << double(c);
      ASSERT_TRUE(same(low(14), half_of(std::sqrt(a))));
      ASSERT_TRUE(same(low(15), half_of(1 / a)));
      ASSERT_TRUE(same(low(16), half_of(a + b)) && same(high(16), half_of(ah + bh)));
      ASSERT_TRUE(same(low(17), half_of(ah * b)) && same(high(17), half_of(a * bh)));
      ASSERT_TRUE(same(low(18), half_of(-a * b + c)) && same(high(18), half_of(ah * bh - ch)));
      ASSERT_TRUE(same(low(20), low(0)));
      ASSERT_TRUE(same(high(21), half_of(ah * b + ch)));
      ASSERT_EQ(low(21), 0xabcd);
    }
  }
}

TEST_P(Half, PackedIntegersWrapOrSaturate) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    v_pk_add_u16 v10, v0, v1
    v_pk_add_u16 v11, v0, v1 clamp
    v_pk_sub_i16 v12, v0, v1 clamp
    v_pk_mul_lo_u16 v13, v0, v1
    v_pk_lshlrev_b16 v14, v0, v1
    v_pk_ashrrev_i16 v15, v0, v1
    v_pk_max_i16 v16, v0, v1
    v_pk_mad_u16 v17, v0, v1, v2
    s_endpgm)");
  rig_.load(words);
  rig_.set_v(0, [](unsigned lane) { return interesting32(lane); });
  rig_.set_v(1, [](unsigned lane) { return interesting32(lane * 3 + 5); });
  rig_.set_v(2, [](unsigned lane) { return interesting32(lane * 5 + 7); });
  ASSERT_EQ(rig_.run(), Exit::End) << isa::name(rig_.wave().illegal_op);
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    for (unsigned half = 0; half < 32; half += 16) {
      const auto part = [&](unsigned reg) { return rig_.v(reg, lane) >> half & 0xffff; };
      const auto sign = [&](unsigned reg) { return static_cast<i32>(static_cast<std::int16_t>(part(reg))); };
      EXPECT_EQ(part(10), (part(0) + part(1)) & 0xffff);
      EXPECT_EQ(part(11), std::min(part(0) + part(1), 0xffffu));
      EXPECT_EQ(part(12), static_cast<u32>(std::clamp(sign(0) - sign(1), -32768, 32767)) & 0xffff);
      EXPECT_EQ(part(13), (part(0) * part(1)) & 0xffff);
      EXPECT_EQ(part(14), (part(1) << (part(0) & 15)) & 0xffff);
      EXPECT_EQ(part(15), static_cast<u32>(sign(1) >> (part(0) & 15)) & 0xffff);
      EXPECT_EQ(part(16), static_cast<u32>(std::max(sign(0), sign(1))) & 0xffff);
      EXPECT_EQ(part(17), (part(0) * part(1) + part(2)) & 0xffff);
    }
  }
}

TEST_P(Half, PackedSinglesPickTheirDwords) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    v_pk_mul_f32 v[10:11], v[0:1], v[2:3]
    v_pk_add_f32 v[12:13], v[0:1], v[2:3] op_sel:[1,0] op_sel_hi:[0,1] neg_lo:[0,1]
    v_pk_fma_f32 v[14:15], v[0:1], s[0:1], v[2:3] op_sel_hi:[1,0,1]
    v_pk_mov_b32 v[16:17], v[0:1], v[2:3] op_sel:[1,0]
    s_endpgm)");
  rig_.load(words);
  rig_.s(0) = std::bit_cast<u32>(3.0f);
  rig_.s(1) = std::bit_cast<u32>(100.0f);
  for (unsigned reg = 0; reg < 4; ++reg) {
    rig_.set_v(reg, [&](unsigned lane) { return std::bit_cast<u32>(static_cast<float>(lane + 1) * 0.5f + static_cast<float>(reg)); });
  }
  ASSERT_EQ(rig_.run(), Exit::End) << isa::name(rig_.wave().illegal_op);
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const auto f = [&](unsigned reg) { return std::bit_cast<float>(rig_.v(reg, lane)); };
    EXPECT_EQ(f(10), f(0) * f(2));
    EXPECT_EQ(f(11), f(1) * f(3));
    EXPECT_EQ(f(12), f(1) - f(2));
    EXPECT_EQ(f(13), f(0) + f(3));
    EXPECT_EQ(f(14), std::fma(f(0), 3.0f, f(2)));
    EXPECT_EQ(f(15), std::fma(f(1), 3.0f, f(3)));
    EXPECT_EQ(f(16), f(1));
    EXPECT_EQ(f(17), f(2));
  }
}

TEST_P(Half, MixedPrecisionReadsEachSourceAsItsFormat) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    v_fma_mix_f32 v10, v0, v1, v2 op_sel:[1,0,0] op_sel_hi:[1,0,0]
    v_fma_mixlo_f16 v11, v0, v1, v2 op_sel_hi:[1,0,0]
    v_fma_mixhi_f16 v11, -v0, |v1|, v2 op_sel_hi:[1,0,0]
    s_endpgm)");
  rig_.load(words);
  rig_.set_v(0, [](unsigned lane) { return u32{half_of(lane * 0.25L)} | u32{half_of(lane * -2.0L)} << 16; });
  rig_.set_v(1, [](unsigned lane) { return std::bit_cast<u32>(static_cast<float>(lane) - 20.0f); });
  rig_.set_v(2, [](unsigned lane) { return std::bit_cast<u32>(static_cast<float>(lane) * 3.0f); });
  ASSERT_EQ(rig_.run(), Exit::End) << isa::name(rig_.wave().illegal_op);
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const float b = std::bit_cast<float>(rig_.v(1, lane));
    const float c = std::bit_cast<float>(rig_.v(2, lane));
    const float quarter = static_cast<float>(lane) * 0.25f;
    EXPECT_EQ(std::bit_cast<float>(rig_.v(10, lane)), static_cast<float>(lane) * -2.0f * b + c);
    EXPECT_EQ(rig_.v(11, lane) & 0xffff, half_of(quarter * b + c));
    EXPECT_EQ(rig_.v(11, lane) >> 16, half_of(-quarter * std::fabs(b) + c));
  }
}

TEST_P(Half, DotProductsSumAllElements) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    v_dot4_i32_i8 v10, v0, v1, v2
    v_dot4_u32_u8 v11, v0, v1, v2 clamp
    v_dot2_i32_i16 v12, v0, v1, v2
    v_dot8_u32_u4 v13, v0, v1, v2
    v_dot4c_i32_i8 v14, v0, v1
    s_endpgm)");
  rig_.load(words);
  rig_.set_v(0, [](unsigned lane) { return interesting32(lane * 3); });
  rig_.set_v(1, [](unsigned lane) { return interesting32(lane * 7 + 1); });
  rig_.set_v(2, [](unsigned lane) { return interesting32(lane); });
  rig_.set_v(14, [](unsigned lane) { return lane; });
  ASSERT_EQ(rig_.run(), Exit::End) << isa::name(rig_.wave().illegal_op);
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const u32 a = rig_.v(0, lane);
    const u32 b = rig_.v(1, lane);
    const u32 c = rig_.v(2, lane);
    i32 signed_sum = 0;
    std::uint64_t unsigned_sum = c;
    u32 nibbles = c;
    for (unsigned i = 0; i < 4; ++i) {
      signed_sum += static_cast<std::int8_t>(a >> (8 * i)) * static_cast<std::int8_t>(b >> (8 * i));
      unsigned_sum += std::uint64_t{a >> (8 * i) & 0xff} * (b >> (8 * i) & 0xff);
    }
    for (unsigned i = 0; i < 8; ++i) nibbles += (a >> (4 * i) & 15) * (b >> (4 * i) & 15);
    const std::int64_t words16 = std::int64_t{static_cast<std::int16_t>(a)} * static_cast<std::int16_t>(b) +
                                 std::int64_t{static_cast<std::int16_t>(a >> 16)} * static_cast<std::int16_t>(b >> 16);
    EXPECT_EQ(rig_.v(10, lane), c + static_cast<u32>(signed_sum));
    EXPECT_EQ(rig_.v(11, lane), std::min<std::uint64_t>(unsigned_sum, 0xffffffff));
    EXPECT_EQ(rig_.v(12, lane), c + static_cast<u32>(words16));
    EXPECT_EQ(rig_.v(13, lane), nibbles);
    EXPECT_EQ(rig_.v(14, lane), lane + static_cast<u32>(signed_sum));
  }
}

TEST_P(Half, ModeDecidesRoundingAndDenormals) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    v_add_f32 v10, v0, v1
    v_mul_f32 v11, v2, 1.0
    v_mac_f32 v12, v2, v3
    s_setreg_imm32_b32 hwreg(HW_REG_MODE, 0, 2), 1
    v_add_f32 v13, v0, v1
    s_setreg_imm32_b32 hwreg(HW_REG_MODE, 0, 8), 3
    v_add_f32 v14, v0, v1
    v_mul_f32 v15, v2, 1.0
    v_add_f64 v[16:17], v[4:5], v[4:5]
    s_endpgm)");
  rig_.load(words);
  rig_.set_v(0, [](unsigned) { return std::bit_cast<u32>(1.0f); });
  rig_.set_v(1, [](unsigned) { return std::bit_cast<u32>(0x1p-25f); });
  rig_.set_v(2, [](unsigned) { return 5u; });
  rig_.set_v(3, [](unsigned) { return std::bit_cast<u32>(1.0f); });
  rig_.set_v64(4, [](unsigned) { return 5u; });
  rig_.set_v(12, [](unsigned) { return std::bit_cast<u32>(0.0f); });
  ASSERT_EQ(rig_.run(), Exit::End) << isa::name(rig_.wave().illegal_op);
  EXPECT_EQ(rig_.v(10, 3), 0x3f800000u);
  EXPECT_EQ(rig_.v(11, 3), 5u);
  EXPECT_EQ(rig_.v(12, 3), 0u);  // v_mac flushes always
  EXPECT_EQ(rig_.v(13, 3), 0x3f800001u);
  EXPECT_EQ(rig_.v(14, 3), 0x3f800000u);
  EXPECT_EQ(rig_.v(15, 3), 0u);
  EXPECT_EQ(rig_.v64(16, 3), 0u);
  // The host's own arithmetic is as before.
  volatile float tiny = 1e-40f;
  EXPECT_NE(tiny * 1.0f, 0.0f);
}

}  // namespace
}  // namespace kfdlab::engine
