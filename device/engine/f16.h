// SPDX-License-Identifier: MIT
// Half precision. An f16 element is the low half of a 32-bit lane; arithmetic is done in f32, which has enough bits
// that rounding twice gives the same as rounding once for +, -, *, / and square root, and in f64 for fma.
#pragma once

#include "device/engine/simd.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {

// Low halves of the lanes; the high halves do not matter. Exact.
KFDLAB_INLINE F32 half_to_float(U32 v) {
#ifdef __AVX512F__
  return (F32)_mm512_cvtph_ps(_mm512_cvtepi32_epi16((__m512i)v));
#else
  const __m256i low = _mm256_and_si256((__m256i)v, _mm256_set1_epi32(0xffff));
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, low), 0x08);
  return (F32)_mm256_cvtph_ps(_mm256_castsi256_si128(packed));
#endif
}
// Rounded as MXCSR says; high halves are zero.
KFDLAB_INLINE U32 float_to_half(F32 v) {
#ifdef __AVX512F__
  return (U32)_mm512_cvtepu16_epi32(_mm512_cvtps_ph((__m512)v, _MM_FROUND_CUR_DIRECTION));
#else
  return (U32)_mm256_cvtepu16_epi32(_mm256_cvtps_ph((__m256)v, _MM_FROUND_CUR_DIRECTION));
#endif
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
