// SPDX-License-Identifier: MIT
// Functions that the hardware approximates to about one ulp with bit patterns nobody published. Here: the exact value
// rounded, as far as a calculation in double precision can tell.
// Facts: CDNA 2 ISA chapter 12.8 (domains and special values).
#include "device/engine/half_ops.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

using isa::Op;

struct Rcp : Float32 {
  static F32 f(F32 a) { return splatf(1.0f) / a; }
};
struct Sqrt : Float32 {
  static F32 f(F32 a) { return square_root(a); }
};

// Polynomials are Taylor series in double precision, long enough that what they leave out is below 2^-50.
KFDLAB_INLINE F64 choose(U64 lanes, F64 yes, F64 no) { return (F64)blend(lanes, (U64)yes, (U64)no); }
KFDLAB_INLINE F64 constant(double value) { return splatd(value); }
KFDLAB_INLINE F64 absolute(F64 v) { return (F64)((U64)v & ~(1ull << 63)); }
const F64 kNothing{};

// 2^v for |v| < 1000.
F64 exp2_of(F64 v) {
  const F64 clamped = choose((U64)(absolute(v) < constant(1000.0)), v,
                             choose((U64)(v > kNothing), constant(1000.0), constant(-1000.0)));
  const F64 whole = round_to<_MM_FROUND_TO_NEAREST_INT>(clamped);
  const F64 x = (clamped - whole) * 0.693147180559945309417;
  F64 sum = constant(1.0 / 6227020800.0);
  sum = fma(sum, x, constant(1.0 / 479001600.0));
  sum = fma(sum, x, constant(1.0 / 39916800.0));
  sum = fma(sum, x, constant(1.0 / 3628800.0));
  sum = fma(sum, x, constant(1.0 / 362880.0));
  sum = fma(sum, x, constant(1.0 / 40320.0));
  sum = fma(sum, x, constant(1.0 / 5040.0));
  sum = fma(sum, x, constant(1.0 / 720.0));
  sum = fma(sum, x, constant(1.0 / 120.0));
  sum = fma(sum, x, constant(1.0 / 24.0));
  sum = fma(sum, x, constant(1.0 / 6.0));
  sum = fma(sum, x, constant(0.5));
  sum = fma(sum, x, constant(1.0));
  sum = fma(sum, x, constant(1.0));
  const U64 exponent = (U64)(whole + constant(0x1.8p52 + 1023.0)) << 52;
  return choose(is_nan(v), v, sum * (F64)exponent);
}

// Through m = (1 + s) / (1 - s), m in [sqrt(1/2), sqrt(2)).
F64 log2_of(F64 v) {
  const U64 bits = (U64)v;
  const F64 mantissa = (F64)((bits & 0x000fffffffffffffull) | 0x3ff0000000000000ull);
  const U64 upper = (U64)(mantissa > constant(1.41421356237309504880));
  const F64 m = choose(upper, mantissa * 0.5, mantissa);
  const U64 biased = (bits >> 52) - upper;  // the comparison is -1
  const F64 exponent = (F64)(biased | 0x4330000000000000ull) - constant(0x1p52 + 1023.0);
  const F64 s = (m - 1.0) / (m + 1.0);
  const F64 q = s * s;
  F64 sum = constant(1.0 / 23.0);
  for (const double n : {21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0}) {
    sum = fma(sum, q, constant(1.0 / n));
  }
  F64 result = fma(s * sum, constant(2.88539008177792681472), exponent);
  result = choose((U64)(v == constant(__builtin_inf())), v, result);
  result = choose((U64)(v == kNothing), constant(-__builtin_inf()), result);
  result = choose((U64)(v < kNothing), constant(__builtin_nan("")), result);
  return choose(is_nan(v), v, result);
}

constexpr double kTwoPi = 6.283185307179586476925286766559;

// Of a part of a turn in [0, 1/2]; exact at its quarters.
F64 half_turn_sine(F64 part) {
  part = choose((U64)(part > constant(0.25)), constant(0.5) - part, part);
  const U64 by_cosine = (U64)(part > constant(0.125));
  const F64 x = choose(by_cosine, constant(0.25) - part, part) * kTwoPi;
  const F64 q = x * x;
  F64 sine = constant(1.0 / 355687428096000.0);
  sine = fma(sine, q, constant(-1.0 / 1307674368000.0));
  sine = fma(sine, q, constant(1.0 / 6227020800.0));
  sine = fma(sine, q, constant(-1.0 / 39916800.0));
  sine = fma(sine, q, constant(1.0 / 362880.0));
  sine = fma(sine, q, constant(-1.0 / 5040.0));
  sine = fma(sine, q, constant(1.0 / 120.0));
  sine = fma(sine, q, constant(-1.0 / 6.0));
  sine = fma(sine * q, x, x);
  F64 cosine = constant(1.0 / 20922789888000.0);
  cosine = fma(cosine, q, constant(-1.0 / 87178291200.0));
  cosine = fma(cosine, q, constant(1.0 / 479001600.0));
  cosine = fma(cosine, q, constant(-1.0 / 3628800.0));
  cosine = fma(cosine, q, constant(1.0 / 40320.0));
  cosine = fma(cosine, q, constant(-1.0 / 720.0));
  cosine = fma(cosine, q, constant(1.0 / 24.0));
  cosine = fma(cosine, q, constant(-0.5));
  cosine = fma(cosine, q, constant(1.0));
  return choose(by_cosine, cosine, sine);
}
// The argument counts turns; beyond 256 of them the hardware gives up.
F64 sine_of(F64 v) {
  const F64 magnitude = absolute(v);
  const F64 part = magnitude - round_to<_MM_FROUND_TO_NEG_INF>(magnitude);
  const U64 second_half = (U64)(part > constant(0.5));
  const F64 value = half_turn_sine(choose(second_half, constant(1.0) - part, part));
  const U64 sign = ((U64)v ^ second_half) & (1ull << 63);
  F64 result = (F64)((U64)value ^ sign);
  result = choose((U64)(magnitude > constant(256.0)), kNothing, result);
  return choose(is_inf_or_nan(v), v - v, result);
}
F64 cosine_of(F64 v) {
  const F64 magnitude = absolute(v);
  F64 part = magnitude - round_to<_MM_FROUND_TO_NEG_INF>(magnitude);
  part = choose((U64)(part > constant(0.5)), constant(1.0) - part, part);
  const U64 negative = (U64)(part > constant(0.25));
  const F64 value = half_turn_sine(choose(negative, part - 0.25, constant(0.25) - part));
  F64 result = (F64)((U64)value ^ (negative & (1ull << 63)));
  result = choose((U64)(magnitude > constant(256.0)), constant(1.0), result);
  return choose(is_inf_or_nan(v), v - v, result);
}

// An estimate and steps of Newton; zeros, infinities and NaN the long way.
F64 rsq_of(F64 v) {
  const U64 ordinary = (U64)(v >= constant(0x1p-126)) & (U64)(v < constant(__builtin_inf()));
  if (collect((I32)~ordinary) != 0) [[unlikely]] {
    return splatd(1.0) / square_root(v);
  }
#ifdef __AVX512F__
  F64 y = (F64)_mm512_rsqrt14_pd((__m512d)v);
  constexpr int kSteps = 2;
#else
  F64 y = (F64)_mm256_cvtps_pd(_mm_rsqrt_ps(_mm256_cvtpd_ps((__m256d)v)));
  constexpr int kSteps = 3;
#endif
  for (int step = 0; step < kSteps; ++step) {
    const F64 residual = fma(-(v * y), y, constant(1.0));
    y = fma(y * 0.5, residual, y);
  }
  return y;
}

template <F64 (*kFunction)(F64)>
struct ByDoubles32 : Float32 {
  static F32 f(F32 a) {
    F64 low;
    F64 high;
    to_doubles(a, low, high);
    return to_floats(kFunction(low), kFunction(high));
  }
};
template <F64 (*kFunction)(F64)>
struct ByDoubles16 : Float16 {
  static U32 f(U32 a) {
    const F32 value = half_to_float(a);
    const F32 result = ByDoubles32<kFunction>::f(value);
    return float_to_half((F32)fix_nan<1>((U32)result, (U32)value, U32{}, U32{}));
  }
};

}  // namespace

void add_valu_transcendental(LowerTable& table) {
  table.set(Op::v_rcp_f32, lower_narrow<Rcp>);
  table.set(Op::v_rcp_iflag_f32, lower_narrow<Rcp>);
  table.set(Op::v_sqrt_f32, lower_narrow<Sqrt>);
  table.set(Op::v_rsq_f32, lower_narrow<ByDoubles32<rsq_of>>);
  table.set(Op::v_exp_f32, lower_narrow<ByDoubles32<exp2_of>>);
  table.set(Op::v_log_f32, lower_narrow<ByDoubles32<log2_of>>);
  table.set(Op::v_sin_f32, lower_narrow<ByDoubles32<sine_of>>);
  table.set(Op::v_cos_f32, lower_narrow<ByDoubles32<cosine_of>>);
  table.set(Op::v_exp_legacy_f32, lower_narrow<ByDoubles32<exp2_of>>);
  table.set(Op::v_log_legacy_f32, lower_narrow<ByDoubles32<log2_of>>);
  table.set(Op::v_exp_f16, lower_narrow<ByDoubles16<exp2_of>>);
  table.set(Op::v_log_f16, lower_narrow<ByDoubles16<log2_of>>);
  table.set(Op::v_sin_f16, lower_narrow<ByDoubles16<sine_of>>);
  table.set(Op::v_cos_f16, lower_narrow<ByDoubles16<cosine_of>>);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
