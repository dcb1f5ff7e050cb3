// SPDX-License-Identifier: MIT
// Conversions between formats. Floats to integers truncate, saturate (whatever the clamp bit says), and make 0 of NaN.
// Facts: CDNA 2 ISA chapters 12.7-12.9.
#include "device/engine/f16.h"
#include "device/engine/float_ops.h"
#include "device/engine/valu.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

using isa::Op;

KFDLAB_INLINE F32 unsigned_to_float(U32 v) { return __builtin_convertvector(v, F32); }
KFDLAB_INLINE F32 signed_to_float(I32 v) { return __builtin_convertvector(v, F32); }

// The value must be in range, but for NaN, whose lanes mean nothing.
KFDLAB_INLINE I32 truncate(F32 v) {
#ifdef __AVX512F__
  return (I32)_mm512_cvttps_epi32((__m512)v);
#else
  return (I32)_mm256_cvttps_epi32((__m256)v);
#endif
}
KFDLAB_INLINE U32 to_unsigned(F32 v) {
  const F32 limit = splatf(2147483648.0f);
  const U32 high = (U32)(v >= limit);
  const F32 reduced = (F32)blend(high, (U32)(v - limit), (U32)v);
  U32 result = (U32)truncate(reduced) + (high & 0x80000000u);
  result |= (U32)(v >= splatf(4294967296.0f));
  return result & (U32)(v > F32{});
}
KFDLAB_INLINE U32 to_signed(F32 v) {
  const U32 result = blend((U32)(v >= splatf(2147483648.0f)), splat(0x7fffffffu), (U32)truncate(v));
  return result & ~is_nan(v);
}

struct FloatSource : Integer {
  static constexpr unsigned kFloat = 32;
};
struct FloatResult : Integer {
  static constexpr unsigned kFloatDst = 32;
};
struct CvtF32I32 : FloatResult {
  static F32 f(I32 a) { return signed_to_float(a); }
};
struct CvtF32U32 : FloatResult {
  static F32 f(U32 a) { return unsigned_to_float(a); }
};
template <unsigned kByte>
struct CvtF32Ubyte : FloatResult {
  static F32 f(U32 a) { return signed_to_float((I32)(a >> (8 * kByte) & 0xffu)); }
};
struct CvtU32F32 : FloatSource {
  using Clamped = CvtU32F32;
  static U32 f(F32 a) { return to_unsigned(a); }
};
struct CvtI32F32 : FloatSource {
  using Clamped = CvtI32F32;
  static U32 f(F32 a) { return to_signed(a); }
};
struct CvtFlrI32F32 : FloatSource {
  using Clamped = CvtFlrI32F32;
  static U32 f(F32 a) { return to_signed(round_to<_MM_FROUND_TO_NEG_INF>(a)); }
};
struct CvtRpiI32F32 : FloatSource {
  using Clamped = CvtRpiI32F32;
  static U32 f(F32 a) { return to_signed(round_to<_MM_FROUND_TO_NEG_INF>(a + 0.5f)); }
};
struct CvtOffF32I4 : FloatResult {
  static F32 f(U32 a) { return signed_to_float((I32)(a << 28) >> 28) * 0.0625f; }
};

// f16: sources take the low half, results leave the high half zero.
struct CvtF16F32 : Integer {
  static constexpr unsigned kFloat = 32;
  static constexpr unsigned kFloatDst = 16;
  static U32 f(F32 a) { return float_to_half(a); }
};
struct CvtF32F16 : Integer {
  static constexpr unsigned kFloat = 16;
  static constexpr unsigned kFloatDst = 32;
  static F32 f(U32 a) { return half_to_float(a); }
};
struct HalfResult : Integer {
  static constexpr unsigned kFloatDst = 16;
};
struct HalfSource : Integer {
  static constexpr unsigned kFloat = 16;
};
struct CvtF16U16 : HalfResult {
  static U32 f(U32 a) { return float_to_half(signed_to_float((I32)(a & 0xffffu))); }
};
struct CvtF16I16 : HalfResult {
  static U32 f(U32 a) { return float_to_half(signed_to_float((I32)(a << 16) >> 16)); }
};
KFDLAB_INLINE F32 between(F32 v, float low, float high) { return vmin(vmax(v, splatf(low)), splatf(high)); }
struct CvtU16F16 : HalfSource {
  using Clamped = CvtU16F16;
  static U32 f(U32 a) {
    const F32 v = half_to_float(a);
    return (U32)truncate(between(v, 0.0f, 65535.0f)) & ~is_nan(v);
  }
};
struct CvtI16F16 : HalfSource {
  using Clamped = CvtI16F16;
  static U32 f(U32 a) {
    const F32 v = half_to_float(a);
    return (U32)truncate(between(v, -32768.0f, 32767.0f)) & 0xffffu & ~is_nan(v);
  }
};
KFDLAB_INLINE U32 norm_i16(F32 v) {
  const F32 scaled = round_to<_MM_FROUND_TO_NEAREST_INT>(between(v, -1.0f, 1.0f) * 32767.0f);
  return (U32)truncate(scaled) & 0xffffu & ~is_nan(v);
}
KFDLAB_INLINE U32 norm_u16(F32 v) {
  const F32 scaled = round_to<_MM_FROUND_TO_NEAREST_INT>(between(v, 0.0f, 1.0f) * 65535.0f);
  return (U32)truncate(scaled) & ~is_nan(v);
}
struct CvtNormI16F16 : HalfSource {
  using Clamped = CvtNormI16F16;
  static U32 f(U32 a) { return norm_i16(half_to_float(a)); }
};
struct CvtNormU16F16 : HalfSource {
  using Clamped = CvtNormU16F16;
  static U32 f(U32 a) { return norm_u16(half_to_float(a)); }
};
struct CvtPknormI16F32 : FloatSource {
  using Clamped = CvtPknormI16F32;
  static U32 f(F32 a, F32 b) { return norm_i16(a) | norm_i16(b) << 16; }
};
struct CvtPknormU16F32 : FloatSource {
  using Clamped = CvtPknormU16F32;
  static U32 f(F32 a, F32 b) { return norm_u16(a) | norm_u16(b) << 16; }
};
struct CvtPknormI16F16 : HalfSource {
  using Clamped = CvtPknormI16F16;
  static U32 f(U32 a, U32 b) { return norm_i16(half_to_float(a)) | norm_i16(half_to_float(b)) << 16; }
};
struct CvtPknormU16F16 : HalfSource {
  using Clamped = CvtPknormU16F16;
  static U32 f(U32 a, U32 b) { return norm_u16(half_to_float(a)) | norm_u16(half_to_float(b)) << 16; }
};
KFDLAB_INLINE U32 half_toward_zero(F32 v) {
#ifdef __AVX512F__
  return (U32)_mm512_cvtepu16_epi32(_mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_ZERO));
#else
  return (U32)_mm256_cvtepu16_epi32(_mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_ZERO));
#endif
}
struct CvtPkrtz : FloatSource {
  static U32 f(F32 a, F32 b) { return half_toward_zero(a) | half_toward_zero(b) << 16; }
};
struct CvtPkU16U32 : Integer {
  static U32 f(U32 a, U32 b) {
    const U32 limit = splat(0xffffu);
    return vmin(a, limit) | vmin(b, limit) << 16;
  }
};
struct CvtPkI16I32 : Integer {
  static U32 f(I32 a, I32 b) {
    const auto clamp = [](I32 v) { return (U32)vmin(vmax(v, I32{} - 32768), I32{} + 32767) & 0xffffu; };
    return clamp(a) | clamp(b) << 16;
  }
};
// Byte number b of c is replaced.
struct CvtPkU8F32 : FloatSource {
  using Clamped = CvtPkU8F32;
  static U32 f(F32 a, U32 b, U32 c) {
    const U32 shift = (b & 3u) << 3;
    const U32 byte = vmin(to_unsigned(a), splat(255));
    return (c & ~((U32{} + 0xffu) << shift)) | byte << shift;
  }
};
// The same on the old destination.
struct CvtPkaccumU8F32 : CvtPkU8F32 {
  using Clamped = CvtPkaccumU8F32;
  static constexpr bool kAccumulate = true;
};

// ---- 64 bits ----

template <bool kHighBias>
KFDLAB_INLINE F64 magic() {
  return splatd(kHighBias ? 0x1.8p52 : 0x1p52);
}
KFDLAB_INLINE F64 low32_to_double(U64 v) {
#ifdef __AVX512F__
  return (F64)_mm512_cvtps_pd(_mm256_castsi256_ps(_mm512_cvtepi64_epi32((__m512i)v)));
#else
  const __m256i even = _mm256_permutevar8x32_epi32((__m256i)v, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
  return (F64)_mm256_cvtps_pd(_mm_castsi128_ps(_mm256_castsi256_si128(even)));
#endif
}
KFDLAB_INLINE U64 double_to_low32(F64 v) {
#ifdef __AVX512F__
  return (U64)_mm512_cvtepu32_epi64(_mm256_castps_si256(_mm512_cvtpd_ps((__m512d)v)));
#else
  return (U64)_mm256_cvtepu32_epi64(_mm_castps_si128(_mm256_cvtpd_ps((__m256d)v)));
#endif
}
struct CvtF64I32 : Integer {
  static constexpr bool kWideDst = true;
  static constexpr unsigned kFloatDst = 64;
  static F64 f(U64 a) { return (F64)((a ^ 0x80000000u) | (U64)magic<false>()) - splatd(0x1p52 + 0x1p31); }
};
struct CvtF64U32 : Integer {
  static constexpr bool kWideDst = true;
  static constexpr unsigned kFloatDst = 64;
  static F64 f(U64 a) { return (F64)(a | (U64)magic<false>()) - magic<false>(); }
};
struct CvtI32F64 : Integer {
  static constexpr unsigned kFloat = 64;
  static constexpr unsigned kWide = 1;
  static U64 f(F64 a) {
    const F64 whole = round_to<_MM_FROUND_TO_ZERO>(vmin(vmax(a, splatd(-2147483648.0)), splatd(2147483647.0)));
    return (U64)(whole + magic<true>()) & 0xffffffffu & ~is_nan(a);
  }
};
struct CvtU32F64 : Integer {
  static constexpr unsigned kFloat = 64;
  static constexpr unsigned kWide = 1;
  static U64 f(F64 a) {
    const F64 whole = round_to<_MM_FROUND_TO_ZERO>(vmin(vmax(a, F64{}), splatd(4294967295.0)));
    return (U64)(whole + magic<false>()) & 0xffffffffu & ~is_nan(a);
  }
};
struct CvtF64F32 : Integer {
  static constexpr unsigned kFloat = 32;
  static constexpr unsigned kFloatDst = 64;
  static constexpr bool kWideDst = true;
  static F64 f(U64 a) { return low32_to_double(a); }
};
struct CvtF32F64 : Integer {
  static constexpr unsigned kFloat = 64;
  static constexpr unsigned kFloatDst = 32;
  static constexpr unsigned kWide = 1;
  static U64 f(F64 a) { return double_to_low32(a); }
};

}  // namespace

void add_valu_convert(LowerTable& table) {
  table.set(Op::v_cvt_f32_i32, lower_narrow<CvtF32I32>);
  table.set(Op::v_cvt_f32_u32, lower_narrow<CvtF32U32>);
  table.set(Op::v_cvt_f32_ubyte0, lower_narrow<CvtF32Ubyte<0>>);
  table.set(Op::v_cvt_f32_ubyte1, lower_narrow<CvtF32Ubyte<1>>);
  table.set(Op::v_cvt_f32_ubyte2, lower_narrow<CvtF32Ubyte<2>>);
  table.set(Op::v_cvt_f32_ubyte3, lower_narrow<CvtF32Ubyte<3>>);
  table.set(Op::v_cvt_u32_f32, lower_narrow<CvtU32F32>);
  table.set(Op::v_cvt_i32_f32, lower_narrow<CvtI32F32>);
  table.set(Op::v_cvt_flr_i32_f32, lower_narrow<CvtFlrI32F32>);
  table.set(Op::v_cvt_rpi_i32_f32, lower_narrow<CvtRpiI32F32>);
  table.set(Op::v_cvt_off_f32_i4, lower_narrow<CvtOffF32I4>);
  table.set(Op::v_cvt_f16_f32, lower_narrow<CvtF16F32>);
  table.set(Op::v_cvt_f32_f16, lower_narrow<CvtF32F16>);
  table.set(Op::v_cvt_f16_u16, lower_narrow<CvtF16U16>);
  table.set(Op::v_cvt_f16_i16, lower_narrow<CvtF16I16>);
  table.set(Op::v_cvt_u16_f16, lower_narrow<CvtU16F16>);
  table.set(Op::v_cvt_i16_f16, lower_narrow<CvtI16F16>);
  table.set(Op::v_cvt_norm_i16_f16, lower_narrow<CvtNormI16F16>);
  table.set(Op::v_cvt_norm_u16_f16, lower_narrow<CvtNormU16F16>);
  table.set(Op::v_cvt_pknorm_i16_f32, lower_narrow<CvtPknormI16F32>);
  table.set(Op::v_cvt_pknorm_u16_f32, lower_narrow<CvtPknormU16F32>);
  table.set(Op::v_cvt_pknorm_i16_f16, lower_narrow<CvtPknormI16F16>);
  table.set(Op::v_cvt_pknorm_u16_f16, lower_narrow<CvtPknormU16F16>);
  table.set(Op::v_cvt_pkrtz_f16_f32, lower_narrow<CvtPkrtz>);
  table.set(Op::v_cvt_pk_u16_u32, lower_narrow<CvtPkU16U32>);
  table.set(Op::v_cvt_pk_i16_i32, lower_narrow<CvtPkI16I32>);
  table.set(Op::v_cvt_pk_u8_f32, lower_narrow<CvtPkU8F32>);
  table.set(Op::v_cvt_pkaccum_u8_f32, lower_narrow<CvtPkaccumU8F32>);
  table.set(Op::v_cvt_f64_i32, lower_wide<CvtF64I32>);
  table.set(Op::v_cvt_f64_u32, lower_wide<CvtF64U32>);
  table.set(Op::v_cvt_i32_f64, lower_wide<CvtI32F64>);
  table.set(Op::v_cvt_u32_f64, lower_wide<CvtU32F64>);
  table.set(Op::v_cvt_f64_f32, lower_wide<CvtF64F32>);
  table.set(Op::v_cvt_f32_f64, lower_wide<CvtF32F64>);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
