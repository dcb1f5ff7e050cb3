// SPDX-License-Identifier: MIT
// The few vector primitives that differ between AVX-512 and AVX2; everything else is written with GCC's vector
// extension. A wave's row of 64 lanes is kChunks vectors of kN lanes. Lane masks are plain integers, bit i = lane i of
// the chunk. Only for files compiled per instruction set (KFDLAB_ENGINE_ISA).
//
// 64-bit elements: a tuple's low and high rows are interleaved into two vectors (Pair). The order of lanes in a pair
// is not ascending; unpack() and pack() are inverse, and nothing else may depend on it.
#pragma once

#include <immintrin.h>

#include <cstdint>

#ifndef KFDLAB_ENGINE_ISA
#error "compile with KFDLAB_ENGINE_ISA set to avx2 or avx512"
#endif

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {

#ifdef __AVX512F__
inline constexpr unsigned kN = 16;
#else
inline constexpr unsigned kN = 8;
#endif
inline constexpr unsigned kChunks = 64 / kN;
inline constexpr unsigned kFull = (1u << kN) - 1;
inline constexpr unsigned kVectorBytes = kN * 4;

using U32 = std::uint32_t __attribute__((vector_size(kVectorBytes)));
using I32 = std::int32_t __attribute__((vector_size(kVectorBytes)));
using F32 = float __attribute__((vector_size(kVectorBytes)));
using U64 = std::uint64_t __attribute__((vector_size(kVectorBytes)));
using I64 = std::int64_t __attribute__((vector_size(kVectorBytes)));
using F64 = double __attribute__((vector_size(kVectorBytes)));
// kN lanes of 16 bits.
using U16 = std::uint16_t __attribute__((vector_size(kVectorBytes)));  // 2 * kN elements
using I16 = std::int16_t __attribute__((vector_size(kVectorBytes)));

#define KFDLAB_INLINE [[gnu::always_inline]] inline

struct Pair {
  U64 a, b;
};

KFDLAB_INLINE U32 splat(std::uint32_t value) {
#ifdef __AVX512F__
  return (U32)_mm512_set1_epi32(static_cast<int>(value));
#else
  return (U32)_mm256_set1_epi32(static_cast<int>(value));
#endif
}
KFDLAB_INLINE U64 splat64(std::uint64_t value) {
#ifdef __AVX512F__
  return (U64)_mm512_set1_epi64(static_cast<long long>(value));
#else
  return (U64)_mm256_set1_epi64x(static_cast<long long>(value));
#endif
}
KFDLAB_INLINE F32 splatf(float value) {
#ifdef __AVX512F__
  return (F32)_mm512_set1_ps(value);
#else
  return (F32)_mm256_set1_ps(value);
#endif
}
KFDLAB_INLINE F64 splatd(double value) {
#ifdef __AVX512F__
  return (F64)_mm512_set1_pd(value);
#else
  return (F64)_mm256_set1_pd(value);
#endif
}

// Rows are 64-byte aligned.
KFDLAB_INLINE U32 load(const std::uint32_t* at) {
#ifdef __AVX512F__
  return (U32)_mm512_load_si512(at);
#else
  return (U32)_mm256_load_si256(reinterpret_cast<const __m256i*>(at));
#endif
}
KFDLAB_INLINE void store(std::uint32_t* at, U32 value) {
#ifdef __AVX512F__
  _mm512_store_si512(at, (__m512i)value);
#else
  _mm256_store_si256(reinterpret_cast<__m256i*>(at), (__m256i)value);
#endif
}

// Bits of a mask as -1 and 0, and back (the sign bits).
KFDLAB_INLINE I32 expand(unsigned mask) {
#ifdef __AVX512F__
  return (I32)_mm512_movm_epi32(static_cast<__mmask16>(mask));
#else
  const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  return (I32)_mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(static_cast<int>(mask)), bits), bits);
#endif
}
KFDLAB_INLINE unsigned collect(I32 lanes) {
#ifdef __AVX512F__
  return _mm512_movepi32_mask((__m512i)lanes);
#else
  return static_cast<unsigned>(_mm256_movemask_ps((__m256)lanes));
#endif
}

KFDLAB_INLINE U32 select(unsigned mask, U32 yes, U32 no) {
#ifdef __AVX512F__
  return (U32)_mm512_mask_blend_epi32(static_cast<__mmask16>(mask), (__m512i)no, (__m512i)yes);
#else
  return (U32)_mm256_blendv_epi8((__m256i)no, (__m256i)yes, (__m256i)expand(mask));
#endif
}
KFDLAB_INLINE F32 select(unsigned mask, F32 yes, F32 no) { return (F32)select(mask, (U32)yes, (U32)no); }
KFDLAB_INLINE I32 select(unsigned mask, I32 yes, I32 no) { return (I32)select(mask, (U32)yes, (U32)no); }
// With lanes of -1 and 0, for any element width.
template <typename M, typename T>
KFDLAB_INLINE T blend(M lanes, T yes, T no) {
#ifdef __AVX512F__
  return (T)_mm512_ternarylogic_epi32((__m512i)lanes, (__m512i)yes, (__m512i)no, 0xca);
#else
  return (T)_mm256_blendv_epi8((__m256i)no, (__m256i)yes, (__m256i)lanes);
#endif
}

KFDLAB_INLINE void store_masked(std::uint32_t* at, U32 value, unsigned mask) {
#ifdef __AVX512F__
  _mm512_mask_store_epi32(at, static_cast<__mmask16>(mask), (__m512i)value);
#else
  store(at, select(mask, value, load(at)));
#endif
}

// kPredicate: _MM_CMPINT_*.
template <int kPredicate>
KFDLAB_INLINE unsigned compare(I32 a, I32 b) {
#ifdef __AVX512F__
  return _mm512_cmp_epi32_mask((__m512i)a, (__m512i)b, kPredicate);
#else
  switch (kPredicate) {
    case _MM_CMPINT_EQ:
      return collect(a == b);
    case _MM_CMPINT_LT:
      return collect(a < b);
    case _MM_CMPINT_LE:
      return collect(a <= b);
    case _MM_CMPINT_NE:
      return collect(a != b);
    case _MM_CMPINT_NLT:
      return collect(a >= b);
    default:
      return collect(a > b);
  }
#endif
}
template <int kPredicate>
KFDLAB_INLINE unsigned compare(U32 a, U32 b) {
#ifdef __AVX512F__
  return _mm512_cmp_epu32_mask((__m512i)a, (__m512i)b, kPredicate);
#else
  return compare<kPredicate>((I32)(a ^ 0x80000000u), (I32)(b ^ 0x80000000u));
#endif
}
// kPredicate: _CMP_*.
template <int kPredicate>
KFDLAB_INLINE unsigned compare(F32 a, F32 b) {
#ifdef __AVX512F__
  return _mm512_cmp_ps_mask((__m512)a, (__m512)b, kPredicate);
#else
  return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, kPredicate)));
#endif
}
template <int kPredicate>
KFDLAB_INLINE I64 compare_lanes(F64 a, F64 b) {
#ifdef __AVX512F__
  return (I64)_mm512_movm_epi64(_mm512_cmp_pd_mask((__m512d)a, (__m512d)b, kPredicate));
#else
  return (I64)_mm256_cmp_pd((__m256d)a, (__m256d)b, kPredicate);
#endif
}

KFDLAB_INLINE bool any_nan(F64 a, F64 b) {
#ifdef __AVX512F__
  // Of each pair of elements one may be NaN; the comparison is of both at once.
  return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_UNORD_Q) != 0;
#else
  return _mm256_movemask_pd(_mm256_cmp_pd((__m256d)a, (__m256d)b, _CMP_UNORD_Q)) != 0;
#endif
}

KFDLAB_INLINE Pair unpack(U32 low, U32 high) {
#ifdef __AVX512F__
  return {(U64)_mm512_unpacklo_epi32((__m512i)low, (__m512i)high),
          (U64)_mm512_unpackhi_epi32((__m512i)low, (__m512i)high)};
#else
  return {(U64)_mm256_unpacklo_epi32((__m256i)low, (__m256i)high),
          (U64)_mm256_unpackhi_epi32((__m256i)low, (__m256i)high)};
#endif
}
KFDLAB_INLINE U32 low_half(Pair v) {
#ifdef __AVX512F__
  return (U32)_mm512_shuffle_ps((__m512)v.a, (__m512)v.b, 0x88);
#else
  return (U32)_mm256_shuffle_ps((__m256)v.a, (__m256)v.b, 0x88);
#endif
}
KFDLAB_INLINE U32 high_half(Pair v) {
#ifdef __AVX512F__
  return (U32)_mm512_shuffle_ps((__m512)v.a, (__m512)v.b, 0xdd);
#else
  return (U32)_mm256_shuffle_ps((__m256)v.a, (__m256)v.b, 0xdd);
#endif
}

KFDLAB_INLINE F32 fma(F32 a, F32 b, F32 c) {
#ifdef __AVX512F__
  return (F32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#else
  return (F32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#endif
}
KFDLAB_INLINE F64 fma(F64 a, F64 b, F64 c) {
#ifdef __AVX512F__
  return (F64)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#else
  return (F64)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#endif
}
// kRounding: _MM_FROUND_TO_*.
template <int kRounding>
KFDLAB_INLINE F32 round_to(F32 a) {
#ifdef __AVX512F__
  return (F32)_mm512_roundscale_ps((__m512)a, kRounding | _MM_FROUND_NO_EXC);
#else
  return (F32)_mm256_round_ps((__m256)a, kRounding | _MM_FROUND_NO_EXC);
#endif
}
template <int kRounding>
KFDLAB_INLINE F64 round_to(F64 a) {
#ifdef __AVX512F__
  return (F64)_mm512_roundscale_pd((__m512d)a, kRounding | _MM_FROUND_NO_EXC);
#else
  return (F64)_mm256_round_pd((__m256d)a, kRounding | _MM_FROUND_NO_EXC);
#endif
}
KFDLAB_INLINE F32 square_root(F32 a) {
#ifdef __AVX512F__
  return (F32)_mm512_sqrt_ps((__m512)a);
#else
  return (F32)_mm256_sqrt_ps((__m256)a);
#endif
}
KFDLAB_INLINE F64 square_root(F64 a) {
#ifdef __AVX512F__
  return (F64)_mm512_sqrt_pd((__m512d)a);
#else
  return (F64)_mm256_sqrt_pd((__m256d)a);
#endif
}
// In ascending order of lanes, unlike unpack().
KFDLAB_INLINE void to_doubles(F32 v, F64& low, F64& high) {
#ifdef __AVX512F__
  low = (F64)_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)v));
  high = (F64)_mm512_cvtps_pd(_mm512_extractf32x8_ps((__m512)v, 1));
#else
  low = (F64)_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)v));
  high = (F64)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)v, 1));
#endif
}
KFDLAB_INLINE F32 to_floats(F64 low, F64 high) {
#ifdef __AVX512F__
  return (F32)_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps((__m512d)low)), _mm512_cvtpd_ps((__m512d)high),
                                 1);
#else
  return (F32)_mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps((__m256d)low)),
                                   _mm256_cvtpd_ps((__m256d)high), 1);
#endif
}
// 32 x 32 -> 64 bits of the even elements.
KFDLAB_INLINE U64 multiply_wide(U64 a, U64 b) {
#ifdef __AVX512F__
  return (U64)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#else
  return (U64)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#endif
}
KFDLAB_INLINE I64 multiply_wide_signed(I64 a, I64 b) {
#ifdef __AVX512F__
  return (I64)_mm512_mul_epi32((__m512i)a, (__m512i)b);
#else
  return (I64)_mm256_mul_epi32((__m256i)a, (__m256i)b);
#endif
}

template <typename T>
KFDLAB_INLINE T vmin(T a, T b) {
  return a < b ? a : b;
}
template <typename T>
KFDLAB_INLINE T vmax(T a, T b) {
  return a > b ? a : b;
}

// Mask of chunk `c` out of 64 lanes.
KFDLAB_INLINE unsigned chunk_mask(std::uint64_t lanes, unsigned c) {
  return static_cast<unsigned>(lanes >> (c * kN)) & kFull;
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
