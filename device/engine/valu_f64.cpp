// SPDX-License-Identifier: MIT
// Double precision arithmetic. Facts: CDNA 2 ISA chapters 12.7-12.9.
#include <cmath>

#include "device/engine/float_ops.h"
#include "device/engine/valu.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

using isa::Op;

template <unsigned kTuples>
struct Float64 : Integer {
  static constexpr unsigned kFloat = 64;
  static constexpr unsigned kFloatDst = 64;
  static constexpr bool kFixNan = true;
  static constexpr unsigned kWide = kTuples;
  static constexpr bool kWideDst = true;
};

struct Add : Float64<3> {
  static F64 f(F64 a, F64 b) { return a + b; }
};
struct Mul : Float64<3> {
  static F64 f(F64 a, F64 b) { return a * b; }
};
struct Fma : Float64<7> {
  static F64 f(F64 a, F64 b, F64 c) { return fma(a, b, c); }
};
struct Fmac : Fma {
  static constexpr bool kAccumulate = true;
};
// gfx9 flushes denormals here too.
template <bool kMax, bool kIeee, bool kFlush>
struct Extreme : Float64<3> {
  static constexpr bool kFixNan = false;
  static F64 prepared(F64 v) {
    const I64 small = (I64)(((U64)v & Format<F64>::kExponent) == 0);
    return kFlush ? (F64)((U64)v & ~((U64)small & Format<F64>::kMantissa)) : v;
  }
  static F64 f(F64 a, F64 b) { return extreme<F64, kMax, kIeee>(prepared(a), prepared(b)); }
};
template <bool kMax>
bool lower_extreme(Lowering& lowering) {
  const bool ieee = (lowering.key().mode & kModeIeee) != 0;
  if (flushes_denormals(lowering.key().mode, 64)) {
    return ieee ? lower_wide<Extreme<kMax, true, true>>(lowering) : lower_wide<Extreme<kMax, false, true>>(lowering);
  }
  return ieee ? lower_wide<Extreme<kMax, true, false>>(lowering) : lower_wide<Extreme<kMax, false, false>>(lowering);
}
template <int kRounding>
struct Round : Float64<1> {
  static constexpr bool kFixNan = false;
  static F64 f(F64 a) { return round_to<kRounding>(a); }
};
struct Fract : Float64<1> {
  static F64 f(F64 a) { return fraction(a); }
};
struct FrexpExp : Integer {
  static constexpr unsigned kFloat = 64;
  static constexpr unsigned kWide = 1;
  static I64 f(F64 a) { return frexp_exponent(a); }
};
struct FrexpMant : Float64<1> {
  static constexpr bool kFixNan = false;
  static F64 f(F64 a) { return frexp_mantissa(a); }
};
struct Ldexp : Float64<1> {
  static constexpr bool kFixNan = false;
  static F64 f(F64 a, I64 b) {
    const I64 extended = (I64)(((U64)b ^ 0x80000000u) - 0x80000000u);
    return scale(a, extended);
  }
};
struct Rcp : Float64<1> {
  static F64 f(F64 a) { return splatd(1.0) / a; }
};
struct Sqrt : Float64<1> {
  static F64 f(F64 a) { return square_root(a); }
};
struct Rsq : Float64<1> {
  static F64 f(F64 a) {
    const F64 root = square_root(a);
    const F64 first = splatd(1.0) / root;
    // What the two roundings lost, exact to first order.
    const F64 lost_root = fma(-root, root, a) * first * 0.5;
    const F64 lost = fma(-root, first, splatd(1.0)) - lost_root * first;
    const F64 better = fma(first, lost, first);
    const U64 usable = (U64)(root > F64{}) & ~is_inf_or_nan(a) & ~is_nan(better);
    return (F64)blend(usable, (U64)better, (U64)first);
  }
};

}  // namespace

F64 scale(F64 v, I64 exponent) {
  exponent = vmin(vmax(exponent, I64{} - 3000), I64{} + 3000);
#ifdef __AVX512F__
  return (F64)_mm512_scalef_pd((__m512d)v, _mm512_cvtepi64_pd((__m512i)exponent));
#else
  F64 result;
  for (unsigned i = 0; i < kN / 2; ++i) {
    result[i] = std::ldexp(v[i], static_cast<int>(exponent[i]));
  }
  return (F64)((U64)result | (is_nan(v) & Format<F64>::kQuiet));
#endif
}

void add_valu_f64(LowerTable& table) {
  table.set(Op::v_add_f64, lower_wide<Add>);
  table.set(Op::v_mul_f64, lower_wide<Mul>);
  table.set(Op::v_fma_f64, lower_wide<Fma>);
  table.set(Op::v_fmac_f64, lower_wide<Fmac>);
  table.set(Op::v_max_f64, lower_extreme<true>);
  table.set(Op::v_min_f64, lower_extreme<false>);
  table.set(Op::v_trunc_f64, lower_wide<Round<_MM_FROUND_TO_ZERO>>);
  table.set(Op::v_ceil_f64, lower_wide<Round<_MM_FROUND_TO_POS_INF>>);
  table.set(Op::v_floor_f64, lower_wide<Round<_MM_FROUND_TO_NEG_INF>>);
  table.set(Op::v_rndne_f64, lower_wide<Round<_MM_FROUND_TO_NEAREST_INT>>);
  table.set(Op::v_fract_f64, lower_wide<Fract>);
  table.set(Op::v_frexp_exp_i32_f64, lower_wide<FrexpExp>);
  table.set(Op::v_frexp_mant_f64, lower_wide<FrexpMant>);
  table.set(Op::v_ldexp_f64, lower_wide<Ldexp>);
  table.set(Op::v_rcp_f64, lower_wide<Rcp>);
  table.set(Op::v_sqrt_f64, lower_wide<Sqrt>);
  table.set(Op::v_rsq_f64, lower_wide<Rsq>);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
