// SPDX-License-Identifier: MIT
// Single precision arithmetic. Facts: CDNA 2 ISA chapters 12.7-12.9.
#include <cmath>

#include "device/engine/float_ops.h"
#include "device/engine/valu.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

using isa::Op;

struct Add : Float32 {
  static F32 f(F32 a, F32 b) { return a + b; }
};
struct Sub : Float32 {
  static F32 f(F32 a, F32 b) { return a - b; }
};
struct Subrev : Float32 {
  static F32 f(F32 a, F32 b) { return b - a; }
};
struct Mul : Float32 {
  static F32 f(F32 a, F32 b) { return a * b; }
};
// Zero times anything is +0.
struct MulLegacy : Float32 {
  static F32 f(F32 a, F32 b) {
    const I32 zero = (a == F32{}) | (b == F32{});
    return (F32)((U32)(a * b) & ~(U32)zero);
  }
};
struct Fma : Float32 {
  static F32 f(F32 a, F32 b, F32 c) { return fma(a, b, c); }
};
struct Fmac : Fma {
  static constexpr bool kAccumulate = true;
};
// v_mad and v_mac flush denormals whatever MODE says, and round the product.
KFDLAB_INLINE F32 flush(F32 v) {
  const I32 small = (I32)(((U32)v & 0x7f800000u) == 0);
  return (F32)((U32)v & ~((U32)small & 0x007fffffu));
}
struct Mad : Float32 {
  static F32 f(F32 a, F32 b, F32 c) { return flush(flush(flush(a) * flush(b)) + flush(c)); }
};
struct Mac : Mad {
  static constexpr bool kAccumulate = true;
};
struct MadLegacy : Float32 {
  static F32 f(F32 a, F32 b, F32 c) { return flush(flush(MulLegacy::f(flush(a), flush(b))) + flush(c)); }
};

// Variants of an instruction by MODE: bit 0 IEEE, bit 1 denormals are flushed, which gfx9 does here too.
constexpr unsigned kIeeeVariant = 1;
constexpr unsigned kFlushVariant = 2;
template <unsigned kVariant>
KFDLAB_INLINE F32 prepared(F32 v) {
  return (kVariant & kFlushVariant) != 0 ? flush(v) : v;
}
template <bool kMax, unsigned kVariant>
struct Extreme : Float32 {
  static constexpr bool kFixNan = false;
  static F32 f(F32 a, F32 b) {
    return extreme<F32, kMax, (kVariant & kIeeeVariant) != 0>(prepared<kVariant>(a), prepared<kVariant>(b));
  }
};
template <bool kMax, unsigned kVariant>
struct Extreme3 : Float32 {
  static constexpr bool kFixNan = false;
  static F32 f(F32 a, F32 b, F32 c) { return Extreme<kMax, kVariant>::f(Extreme<kMax, kVariant>::f(a, b), c); }
};
// The middle one; the smallest if one is NaN.
template <unsigned kVariant>
struct Med3 : Float32 {
  static constexpr bool kFixNan = false;
  static F32 f(F32 a, F32 b, F32 c) {
    const F32 low = Extreme<false, kVariant>::f(a, b);
    const F32 high = Extreme<true, kVariant>::f(a, b);
    const F32 middle = Extreme<true, kVariant>::f(low, Extreme<false, kVariant>::f(high, c));
    const U32 nan = is_nan(a) | is_nan(b) | is_nan(c);
    return (F32)blend(nan, (U32)Extreme3<false, kVariant>::f(a, b, c), (U32)middle);
  }
};

template <int kRounding>
struct Round : Float32 {
  static constexpr bool kFixNan = false;
  static F32 f(F32 a) { return round_to<kRounding>(a); }
};
struct Fract : Float32 {
  static F32 f(F32 a) { return fraction(a); }
};
struct FrexpExp : Integer {
  using Clamped = FrexpExp;  // there is nothing to clamp
  static constexpr unsigned kFloat = 32;
  static I32 f(F32 a) { return frexp_exponent(a); }
};
struct FrexpMant : Float32 {
  static constexpr bool kFixNan = false;
  static F32 f(F32 a) { return frexp_mantissa(a); }
};
struct Ldexp : Float32 {
  static constexpr bool kFixNan = false;
  static F32 f(F32 a, I32 b) { return scale(a, b); }
};

template <template <unsigned> class kOp>
bool lower_by_mode(Lowering& lowering) {
  const bool ieee = (lowering.key().mode & kModeIeee) != 0;
  if (flushes_denormals(lowering.key().mode, 32)) {
    return ieee ? lower_narrow<kOp<kFlushVariant | kIeeeVariant>>(lowering)
                : lower_narrow<kOp<kFlushVariant>>(lowering);
  }
  return ieee ? lower_narrow<kOp<kIeeeVariant>>(lowering) : lower_narrow<kOp<0>>(lowering);
}
template <unsigned kVariant>
using Max = Extreme<true, kVariant>;
template <unsigned kVariant>
using Min = Extreme<false, kVariant>;
template <unsigned kVariant>
using Max3 = Extreme3<true, kVariant>;
template <unsigned kVariant>
using Min3 = Extreme3<false, kVariant>;

// Cube maps: which face a direction hits and where. Ties go to z, then y.
struct Cube {
  U32 z_major;
  U32 y_major;
  KFDLAB_INLINE static F32 magnitude(F32 v) { return (F32)((U32)v & 0x7fffffffu); }
  KFDLAB_INLINE Cube(F32 x, F32 y, F32 z)
      : z_major((U32)(magnitude(z) >= magnitude(x)) & (U32)(magnitude(z) >= magnitude(y))),
        y_major(~z_major & (U32)(magnitude(y) >= magnitude(x))) {}
  [[nodiscard]] KFDLAB_INLINE F32 choose(F32 of_z, F32 of_y, F32 of_x) const {
    return (F32)blend(z_major, (U32)of_z, blend(y_major, (U32)of_y, (U32)of_x));
  }
};
KFDLAB_INLINE F32 if_negative(F32 v, F32 yes, F32 no) { return (F32)blend((U32)(v < F32{}), (U32)yes, (U32)no); }
struct CubeId : Float32 {
  static F32 f(F32 x, F32 y, F32 z) {
    const F32 zero{};
    return Cube(x, y, z).choose(if_negative(z, zero + 5.0f, zero + 4.0f), if_negative(y, zero + 3.0f, zero + 2.0f),
                                if_negative(x, zero + 1.0f, zero));
  }
};
struct CubeSc : Float32 {
  static F32 f(F32 x, F32 y, F32 z) { return Cube(x, y, z).choose(if_negative(z, -x, x), x, if_negative(x, z, -z)); }
};
struct CubeTc : Float32 {
  static F32 f(F32 x, F32 y, F32 z) { return Cube(x, y, z).choose(-y, if_negative(y, -z, z), -y); }
};
struct CubeMa : Float32 {
  static F32 f(F32 x, F32 y, F32 z) { return Cube(x, y, z).choose(z, y, x) * 2.0f; }
};

}  // namespace

F32 scale(F32 v, I32 exponent) {
  exponent = vmin(vmax(exponent, I32{} - 300), I32{} + 300);
#ifdef __AVX512F__
  return (F32)_mm512_scalef_ps((__m512)v, _mm512_cvtepi32_ps((__m512i)exponent));
#else
  F32 result;
  for (unsigned i = 0; i < kN; ++i) {
    result[i] = std::ldexp(v[i], exponent[i]);
  }
  return (F32)((U32)result | (is_nan(v) & Format<F32>::kQuiet));
#endif
}

void add_valu_f32(LowerTable& table) {
  table.set(Op::v_add_f32, lower_narrow<Add>);
  table.set(Op::v_sub_f32, lower_narrow<Sub>);
  table.set(Op::v_subrev_f32, lower_narrow<Subrev>);
  table.set(Op::v_mul_f32, lower_narrow<Mul>);
  table.set(Op::v_mul_legacy_f32, lower_narrow<MulLegacy>);
  table.set(Op::v_fma_f32, lower_narrow<Fma>);
  table.set(Op::v_fmac_f32, lower_narrow<Fmac>);
  table.set(Op::v_mad_f32, lower_narrow<Mad>);
  table.set(Op::v_mac_f32, lower_narrow<Mac>);
  table.set(Op::v_madmk_f32, lower_narrow<Mad>);
  table.set(Op::v_madak_f32, lower_narrow<Mad>);
  table.set(Op::v_mad_legacy_f32, lower_narrow<MadLegacy>);
  table.set(Op::v_max_f32, lower_by_mode<Max>);
  table.set(Op::v_min_f32, lower_by_mode<Min>);
  table.set(Op::v_max3_f32, lower_by_mode<Max3>);
  table.set(Op::v_min3_f32, lower_by_mode<Min3>);
  table.set(Op::v_med3_f32, lower_by_mode<Med3>);
  table.set(Op::v_trunc_f32, lower_narrow<Round<_MM_FROUND_TO_ZERO>>);
  table.set(Op::v_ceil_f32, lower_narrow<Round<_MM_FROUND_TO_POS_INF>>);
  table.set(Op::v_floor_f32, lower_narrow<Round<_MM_FROUND_TO_NEG_INF>>);
  table.set(Op::v_rndne_f32, lower_narrow<Round<_MM_FROUND_TO_NEAREST_INT>>);
  table.set(Op::v_fract_f32, lower_narrow<Fract>);
  table.set(Op::v_frexp_exp_i32_f32, lower_narrow<FrexpExp>);
  table.set(Op::v_frexp_mant_f32, lower_narrow<FrexpMant>);
  table.set(Op::v_ldexp_f32, lower_narrow<Ldexp>);
  table.set(Op::v_cubeid_f32, lower_narrow<CubeId>);
  table.set(Op::v_cubesc_f32, lower_narrow<CubeSc>);
  table.set(Op::v_cubetc_f32, lower_narrow<CubeTc>);
  table.set(Op::v_cubema_f32, lower_narrow<CubeMa>);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
