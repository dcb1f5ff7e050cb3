// SPDX-License-Identifier: MIT
// Float operations that exist for f32 and f64 alike, on vectors of either. F is the float vector, B the bits.
#pragma once

#include "device/engine/simd.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {

template <typename F>
struct Format;
template <>
struct Format<F32> {
  using Bits = U32;
  using Int = I32;
  using Scalar = float;
  static constexpr std::uint64_t kSign = 0x80000000u;
  static constexpr std::uint64_t kExponent = 0x7f800000u;
  static constexpr std::uint64_t kMantissa = 0x007fffffu;
  static constexpr std::uint64_t kQuiet = 0x00400000u;
  static constexpr std::uint64_t kBelowOne = 0x3f7fffffu;
  static constexpr std::uint64_t kHalf = 0x3f000000u;  // exponent of [0.5, 1)
  static constexpr int kMantissaBits = 23;
  static constexpr int kBias = 127;
  static constexpr float kDenormScale = 0x1p24f;
  static constexpr int kDenormShift = 24;
};
template <>
struct Format<F64> {
  using Bits = U64;
  using Int = I64;
  using Scalar = double;
  static constexpr std::uint64_t kSign = 1ull << 63;
  static constexpr std::uint64_t kExponent = 0x7ff0000000000000u;
  static constexpr std::uint64_t kMantissa = 0x000fffffffffffffu;
  static constexpr std::uint64_t kQuiet = 1ull << 51;
  static constexpr std::uint64_t kBelowOne = 0x3fefffffffffffffu;
  static constexpr std::uint64_t kHalf = 0x3fe0000000000000u;
  static constexpr int kMantissaBits = 52;
  static constexpr int kBias = 1023;
  static constexpr double kDenormScale = 0x1p54;
  static constexpr int kDenormShift = 54;
};

template <typename F>
using BitsOf = typename Format<F>::Bits;
template <typename F>
using IntOf = typename Format<F>::Int;

// Lanes of -1 where the condition holds.
template <typename F>
KFDLAB_INLINE BitsOf<F> is_nan(F v) {
  return (BitsOf<F>)(v != v);
}
template <typename F>
KFDLAB_INLINE BitsOf<F> is_signaling(F v) {
  return is_nan(v) & (BitsOf<F>)(IntOf<F>)(((BitsOf<F>)v & Format<F>::kQuiet) == 0);
}
template <typename F>
KFDLAB_INLINE BitsOf<F> is_inf_or_nan(F v) {
  return (BitsOf<F>)(IntOf<F>)(((BitsOf<F>)v & Format<F>::kExponent) == Format<F>::kExponent);
}

// Maximum and minimum: the other one if one is NaN; -0 is below +0. With IEEE_MODE a signaling NaN wins, made quiet.
template <typename F, bool kMax, bool kIeee>
KFDLAB_INLINE F extreme(F a, F b) {
  using B = BitsOf<F>;
  const B x = (B)a;
  const B y = (B)b;
  const B first = (B)(kMax ? a > b : a < b);
  B result = blend(first, x, y);
  result = blend((B)(a == b), kMax ? (x & y) : (x | y), result);
  const B a_nan = is_nan(a);
  const B b_nan = is_nan(b);
  result = blend(b_nan, x, result);
  result = blend(a_nan, y, result);
  result = blend(a_nan & b_nan, x | Format<F>::kQuiet, result);
  if constexpr (kIeee) {
    result = blend(is_signaling(b), y | Format<F>::kQuiet, result);
    result = blend(is_signaling(a), x | Format<F>::kQuiet, result);
  }
  return (F)result;
}

// x - floor(x), below 1.
template <typename F>
KFDLAB_INLINE F fraction(F v) {
  const F result = v - round_to<_MM_FROUND_TO_NEG_INF>(v);
  const F limit = (F)(BitsOf<F>{} + Format<F>::kBelowOne);
  return (F)blend((BitsOf<F>)(result > limit), (BitsOf<F>)limit, (BitsOf<F>)result);
}

// Denormals made normal numbers, times 2^kDenormShift.
template <typename F>
KFDLAB_INLINE F normal_of(F v, BitsOf<F>& was_denormal) {
  using B = BitsOf<F>;
  const B exponent = (B)v & Format<F>::kExponent;
  was_denormal = (B)(IntOf<F>)(exponent == 0);
  return (F)blend(was_denormal, (B)(v * Format<F>::kDenormScale), (B)v);
}
// Exponent e with |v| = m * 2^e, m in [0.5, 1); 0 for zeros, infinities and NaN.
template <typename F>
KFDLAB_INLINE IntOf<F> frexp_exponent(F v) {
  using B = BitsOf<F>;
  B denormal;
  const F normal = normal_of(v, denormal);
  B exponent = ((B)normal & Format<F>::kExponent) >> Format<F>::kMantissaBits;
  exponent = exponent - (Format<F>::kBias - 1) - (denormal & Format<F>::kDenormShift);
  const B none = (B)(v == F{}) | is_inf_or_nan(v);
  return (IntOf<F>)(exponent & ~none);
}
template <typename F>
KFDLAB_INLINE F frexp_mantissa(F v) {
  using B = BitsOf<F>;
  B denormal;
  const F normal = normal_of(v, denormal);
  const B mantissa = ((B)normal & (Format<F>::kMantissa | Format<F>::kSign)) | Format<F>::kHalf;
  const B none = (B)(v == F{}) | is_inf_or_nan(v);
  const B quiet = (B)v | (is_nan(v) & Format<F>::kQuiet);
  return (F)blend(none, quiet, mantissa);
}

// v * 2^exponent, rounded once.
F32 scale(F32 v, I32 exponent);
F64 scale(F64 v, I64 exponent);

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
