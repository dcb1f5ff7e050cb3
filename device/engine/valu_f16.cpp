// SPDX-License-Identifier: MIT
// Half precision arithmetic and 16-bit instructions with op_sel, which picks the half of each source and of the
// destination, whose other half stays. Facts: CDNA 2 ISA chapters 12.7-12.9; LLVM AMDGPU usage for which results clear
// the upper half.
#include "device/engine/half_ops.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

using isa::Op;

// Of those without op_sel these alone leave the high half of their destination.
struct HalfMadKeep : HalfMad {
  static constexpr bool kKeepHigh = true;
};
struct HalfMac : HalfMadKeep {
  static constexpr bool kAccumulate = true;
};
template <int kRounding>
struct HalfRound : Float16 {
  static U32 f(U32 a) { return float_to_half(round_to<kRounding>(half_to_float(a))); }
};
struct HalfFract : Float16 {
  static U32 f(U32 a) {
    const F32 v = half_to_float(a);
    const U32 result =
        float_to_half((F32)fix_nan<1>((U32)(v - round_to<_MM_FROUND_TO_NEG_INF>(v)), (U32)v, U32{}, U32{}));
    return blend((U32)(I32)(result == 0x3c00u), U32{} + 0x3bffu, result);
  }
};
struct HalfFrexpExp : Integer {
  using Clamped = HalfFrexpExp;  // there is nothing to clamp
  static constexpr unsigned kFloat = 16;
  static U32 f(U32 a) { return low16((U32)frexp_exponent(half_to_float(a))); }
};
struct HalfFrexpMant : Float16 {
  static U32 f(U32 a) { return float_to_half(frexp_mantissa(half_to_float(a))); }
};
struct HalfLdexp : Float16 {
  static U32 f(U32 a, U32 b) { return float_to_half(scale(half_to_float(a), sign16(b))); }
};
struct HalfRcp : Float16 {
  static U32 f(U32 a) { return float_to_half(splatf(1.0f) / half_to_float(a)); }
};
struct HalfSqrt : Float16 {
  static U32 f(U32 a) {
    const F32 v = half_to_float(a);
    return float_to_half((F32)fix_nan<1>((U32)square_root(v), (U32)v, U32{}, U32{}));
  }
};
struct HalfRsq : Float16 {
  static U32 f(U32 a) {
    const F32 v = half_to_float(a);
    return float_to_half((F32)fix_nan<1>((U32)(splatf(1.0f) / square_root(v)), (U32)v, U32{}, U32{}));
  }
};

template <bool kMax, bool kIeee>
struct HalfExtreme3 : Float16 {
  static U32 f(U32 a, U32 b, U32 c) { return HalfExtreme<kMax, kIeee>::f(HalfExtreme<kMax, kIeee>::f(a, b), c); }
};
template <bool kIeee>
struct HalfMed3 : Float16 {
  static U32 f(U32 a, U32 b, U32 c) {
    const U32 low = HalfExtreme<false, kIeee>::f(a, b);
    const U32 high = HalfExtreme<true, kIeee>::f(a, b);
    const U32 middle = HalfExtreme<true, kIeee>::f(low, HalfExtreme<false, kIeee>::f(high, c));
    const auto nan = [](U32 v) { return (U32)(I32)((v & 0x7fffu) > 0x7c00u); };
    return blend(nan(a) | nan(b) | nan(c), HalfExtreme3<false, kIeee>::f(a, b, c), middle);
  }
};

// 0/0 and inf/inf are NaN, x/0 and inf/y infinite, 0/y and x/inf zero; the quotient's own sign does not count.
struct HalfDivFixup : Float16 {
  static U32 f(U32 a, U32 b, U32 c) {
    const auto magnitude = [](U32 v) { return v & 0x7fffu; };
    const auto lanes = [](auto condition) { return (U32)(I32)condition; };
    const U32 sign = (b ^ c) & 0x8000u;
    const U32 quotient = magnitude(a);
    const U32 denominator = magnitude(b);
    const U32 numerator = magnitude(c);
    const U32 infinity = U32{} + 0x7c00u;
    U32 result = blend(lanes(quotient > 0x7c00u), infinity, quotient) | sign;
    result = blend(lanes(denominator == 0x7c00u) | lanes(numerator == 0), sign, result);
    result = blend(lanes(denominator == 0) | lanes(numerator == 0x7c00u), infinity | sign, result);
    const U32 invalid = (lanes(denominator == 0) & lanes(numerator == 0)) |
                        (lanes(denominator == 0x7c00u) & lanes(numerator == 0x7c00u));
    result = blend(invalid, U32{} + 0xfe00u, result);
    result = blend(lanes(denominator > 0x7c00u), low16(b) | 0x200u, result);
    return blend(lanes(numerator > 0x7c00u), low16(c) | 0x200u, result);
  }
};

template <typename T, T (*kFunction)(T, T, T), T (*kConvert)(U32)>
struct Three16 : Integer {
  static U32 f(U32 a, U32 b, U32 c) { return low16((U32)kFunction(kConvert(a), kConvert(b), kConvert(c))); }
};
template <typename T>
KFDLAB_INLINE T min3(T a, T b, T c) {
  return vmin(vmin(a, b), c);
}
template <typename T>
KFDLAB_INLINE T max3(T a, T b, T c) {
  return vmax(vmax(a, b), c);
}
template <typename T>
KFDLAB_INLINE T med3(T a, T b, T c) {
  return vmax(vmin(a, b), vmin(vmax(a, b), c));
}

// Results of 32 bits.
struct FullResult {
  static constexpr bool kFull = true;
};
struct MadU32U16 : Integer, FullResult {
  static U32 f(U32 a, U32 b, U32 c) { return low16(a) * low16(b) + c; }
};
struct MadClampU32U16 : Integer, FullResult {
  static U32 f(U32 a, U32 b, U32 c) {
    const U32 sum = low16(a) * low16(b) + c;
    return sum | (U32)(I32)(sum < c);
  }
};
struct MadClampI32I16 : Integer, FullResult {
  static U32 f(U32 a, U32 b, U32 c) {
    const U32 product = (U32)(sign16(a) * sign16(b));
    const U32 sum = product + c;
    const I32 overflow = (I32)(~(product ^ c) & (product ^ sum)) >> 31;
    return blend(overflow, (U32)((I32)c >> 31) ^ 0x7fffffffu, sum);
  }
};
struct MadI32I16 : Integer, FullResult {
  static U32 f(U32 a, U32 b, U32 c) { return (U32)(sign16(a) * sign16(b)) + c; }
};
struct PackB32F16 : Float16, FullResult {
  static U32 f(U32 a, U32 b) { return low16(a) | b << 16; }
};

template <typename Op>
concept Full = requires {
  Op::kFull;
};

// aux8[5]: op_sel.
constexpr unsigned kOpSelAt = 5;
template <typename Op>
const MicroOp* half_form(Wave& wave, const MicroOp& op) {
  constexpr unsigned kSources = kSourcesOf<Op>;
  const std::uint64_t exec = wave.exec();
  const unsigned op_sel = op.aux8[kOpSelAt];
  std::uint32_t* out = row_at(wave, op.dst);
  Source32 source[kSources];
  SignMasks masks[kSources];
  for (unsigned i = 0; i < kSources; ++i) {
    source[i].init(wave, op, i);
    masks[i].init(op, i, 0x8000u);
  }
  for (unsigned c = 0; c < kChunks; ++c) {
    U32 v[3] = {};
    for (unsigned i = 0; i < kSources; ++i) {
      v[i] = source[i].chunk(c) >> ((op_sel >> i & 1u) * 16u);
      if constexpr (Op::kFloat != 0) {
        v[i] = masks[i].apply(v[i]);
        if ((op.aux8[kFlushAt] & 1) != 0) {
          v[i] = flush16(v[i]);
        }
      }
    }
    U32 result = call32(&Op::f, v[0], v[1], v[2]);
    if constexpr (!Full<Op>) {
      if constexpr (Op::kFloatDst == 16) {
        result = finish16(result, op);
      }
      const U32 old = load(out + c * kN);
      result = (op_sel & 8u) != 0 ? (old & 0xffffu) | result << 16 : (old & 0xffff0000u) | low16(result);
    }
    store_masked(out + c * kN, result, chunk_mask(exec, c));
  }
  return next(op);
}
template <typename Op, typename Clamped = Op>
bool lower_half(Lowering& lowering) {
  // Integers without a Clamped cannot overflow.
  const bool clamp = lowering.inst().clamp && Op::kFloatDst == 0;
  return with_mxcsr(lowering, Op::kFloat, Op::kFloatDst, [&] {
    MicroOp& op = lowering.emit(clamp ? half_form<Clamped> : half_form<Op>);
    static_cast<void>(set_modifiers(lowering, op, Op::kFloat, Op::kFloatDst));
    op.aux8[kOpSelAt] = lowering.inst().op_sel;
    return vector_result(op);
  });
}
template <template <bool> class kOp>
bool lower_half_by_ieee(Lowering& lowering) {
  return (lowering.key().mode & kModeIeee) != 0 ? lower_half<kOp<true>>(lowering) : lower_half<kOp<false>>(lowering);
}
template <bool kIeee>
using Max3 = HalfExtreme3<true, kIeee>;
template <bool kIeee>
using Min3 = HalfExtreme3<false, kIeee>;

template <bool kMax>
bool lower_extreme(Lowering& lowering) {
  return (lowering.key().mode & kModeIeee) != 0 ? lower_narrow<HalfExtreme<kMax, true>>(lowering)
                                                : lower_narrow<HalfExtreme<kMax, false>>(lowering);
}

void add_plain(LowerTable& table) {
  table.set(Op::v_add_f16, lower_narrow<HalfAdd>);
  table.set(Op::v_sub_f16, lower_narrow<HalfSub>);
  table.set(Op::v_subrev_f16, lower_narrow<HalfSubrev>);
  table.set(Op::v_mul_f16, lower_narrow<HalfMul>);
  table.set(Op::v_mac_f16, lower_narrow<HalfMac>);
  table.set(Op::v_madmk_f16, lower_narrow<HalfMadKeep>);
  table.set(Op::v_madak_f16, lower_narrow<HalfMadKeep>);
  table.set(Op::v_max_f16, lower_extreme<true>);
  table.set(Op::v_min_f16, lower_extreme<false>);
  table.set(Op::v_ldexp_f16, lower_narrow<HalfLdexp>);
  table.set(Op::v_rcp_f16, lower_narrow<HalfRcp>);
  table.set(Op::v_sqrt_f16, lower_narrow<HalfSqrt>);
  table.set(Op::v_rsq_f16, lower_narrow<HalfRsq>);
  table.set(Op::v_fract_f16, lower_narrow<HalfFract>);
  table.set(Op::v_trunc_f16, lower_narrow<HalfRound<_MM_FROUND_TO_ZERO>>);
  table.set(Op::v_ceil_f16, lower_narrow<HalfRound<_MM_FROUND_TO_POS_INF>>);
  table.set(Op::v_floor_f16, lower_narrow<HalfRound<_MM_FROUND_TO_NEG_INF>>);
  table.set(Op::v_rndne_f16, lower_narrow<HalfRound<_MM_FROUND_TO_NEAREST_INT>>);
  table.set(Op::v_frexp_exp_i16_f16, lower_narrow<HalfFrexpExp>);
  table.set(Op::v_frexp_mant_f16, lower_narrow<HalfFrexpMant>);
  table.set(Op::v_mad_legacy_f16, lower_narrow<HalfMad>);
  table.set(Op::v_fma_legacy_f16, lower_narrow<HalfFma>);
  table.set(Op::v_div_fixup_legacy_f16, lower_narrow<HalfDivFixup>);
}

void add_op_sel(LowerTable& table) {
  table.set(Op::v_mad_f16, lower_half<HalfMad>);
  table.set(Op::v_fma_f16, lower_half<HalfFma>);
  table.set(Op::v_div_fixup_f16, lower_half<HalfDivFixup>);
  table.set(Op::v_max3_f16, lower_half_by_ieee<Max3>);
  table.set(Op::v_min3_f16, lower_half_by_ieee<Min3>);
  table.set(Op::v_med3_f16, lower_half_by_ieee<HalfMed3>);
  table.set(Op::v_mad_u16, lower_half<MadU16, MadClampU16>);
  table.set(Op::v_mad_i16, lower_half<MadU16, MadClampI16>);
  table.set(Op::v_add_i16, lower_half<AddU16, AddClampI16>);
  table.set(Op::v_sub_i16, lower_half<SubU16, SubClampI16>);
  table.set(Op::v_min3_u16, lower_half<Three16<U32, min3<U32>, low16>>);
  table.set(Op::v_max3_u16, lower_half<Three16<U32, max3<U32>, low16>>);
  table.set(Op::v_med3_u16, lower_half<Three16<U32, med3<U32>, low16>>);
  table.set(Op::v_min3_i16, lower_half<Three16<I32, min3<I32>, sign16>>);
  table.set(Op::v_max3_i16, lower_half<Three16<I32, max3<I32>, sign16>>);
  table.set(Op::v_med3_i16, lower_half<Three16<I32, med3<I32>, sign16>>);
  table.set(Op::v_mad_u32_u16, lower_half<MadU32U16, MadClampU32U16>);
  table.set(Op::v_mad_i32_i16, lower_half<MadI32I16, MadClampI32I16>);
  table.set(Op::v_pack_b32_f16, lower_half<PackB32F16>);
}

}  // namespace

void add_valu_f16(LowerTable& table) {
  add_plain(table);
  add_op_sel(table);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
