// SPDX-License-Identifier: MIT
// Vector arithmetic against C++ written lane by lane, at edge values, with partial EXEC, on every instruction set.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>

#include "tests/unit/engine/support/assembler.h"
#include "tests/unit/engine/support/wave_rig.h"

namespace kfdlab::engine {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

float as_float(u32 bits) { return std::bit_cast<float>(bits); }
u32 bits_of(float value) { return std::bit_cast<u32>(value); }

constexpr u64 kExec = 0xfedcba9876543210ull | 0xffff;

class Valu : public testing::TestWithParam<SimdLevel> {
 protected:
  WaveRig rig_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Simd, Valu, testing::ValuesIn(simd_levels()),
                         [](const auto& each) { return simd_name(each.param); });

struct Case32 {
  const char* text;  // behind the mnemonic: "D" is the destination
  std::function<u32(u32 a, u32 b, u32 c)> expected;
};

// NaN results: any payload is good in these tables; NanPayload below has the rules.
bool same_float(u32 a, u32 b) {
  return a == b || (std::isnan(as_float(a)) && std::isnan(as_float(b)));
}

// v0, v1, v2 hold every interesting value against every other over several runs.
void check32(WaveRig& rig, const std::vector<Case32>& cases, bool floats) {
  std::string source;
  constexpr unsigned kFirst = 16;
  ASSERT_LE(kFirst + cases.size(), WaveRig::kRows);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    std::string line = cases[i].text;
    line.replace(line.find('D'), 1, "v" + std::to_string(kFirst + i));
    source += line + "\n";
  }
  KFDLAB_ASSEMBLE_OR_SKIP(words, source + "s_endpgm");
  for (unsigned round = 0; round < 16; ++round) {
    rig.load(words);
    rig.wave().set_exec(kExec);
    rig.s(4) = interesting32(round * 3 + 1);
    rig.set_v(0, [&](unsigned lane) { return interesting32(lane); });
    rig.set_v(1, [&](unsigned lane) { return interesting32((lane * 7 + round * 5) % 40); });
    rig.set_v(2, [&](unsigned lane) { return interesting32((lane * 11 + round * 3) % 48); });
    for (unsigned reg = kFirst; reg < kFirst + cases.size(); ++reg) {
      rig.set_v(reg, [&](unsigned lane) { return 0xabcd0000u + lane; });
    }
    ASSERT_EQ(rig.run(), Exit::End) << isa::name(rig.wave().illegal_op);
    for (std::size_t i = 0; i < cases.size(); ++i) {
      for (unsigned lane = 0; lane < kLanes; ++lane) {
        const u32 got = rig.v(kFirst + static_cast<unsigned>(i), lane);
        if ((kExec >> lane & 1) == 0) {
          ASSERT_EQ(got, 0xabcd0000u + lane) << cases[i].text << " wrote inactive lane " << lane;
          continue;
        }
        const u32 a = rig.v(0, lane);
        const u32 b = rig.v(1, lane);
        const u32 c = rig.v(2, lane);
        const u32 expected = cases[i].expected(a, b, c);
        ASSERT_TRUE(floats ? same_float(got, expected) : got == expected)
            << cases[i].text << std::hex << " a " << a << " b " << b << " c " << c << " got " << got << " expected "
            << expected;
      }
    }
  }
}

i32 s24(u32 v) { return static_cast<i32>(v << 8) >> 8; }

TEST_P(Valu, IntegerOperationsOfTwoSources) {
  check32(rig_,
          {
              {"v_mov_b32 D, v0", [](u32 a, u32, u32) { return a; }},
              {"v_not_b32 D, v0", [](u32 a, u32, u32) { return ~a; }},
              {"v_add_u32 D, v0, v1", [](u32 a, u32 b, u32) { return a + b; }},
              {"v_add_u32 D, 5, v1", [](u32, u32 b, u32) { return 5 + b; }},
              {"v_add_u32 D, 0x12345678, v1", [](u32, u32 b, u32) { return 0x12345678 + b; }},
              {"v_sub_u32 D, v0, v1", [](u32 a, u32 b, u32) { return a - b; }},
              {"v_subrev_u32 D, v0, v1", [](u32 a, u32 b, u32) { return b - a; }},
              {"v_add_u32_e64 D, v0, v1 clamp", [](u32 a, u32 b, u32) { return a + b < a ? ~0u : a + b; }},
              {"v_sub_u32_e64 D, v0, v1 clamp", [](u32 a, u32 b, u32) { return b > a ? 0 : a - b; }},
              {"v_add_i32 D, v0, v1 clamp",
               [](u32 a, u32 b, u32) {
                 const i64 sum = i64{static_cast<i32>(a)} + static_cast<i32>(b);
                 return static_cast<u32>(std::clamp<i64>(sum, INT32_MIN, INT32_MAX));
               }},
              {"v_sub_i32 D, v0, v1 clamp",
               [](u32 a, u32 b, u32) {
                 const i64 difference = i64{static_cast<i32>(a)} - static_cast<i32>(b);
                 return static_cast<u32>(std::clamp<i64>(difference, INT32_MIN, INT32_MAX));
               }},
              {"v_min_u32 D, v0, v1", [](u32 a, u32 b, u32) { return std::min(a, b); }},
              {"v_max_i32 D, v0, v1",
               [](u32 a, u32 b, u32) { return static_cast<u32>(std::max(static_cast<i32>(a), static_cast<i32>(b))); }},
              {"v_and_b32 D, v0, v1", [](u32 a, u32 b, u32) { return a & b; }},
              {"v_or_b32 D, v0, v1", [](u32 a, u32 b, u32) { return a | b; }},
              {"v_xor_b32 D, v0, v1", [](u32 a, u32 b, u32) { return a ^ b; }},
              {"v_xnor_b32 D, v0, v1", [](u32 a, u32 b, u32) { return ~(a ^ b); }},
              {"v_lshlrev_b32 D, v0, v1", [](u32 a, u32 b, u32) { return b << (a & 31); }},
              {"v_lshrrev_b32 D, v0, v1", [](u32 a, u32 b, u32) { return b >> (a & 31); }},
              {"v_ashrrev_i32 D, v0, v1",
               [](u32 a, u32 b, u32) { return static_cast<u32>(static_cast<i32>(b) >> (a & 31)); }},
              {"v_mul_lo_u32 D, v0, v1", [](u32 a, u32 b, u32) { return a * b; }},
              {"v_mul_hi_u32 D, v0, v1", [](u32 a, u32 b, u32) { return static_cast<u32>(u64{a} * b >> 32); }},
              {"v_mul_hi_i32 D, v0, v1",
               [](u32 a, u32 b, u32) {
                 return static_cast<u32>(i64{static_cast<i32>(a)} * static_cast<i32>(b) >> 32);
               }},
              {"v_mul_u32_u24 D, v0, v1", [](u32 a, u32 b, u32) { return (a & 0xffffff) * (b & 0xffffff); }},
              {"v_mul_hi_u32_u24 D, v0, v1",
               [](u32 a, u32 b, u32) { return static_cast<u32>(u64{a & 0xffffff} * (b & 0xffffff) >> 32); }},
              {"v_mul_hi_i32_i24 D, v0, v1",
               [](u32 a, u32 b, u32) { return static_cast<u32>(i64{s24(a)} * s24(b) >> 32); }},
              {"v_bcnt_u32_b32 D, v0, v1",
               [](u32 a, u32 b, u32) { return static_cast<u32>(std::popcount(a)) + b; }},
              {"v_bfm_b32 D, v0, v1", [](u32 a, u32 b, u32) { return ((1u << (a & 31)) - 1) << (b & 31); }},
              {"v_bfrev_b32 D, v0",
               [](u32 a, u32, u32) {
                 u32 r = 0;
                 for (int i = 0; i < 32; ++i) r |= (a >> i & 1) << (31 - i);
                 return r;
               }},
              {"v_ffbh_u32 D, v0", [](u32 a, u32, u32) { return a == 0 ? ~0u : static_cast<u32>(std::countl_zero(a)); }},
              {"v_ffbl_b32 D, v0", [](u32 a, u32, u32) { return a == 0 ? ~0u : static_cast<u32>(std::countr_zero(a)); }},
              {"v_ffbh_i32 D, v0",
               [](u32 a, u32, u32) {
                 for (u32 i = 1; i < 32; ++i) {
                   if ((a >> (31 - i) & 1) != a >> 31) return i;
                 }
                 return ~0u;
               }},
              {"v_add_u16 D, v0, v1", [](u32 a, u32 b, u32) { return (a + b) & 0xffff; }},
              {"v_ashrrev_i16 D, v0, v1",
               [](u32 a, u32 b, u32) { return static_cast<u32>(static_cast<std::int16_t>(b) >> (a & 15)) & 0xffff; }},
              {"v_max_i16 D, v0, v1",
               [](u32 a, u32 b, u32) {
                 return static_cast<u32>(std::max(static_cast<std::int16_t>(a), static_cast<std::int16_t>(b))) & 0xffff;
               }},
          },
          false);
}

TEST_P(Valu, IntegerOperationsOfThreeSources) {
  check32(rig_,
          {
              {"v_bfe_u32 D, v0, v1, v2",
               [](u32 a, u32 b, u32 c) { return a >> (b & 31) & ((1u << (c & 31)) - 1); }},
              {"v_bfe_i32 D, v0, v1, v2",
               [](u32 a, u32 b, u32 c) {
                 const u32 width = c & 31;
                 const u32 offset = b & 31;
                 if (width == 0) return 0u;
                 // A field that ends behind bit 31 is what there is, with the sign of the source.
                 if (offset + width >= 32) return static_cast<u32>(static_cast<i32>(a) >> offset);
                 return static_cast<u32>(static_cast<i32>(a << (32 - width - offset)) >> (32 - width));
               }},
              {"v_bfi_b32 D, v0, v1, v2", [](u32 a, u32 b, u32 c) { return (a & b) | (~a & c); }},
              {"v_alignbit_b32 D, v0, v1, v2",
               [](u32 a, u32 b, u32 c) { return static_cast<u32>((u64{a} << 32 | b) >> (c & 31)); }},
              {"v_alignbyte_b32 D, v0, v1, v2",
               [](u32 a, u32 b, u32 c) { return static_cast<u32>((u64{a} << 32 | b) >> ((c & 3) * 8)); }},
              {"v_add3_u32 D, v0, v1, v2", [](u32 a, u32 b, u32 c) { return a + b + c; }},
              {"v_lshl_add_u32 D, v0, v1, v2", [](u32 a, u32 b, u32 c) { return (a << (b & 31)) + c; }},
              {"v_lshl_add_u32 D, v0, 3, v2", [](u32 a, u32, u32 c) { return (a << 3) + c; }},
              {"v_add_lshl_u32 D, v0, v1, v2", [](u32 a, u32 b, u32 c) { return (a + b) << (c & 31); }},
              {"v_lshl_or_b32 D, v0, v1, v2", [](u32 a, u32 b, u32 c) { return a << (b & 31) | c; }},
              {"v_and_or_b32 D, v0, v1, v2", [](u32 a, u32 b, u32 c) { return (a & b) | c; }},
              {"v_or3_b32 D, v0, v1, v2", [](u32 a, u32 b, u32 c) { return a | b | c; }},
              {"v_xad_u32 D, v0, v1, v2", [](u32 a, u32 b, u32 c) { return (a ^ b) + c; }},
              {"v_mad_u32_u24 D, v0, v1, v2",
               [](u32 a, u32 b, u32 c) { return (a & 0xffffff) * (b & 0xffffff) + c; }},
              {"v_mad_i32_i24 D, v0, v1, v2",
               [](u32 a, u32 b, u32 c) { return static_cast<u32>(s24(a)) * static_cast<u32>(s24(b)) + c; }},
              {"v_min3_u32 D, v0, v1, v2", [](u32 a, u32 b, u32 c) { return std::min({a, b, c}); }},
              {"v_med3_i32 D, v0, v1, v2",
               [](u32 a, u32 b, u32 c) {
                 i32 v[3] = {static_cast<i32>(a), static_cast<i32>(b), static_cast<i32>(c)};
                 std::sort(v, v + 3);
                 return static_cast<u32>(v[1]);
               }},
              {"v_sad_u32 D, v0, v1, v2", [](u32 a, u32 b, u32 c) { return (a > b ? a - b : b - a) + c; }},
              {"v_perm_b32 D, v0, v1, v2",
               [](u32 a, u32 b, u32 c) {
                 const u64 both = u64{a} << 32 | b;
                 u32 result = 0;
                 for (int i = 0; i < 4; ++i) {
                   const u32 select = c >> (8 * i) & 0xff;
                   u32 byte = 0;
                   if (select < 8) {
                     byte = both >> (8 * select) & 0xff;
                   } else if (select < 12) {
                     byte = (both >> (16 * (select - 8) + 15) & 1) != 0 ? 0xff : 0;
                   } else if (select > 12) {
                     byte = 0xff;
                   }
                   result |= byte << (8 * i);
                 }
                 return result;
               }},
          },
          false);
}

TEST_P(Valu, SingleFloatsRoundOnce) {
  check32(rig_,
          {
              {"v_add_f32 D, v0, v1", [](u32 a, u32 b, u32) { return bits_of(as_float(a) + as_float(b)); }},
              {"v_sub_f32 D, v0, v1", [](u32 a, u32 b, u32) { return bits_of(as_float(a) - as_float(b)); }},
              {"v_mul_f32 D, v0, v1", [](u32 a, u32 b, u32) { return bits_of(as_float(a) * as_float(b)); }},
              {"v_mul_f32_e64 D, -v0, |v1|",
               [](u32 a, u32 b, u32) { return bits_of(-as_float(a) * std::fabs(as_float(b))); }},
              {"v_fma_f32 D, v0, v1, v2",
               [](u32 a, u32 b, u32 c) { return bits_of(std::fma(as_float(a), as_float(b), as_float(c))); }},
              {"v_fma_f32 D, v0, v1, -v2",
               [](u32 a, u32 b, u32 c) { return bits_of(std::fma(as_float(a), as_float(b), -as_float(c))); }},
              {"v_fma_f32 D, v0, 2.0, v2",
               [](u32 a, u32, u32 c) { return bits_of(std::fma(as_float(a), 2.0f, as_float(c))); }},
              {"v_trunc_f32 D, v0", [](u32 a, u32, u32) { return bits_of(std::trunc(as_float(a))); }},
              {"v_ceil_f32 D, v0", [](u32 a, u32, u32) { return bits_of(std::ceil(as_float(a))); }},
              {"v_floor_f32 D, v0", [](u32 a, u32, u32) { return bits_of(std::floor(as_float(a))); }},
              {"v_rndne_f32 D, v0", [](u32 a, u32, u32) { return bits_of(std::nearbyint(as_float(a))); }},
              {"v_ldexp_f32 D, v0, v1",
               [](u32 a, u32 b, u32) { return bits_of(std::ldexp(as_float(a), static_cast<i32>(b))); }},
              {"v_frexp_mant_f32 D, v0",
               [](u32 a, u32, u32) {
                 int e = 0;
                 return bits_of(std::frexp(as_float(a), &e));
               }},
              {"v_frexp_exp_i32_f32 D, v0",
               [](u32 a, u32, u32) {
                 int e = 0;
                 static_cast<void>(std::frexp(as_float(a), &e));
                 return std::isfinite(as_float(a)) ? static_cast<u32>(e) : 0u;
               }},
              {"v_cvt_f32_u32 D, v0", [](u32 a, u32, u32) { return bits_of(static_cast<float>(a)); }},
              {"v_cvt_f32_i32 D, v0", [](u32 a, u32, u32) { return bits_of(static_cast<float>(static_cast<i32>(a))); }},
              {"v_add_f32_e64 D, v0, v1 clamp",
               [](u32 a, u32 b, u32) {
                 const float sum = as_float(a) + as_float(b);
                 return bits_of(std::isnan(sum) ? 0.0f : sum <= 0.0f ? 0.0f : sum > 1.0f ? 1.0f : sum);
               }},
          },
          true);
}

u32 saturating(float v, double low, double high) {
  if (std::isnan(v)) return 0;
  return static_cast<u32>(static_cast<i64>(std::trunc(std::clamp<double>(v, low, high))));
}

TEST_P(Valu, FloatsBecomeIntegersWithoutOverflow) {
  check32(rig_,
          {
              {"v_cvt_u32_f32 D, v0", [](u32 a, u32, u32) { return saturating(as_float(a), 0, 4294967295.0); }},
              {"v_cvt_i32_f32 D, v0",
               [](u32 a, u32, u32) { return saturating(as_float(a), -2147483648.0, 2147483647.0); }},
              {"v_cvt_flr_i32_f32 D, v0",
               [](u32 a, u32, u32) { return saturating(std::floor(as_float(a)), -2147483648.0, 2147483647.0); }},
              {"v_cvt_f32_ubyte2 D, v0",
               [](u32 a, u32, u32) { return bits_of(static_cast<float>(a >> 16 & 0xff)); }},
          },
          false);
}

TEST_P(Valu, NanResultsAreTheFirstNanMadeQuietOrThePositiveOne) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    v_add_f32 v2, v0, v1
    v_mul_f32 v3, v0, v1
    v_fma_f32 v4, v0, v1, v1
    v_add_f64 v[10:11], v[6:7], v[8:9]
    s_endpgm)");
  rig_.load(words);
  const u32 pairs[][3] = {{0x7f800000, 0xff800000, 0x7fc00000},
                          {0x7fa00001, 0x3f800000, 0x7fe00001},
                          {0x3f800000, 0xff812345, 0xffc12345},
                          {0xffa00002, 0x7fb00003, 0xffe00002}};
  rig_.set_v(0, [&](unsigned lane) { return pairs[lane % 4][0]; });
  rig_.set_v(1, [&](unsigned lane) { return pairs[lane % 4][1]; });
  rig_.set_v64(6, [&](unsigned lane) { return lane % 2 == 0 ? 0x7ff0000000000000u : 0x7ff0000000000005u; });
  rig_.set_v64(8, [&](unsigned) { return 0xfff0000000000000u; });
  ASSERT_EQ(rig_.run(), Exit::End);
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    EXPECT_EQ(rig_.v(2, lane), pairs[lane % 4][2]) << lane;
    if (lane % 4 != 0) {
      EXPECT_EQ(rig_.v(3, lane), pairs[lane % 4][2]) << lane;
      EXPECT_EQ(rig_.v(4, lane), pairs[lane % 4][2]) << lane;
    }
    EXPECT_EQ(rig_.v64(10, lane), lane % 2 == 0 ? 0x7ff8000000000000u : 0x7ff8000000000005u) << lane;
  }
}

TEST_P(Valu, MaximumAndMinimumOrderZerosAndPreferNumbers) {
  check32(rig_,
          {
              {"v_max_f32 D, v0, v1",
               [](u32 a, u32 b, u32) {
                 const float x = as_float(a);
                 const float y = as_float(b);
                 const bool a_signals = std::isnan(x) && (a & 0x400000) == 0;
                 const bool b_signals = std::isnan(y) && (b & 0x400000) == 0;
                 if (a_signals || b_signals) return 0x7fc00000u;
                 if (std::isnan(x)) return b;
                 if (std::isnan(y)) return a;
                 if (x == y) return a & b;
                 return x > y ? a : b;
               }},
              {"v_min_f32 D, v0, v1",
               [](u32 a, u32 b, u32) {
                 const float x = as_float(a);
                 const float y = as_float(b);
                 const bool a_signals = std::isnan(x) && (a & 0x400000) == 0;
                 const bool b_signals = std::isnan(y) && (b & 0x400000) == 0;
                 if (a_signals || b_signals) return 0x7fc00000u;
                 if (std::isnan(x)) return b;
                 if (std::isnan(y)) return a;
                 if (x == y) return a | b;
                 return x < y ? a : b;
               }},
          },
          true);
}

struct Case64 {
  const char* text;  // D: destination pair
  std::function<u64(u64 a, u64 b, u64 c)> expected;
};
double as_double(u64 bits) { return std::bit_cast<double>(bits); }
u64 bits_of(double value) { return std::bit_cast<u64>(value); }

void check64(WaveRig& rig, const std::vector<Case64>& cases) {
  std::string source;
  constexpr unsigned kFirst = 16;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const unsigned reg = kFirst + 2 * static_cast<unsigned>(i);
    std::string line = cases[i].text;
    line.replace(line.find('D'), 1, "v[" + std::to_string(reg) + ":" + std::to_string(reg + 1) + "]");
    source += line + "\n";
  }
  KFDLAB_ASSEMBLE_OR_SKIP(words, source + "s_endpgm");
  for (unsigned round = 0; round < 12; ++round) {
    rig.load(words);
    rig.wave().set_exec(kExec);
    rig.set_v64(0, [&](unsigned lane) { return interesting64(lane); });
    rig.set_v64(2, [&](unsigned lane) { return interesting64((lane * 7 + round * 5) % 40); });
    rig.set_v64(4, [&](unsigned lane) { return interesting64((lane * 11 + round * 3) % 48); });
    for (unsigned i = 0; i < cases.size(); ++i) {
      rig.set_v64(kFirst + 2 * i, [&](unsigned lane) { return 0xabcd0000u + lane; });
    }
    ASSERT_EQ(rig.run(), Exit::End) << isa::name(rig.wave().illegal_op);
    for (unsigned i = 0; i < cases.size(); ++i) {
      for (unsigned lane = 0; lane < kLanes; ++lane) {
        const u64 got = rig.v64(kFirst + 2 * i, lane);
        const u64 expected = (kExec >> lane & 1) == 0
                                 ? 0xabcd0000u + lane
                                 : cases[i].expected(rig.v64(0, lane), rig.v64(2, lane), rig.v64(4, lane));
        ASSERT_TRUE(got == expected || (std::isnan(as_double(got)) && std::isnan(as_double(expected))))
            << cases[i].text << " lane " << lane << std::hex << " a " << rig.v64(0, lane) << " b " << rig.v64(2, lane)
            << " got " << got << " expected " << expected;
      }
    }
  }
}

TEST_P(Valu, WideOperations) {
  check64(rig_,
          {
              {"v_add_f64 D, v[0:1], v[2:3]", [](u64 a, u64 b, u64) { return bits_of(as_double(a) + as_double(b)); }},
              {"v_mul_f64 D, v[0:1], v[2:3]", [](u64 a, u64 b, u64) { return bits_of(as_double(a) * as_double(b)); }},
              {"v_mul_f64 D, v[0:1], -|v[2:3]|",
               [](u64 a, u64 b, u64) { return bits_of(as_double(a) * -std::fabs(as_double(b))); }},
              {"v_fma_f64 D, v[0:1], v[2:3], v[4:5]",
               [](u64 a, u64 b, u64 c) { return bits_of(std::fma(as_double(a), as_double(b), as_double(c))); }},
              {"v_fma_f64 D, v[0:1], 0.5, v[4:5]",
               [](u64 a, u64, u64 c) { return bits_of(std::fma(as_double(a), 0.5, as_double(c))); }},
              {"v_trunc_f64 D, v[0:1]", [](u64 a, u64, u64) { return bits_of(std::trunc(as_double(a))); }},
              {"v_rndne_f64 D, v[0:1]", [](u64 a, u64, u64) { return bits_of(std::nearbyint(as_double(a))); }},
              {"v_floor_f64 D, v[0:1]", [](u64 a, u64, u64) { return bits_of(std::floor(as_double(a))); }},
              {"v_ldexp_f64 D, v[0:1], v2",
               [](u64 a, u64 b, u64) { return bits_of(std::ldexp(as_double(a), static_cast<i32>(b))); }},
              {"v_sqrt_f64 D, v[0:1]", [](u64 a, u64, u64) { return bits_of(std::sqrt(as_double(a))); }},
              {"v_rcp_f64 D, v[0:1]", [](u64 a, u64, u64) { return bits_of(1.0 / as_double(a)); }},
              {"v_frexp_mant_f64 D, v[0:1]",
               [](u64 a, u64, u64) {
                 int e = 0;
                 return bits_of(std::frexp(as_double(a), &e));
               }},
              {"v_cvt_f64_i32 D, v0", [](u64 a, u64, u64) { return bits_of(static_cast<double>(static_cast<i32>(a))); }},
              {"v_cvt_f64_u32 D, v0", [](u64 a, u64, u64) { return bits_of(static_cast<double>(static_cast<u32>(a))); }},
              {"v_cvt_f64_f32 D, v1",
               [](u64 a, u64, u64) { return bits_of(static_cast<double>(as_float(static_cast<u32>(a >> 32)))); }},
              {"v_lshlrev_b64 D, v2, v[0:1]", [](u64 a, u64 b, u64) { return a << (b & 63); }},
              {"v_lshrrev_b64 D, v2, v[0:1]", [](u64 a, u64 b, u64) { return a >> (b & 63); }},
              {"v_ashrrev_i64 D, v2, v[0:1]",
               [](u64 a, u64 b, u64) { return static_cast<u64>(static_cast<i64>(a) >> (b & 63)); }},
              {"v_lshlrev_b64 D, 2, v[0:1]", [](u64 a, u64, u64) { return a << 2; }},
              {"v_mad_u64_u32 D, s[8:9], v0, v2, v[4:5]",
               [](u64 a, u64 b, u64 c) { return (a & 0xffffffff) * (b & 0xffffffff) + c; }},
              {"v_mad_i64_i32 D, s[8:9], v0, v2, v[4:5]",
               [](u64 a, u64 b, u64 c) {
                 return static_cast<u64>(i64{static_cast<i32>(a)} * static_cast<i32>(b)) + c;
               }},
          });
}

TEST_P(Valu, CarryChainsAddAndSubtract64Bits) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    v_add_co_u32 v4, vcc, v0, v2
    v_addc_co_u32 v5, vcc, v1, v3, vcc
    s_mov_b64 s[10:11], vcc
    v_sub_co_u32_e64 v6, s[12:13], v0, v2
    v_subb_co_u32_e64 v7, s[12:13], v1, v3, s[12:13]
    v_cmp_lt_u64 s[14:15], v[0:1], v[2:3]
    v_cndmask_b32_e64 v8, v0, v2, s[14:15]
    s_endpgm)");
  rig_.load(words);
  rig_.wave().set_exec(kExec);
  rig_.set_v64(0, [](unsigned lane) { return interesting64(lane); });
  rig_.set_v64(2, [](unsigned lane) { return interesting64((lane * 5 + 3) % 32); });
  ASSERT_EQ(rig_.run(), Exit::End);
  u64 carries = 0;
  u64 borrows = 0;
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    if ((kExec >> lane & 1) == 0) continue;
    const u64 a = rig_.v64(0, lane);
    const u64 b = rig_.v64(2, lane);
    EXPECT_EQ(rig_.v64(4, lane), a + b);
    EXPECT_EQ(rig_.v64(6, lane), a - b);
    carries |= u64{a + b < a} << lane;
    borrows |= u64{b > a} << lane;
    EXPECT_EQ(rig_.v(8, lane), a < b ? rig_.v(2, lane) : rig_.v(0, lane));
  }
  EXPECT_EQ(rig_.wave().u64(10), carries);
  EXPECT_EQ(rig_.wave().u64(12), borrows);
  EXPECT_EQ(rig_.wave().u64(14), borrows);
}

TEST_P(Valu, ComparesWriteMasksWithZerosForInactiveLanes) {
  struct Compare {
    const char* name;
    std::function<bool(float, float)> expected;
  };
  const std::vector<Compare> compares = {
      {"lt", [](float a, float b) { return a < b; }},
      {"eq", [](float a, float b) { return a == b; }},
      {"le", [](float a, float b) { return a <= b; }},
      {"gt", [](float a, float b) { return a > b; }},
      {"lg", [](float a, float b) { return a < b || a > b; }},
      {"ge", [](float a, float b) { return a >= b; }},
      {"o", [](float a, float b) { return !std::isnan(a) && !std::isnan(b); }},
      {"u", [](float a, float b) { return std::isnan(a) || std::isnan(b); }},
      {"nge", [](float a, float b) { return !(a >= b); }},
      {"nlg", [](float a, float b) { return !(a < b || a > b); }},
      {"ngt", [](float a, float b) { return !(a > b); }},
      {"nle", [](float a, float b) { return !(a <= b); }},
      {"neq", [](float a, float b) { return !(a == b); }},
      {"nlt", [](float a, float b) { return !(a < b); }},
  };
  std::string source;
  for (std::size_t i = 0; i < compares.size(); ++i) {
    source += "v_cmp_" + std::string(compares[i].name) + "_f32 s[" + std::to_string(10 + 2 * i) + ":" +
              std::to_string(11 + 2 * i) + "], v0, v1\n";
  }
  KFDLAB_ASSEMBLE_OR_SKIP(words, source + "s_endpgm");
  rig_.load(words);
  rig_.wave().set_exec(kExec);
  rig_.set_v(0, [](unsigned lane) { return interesting32(lane % 32); });
  rig_.set_v(1, [](unsigned lane) { return interesting32((lane * 3 + lane / 16) % 32); });
  ASSERT_EQ(rig_.run(), Exit::End);
  for (std::size_t i = 0; i < compares.size(); ++i) {
    u64 expected = 0;
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      expected |= u64{compares[i].expected(as_float(rig_.v(0, lane)), as_float(rig_.v(1, lane)))} << lane;
    }
    EXPECT_EQ(rig_.wave().u64(static_cast<unsigned>(10 + 2 * i)), expected & kExec) << compares[i].name;
  }
}

TEST_P(Valu, CmpxNarrowsExecAndClassKnowsEveryKind) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    v_cmp_class_f32 s[10:11], v0, v1
    v_cmp_class_f64 s[12:13], v[2:3], v1
    v_cmpx_ne_u32 vcc, 0, v4
    s_endpgm)");
  rig_.load(words);
  const u32 kinds[] = {0x7fa00000, 0x7fc00000, 0xff800000, 0xbf800000, 0x80000001,
                       0x80000000, 0x00000000, 0x00000001, 0x3f800000, 0x7f800000};
  const u64 kinds64[] = {0x7ff4000000000000, 0x7ff8000000000000, 0xfff0000000000000, 0xbff0000000000000,
                         0x8000000000000001, 0x8000000000000000, 0, 1, 0x3ff0000000000000, 0x7ff0000000000000};
  rig_.set_v(0, [&](unsigned lane) { return kinds[lane % 10]; });
  rig_.set_v64(2, [&](unsigned lane) { return kinds64[lane % 10]; });
  rig_.set_v(1, [&](unsigned lane) { return lane < 40 ? 1u << (lane % 10) : 0x3ffu & ~(1u << (lane % 10)); });
  rig_.set_v(4, [](unsigned lane) { return lane % 3; });
  ASSERT_EQ(rig_.run(), Exit::End);
  EXPECT_EQ(rig_.wave().u64(10), (1ull << 40) - 1);
  EXPECT_EQ(rig_.wave().u64(12), (1ull << 40) - 1);
  u64 expected = 0;
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    expected |= u64{lane % 3 != 0} << lane;
  }
  EXPECT_EQ(rig_.wave().vcc(), expected);
  EXPECT_EQ(rig_.wave().exec(), expected);
}

TEST_P(Valu, DoublesBecomeIntegersAndSingles) {
  KFDLAB_ASSEMBLE_OR_SKIP(words, R"(
    v_cvt_i32_f64 v4, v[0:1]
    v_cvt_u32_f64 v5, v[0:1]
    v_cvt_f32_f64 v6, v[0:1]
    v_frexp_exp_i32_f64 v7, v[0:1]
    s_endpgm)");
  rig_.load(words);
  rig_.set_v64(0, [](unsigned lane) { return interesting64(lane); });
  ASSERT_EQ(rig_.run(), Exit::End);
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const double value = as_double(rig_.v64(0, lane));
    const bool nan = std::isnan(value);
    EXPECT_EQ(static_cast<i32>(rig_.v(4, lane)),
              nan ? 0 : static_cast<i32>(std::clamp(value, -2147483648.0, 2147483647.0)))
        << value;
    EXPECT_EQ(rig_.v(5, lane), nan ? 0 : static_cast<u32>(std::clamp(value, 0.0, 4294967295.0))) << value;
    EXPECT_TRUE(same_float(rig_.v(6, lane), bits_of(static_cast<float>(value)))) << value;
    int exponent = 0;
    static_cast<void>(std::frexp(value, &exponent));
    EXPECT_EQ(static_cast<i32>(rig_.v(7, lane)), std::isfinite(value) ? exponent : 0) << value;
  }
}

}  // namespace
}  // namespace kfdlab::engine
