// SPDX-License-Identifier: MIT
// Rows of 64 dwords to and from memory: the vector primitives of the memory handlers. Only for files compiled per
// instruction set (KFDLAB_ENGINE_ISA). Masked forms where GCC 12 warns about the undefined operand of plain ones. With
// AVX2 the ones that need scatter-like moves are loops over lanes.
//
// Nothing here translates or checks: callers pass host addresses that are good for every active lane. Bytes of
// inactive lanes are neither read nor written, so that a run may begin or end at the edge of a page.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "device/engine/simd.h"
#include "device/engine/wave.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {

template <typename Body>
KFDLAB_INLINE void for_lanes(std::uint64_t lanes, Body&& body) {
  for (; lanes != 0; lanes &= lanes - 1) {
    body(static_cast<unsigned>(__builtin_ctzll(lanes)));
  }
}
KFDLAB_INLINE unsigned first_lane(std::uint64_t lanes) { return static_cast<unsigned>(__builtin_ctzll(lanes)); }
KFDLAB_INLINE unsigned last_lane(std::uint64_t lanes) { return 63u - static_cast<unsigned>(__builtin_clzll(lanes)); }

template <typename T>
KFDLAB_INLINE T read_unaligned(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <typename T>
KFDLAB_INLINE void write_unaligned(void* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

#ifndef __AVX512F__
KFDLAB_INLINE __m256i lane_mask(unsigned mask) {
  const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(static_cast<int>(mask)), bits), bits);
}
#endif

// to[l] = from[l] for the lanes; `from` need not be aligned, `to` is a row.
KFDLAB_INLINE void load_row(std::uint32_t* to, const void* from, std::uint64_t lanes) {
  const auto* source = static_cast<const std::byte*>(from);
#ifdef __AVX512F__
  for (unsigned c = 0; c < 4; ++c) {
    const auto mask = static_cast<__mmask16>(lanes >> (16 * c));
    _mm512_mask_store_epi32(to + 16 * c, mask, _mm512_maskz_loadu_epi32(mask, source + 64 * c));
  }
#else
  for (unsigned c = 0; c < 8; ++c) {
    const __m256i mask = lane_mask(chunk_mask(lanes, c));
    const __m256i value = _mm256_maskload_epi32(reinterpret_cast<const int*>(source + 32 * c), mask);
    _mm256_maskstore_epi32(reinterpret_cast<int*>(to + 8 * c), mask, value);
  }
#endif
}

KFDLAB_INLINE void store_row(void* to, const std::uint32_t* from, std::uint64_t lanes) {
  auto* target = static_cast<std::byte*>(to);
#ifdef __AVX512F__
  for (unsigned c = 0; c < 4; ++c) {
    const auto mask = static_cast<__mmask16>(lanes >> (16 * c));
    _mm512_mask_storeu_epi32(target + 64 * c, mask, _mm512_load_si512(from + 16 * c));
  }
#else
  for (unsigned c = 0; c < 8; ++c) {
    const __m256i value = _mm256_load_si256(reinterpret_cast<const __m256i*>(from + 8 * c));
    _mm256_maskstore_epi32(reinterpret_cast<int*>(target + 32 * c), lane_mask(chunk_mask(lanes, c)), value);
  }
#endif
}

KFDLAB_INLINE void fill_row(std::uint32_t* to, std::uint32_t value, std::uint64_t lanes) {
  for (unsigned c = 0; c < kChunks; ++c) {
#ifdef __AVX512F__
    _mm512_mask_store_epi32(to + 16 * c, static_cast<__mmask16>(chunk_mask(lanes, c)),
                            _mm512_set1_epi32(static_cast<int>(value)));
#else
    _mm256_maskstore_epi32(reinterpret_cast<int*>(to + 8 * c), lane_mask(chunk_mask(lanes, c)),
                           _mm256_set1_epi32(static_cast<int>(value)));
#endif
  }
}

// True if row[l] == base + stride * l, without overflow, for all the lanes. `base` is that of lane 0, which may be
// inactive: then it may lie below 0 (modulo 2^64).
KFDLAB_INLINE bool is_run32(const std::uint32_t* row, std::uint64_t lanes, std::uint64_t base, unsigned stride) {
  if (base + 63u * stride > 0xffffffffu) {
    return false;
  }
#ifdef __AVX512F__
  const __m512i iota = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  __m512i expected = _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(base)),
                                      _mm512_mullo_epi32(iota, _mm512_set1_epi32(static_cast<int>(stride))));
  const __m512i step = _mm512_set1_epi32(static_cast<int>(16 * stride));
  unsigned wrong = 0;
  for (unsigned c = 0; c < 4; ++c) {
    wrong |= _mm512_mask_cmpneq_epi32_mask(static_cast<__mmask16>(lanes >> (16 * c)), _mm512_load_si512(row + 16 * c),
                                           expected);
    expected = _mm512_add_epi32(expected, step);
  }
  return wrong == 0;
#else
  const __m256i iota = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  __m256i expected = _mm256_add_epi32(_mm256_set1_epi32(static_cast<int>(base)),
                                      _mm256_mullo_epi32(iota, _mm256_set1_epi32(static_cast<int>(stride))));
  const __m256i step = _mm256_set1_epi32(static_cast<int>(8 * stride));
  unsigned wrong = 0;
  for (unsigned c = 0; c < 8; ++c) {
    const __m256i value = _mm256_load_si256(reinterpret_cast<const __m256i*>(row + 8 * c));
    const auto equal =
        static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(value, expected))));
    wrong |= ~equal & chunk_mask(lanes, c);
    expected = _mm256_add_epi32(expected, step);
  }
  return wrong == 0;
#endif
}

KFDLAB_INLINE bool is_uniform(const std::uint32_t* row, std::uint64_t lanes, std::uint32_t value) {
  return is_run32(row, lanes, value, 0);
}

// The same for 64-bit values in two rows.
KFDLAB_INLINE bool is_run64(const std::uint32_t* low, std::uint64_t lanes, std::uint64_t base, unsigned stride) {
  return is_run32(low, lanes, static_cast<std::uint32_t>(base), stride) &&
         is_uniform(low + kLanes, lanes, static_cast<std::uint32_t>(base >> 32));
}

KFDLAB_INLINE std::uint64_t pair_at(const std::uint32_t* low, unsigned lane) {
  return low[lane] | std::uint64_t{low[kLanes + lane]} << 32;
}

// out[l] = 64-bit value in two rows + addend.
KFDLAB_INLINE void widen_pairs(std::uint64_t* out, const std::uint32_t* low, std::uint64_t addend) {
#ifdef __AVX512F__
  const __m512i add = _mm512_set1_epi64(static_cast<long long>(addend));
  for (unsigned c = 0; c < 8; ++c) {
    const __m512i lo =
        _mm512_maskz_cvtepu32_epi64(0xff, _mm256_load_si256(reinterpret_cast<const __m256i*>(low + 8 * c)));
    const __m512i hi =
        _mm512_maskz_cvtepu32_epi64(0xff, _mm256_load_si256(reinterpret_cast<const __m256i*>(low + kLanes + 8 * c)));
    _mm512_store_si512(out + 8 * c, _mm512_add_epi64(add, _mm512_or_si512(lo, _mm512_maskz_slli_epi64(0xff, hi, 32))));
  }
#else
  for (unsigned l = 0; l < kLanes; ++l) {
    out[l] = pair_at(low, l) + addend;
  }
#endif
}

// out[l] = zero-extended row + addend.
KFDLAB_INLINE void widen_row(std::uint64_t* out, const std::uint32_t* row, std::uint64_t addend) {
#ifdef __AVX512F__
  const __m512i add = _mm512_set1_epi64(static_cast<long long>(addend));
  for (unsigned c = 0; c < 8; ++c) {
    const __m512i lo =
        _mm512_maskz_cvtepu32_epi64(0xff, _mm256_load_si256(reinterpret_cast<const __m256i*>(row + 8 * c)));
    _mm512_store_si512(out + 8 * c, _mm512_add_epi64(add, lo));
  }
#else
  for (unsigned l = 0; l < kLanes; ++l) {
    out[l] = row[l] + addend;
  }
#endif
}

// host[l] = address[l] + addend for those of the lanes with address[l] - start <= limit; returns them.
KFDLAB_INLINE std::uint64_t add_inside(std::uint64_t* host, const std::uint64_t* address, std::uint64_t lanes,
                                       std::uint64_t start, std::uint64_t limit, std::uint64_t addend) {
  std::uint64_t inside = 0;
#ifdef __AVX512F__
  const __m512i first = _mm512_set1_epi64(static_cast<long long>(start));
  const __m512i most = _mm512_set1_epi64(static_cast<long long>(limit));
  const __m512i add = _mm512_set1_epi64(static_cast<long long>(addend));
  for (unsigned c = 0; c < 8; ++c) {
    const __m512i value = _mm512_load_si512(address + 8 * c);
    const __mmask8 mask =
        _mm512_mask_cmple_epu64_mask(static_cast<__mmask8>(lanes >> (8 * c)), _mm512_sub_epi64(value, first), most);
    _mm512_mask_store_epi64(host + 8 * c, mask, _mm512_add_epi64(value, add));
    inside |= std::uint64_t{mask} << (8 * c);
  }
#else
  for_lanes(lanes, [&](unsigned l) {
    if (address[l] - start <= limit) {
      host[l] = address[l] + addend;
      inside |= 1ull << l;
    }
  });
#endif
  return inside;
}

// The lanes whose value is `wanted`.
KFDLAB_INLINE std::uint64_t equal_lanes(const std::uint64_t* values, std::uint64_t lanes, std::uint64_t wanted) {
  std::uint64_t equal = 0;
#ifdef __AVX512F__
  const __m512i target = _mm512_set1_epi64(static_cast<long long>(wanted));
  for (unsigned c = 0; c < 8; ++c) {
    equal |= std::uint64_t{_mm512_cmpeq_epi64_mask(_mm512_load_si512(values + 8 * c), target)} << (8 * c);
  }
#else
  for (unsigned l = 0; l < kLanes; ++l) {
    equal |= static_cast<std::uint64_t>(values[l] == wanted) << l;
  }
#endif
  return equal & lanes;
}

// The lanes whose high dword is `wanted`.
KFDLAB_INLINE std::uint64_t equal_high_lanes(const std::uint64_t* values, std::uint64_t lanes, std::uint32_t wanted) {
  std::uint64_t equal = 0;
#ifdef __AVX512F__
  const __m512i target = _mm512_set1_epi64(wanted);
  for (unsigned c = 0; c < 8; ++c) {
    const __m512i high = _mm512_maskz_srli_epi64(0xff, _mm512_load_si512(values + 8 * c), 32);
    equal |= std::uint64_t{_mm512_cmpeq_epi64_mask(high, target)} << (8 * c);
  }
#else
  for (unsigned l = 0; l < kLanes; ++l) {
    equal |= static_cast<std::uint64_t>(values[l] >> 32 == wanted) << l;
  }
#endif
  return equal & lanes;
}

// host[l] = base + (row[l] + offset) if that sum, modulo 2^32, is at most `limit`, else `zeros`. Returns the lanes that
// are inside.
KFDLAB_INLINE std::uint64_t add_offsets(std::uint64_t* host, const std::uint32_t* row, std::uint32_t offset,
                                        std::uint32_t limit, const void* base, const void* zeros) {
  std::uint64_t inside = 0;
#ifdef __AVX512F__
  const __m512i start = _mm512_set1_epi64(static_cast<long long>(reinterpret_cast<std::uint64_t>(base)));
  const __m512i other = _mm512_set1_epi64(static_cast<long long>(reinterpret_cast<std::uint64_t>(zeros)));
  const __m256i add = _mm256_set1_epi32(static_cast<int>(offset));
  const __m256i most = _mm256_set1_epi32(static_cast<int>(limit));
  for (unsigned c = 0; c < 8; ++c) {
    const __m256i sum = _mm256_add_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(row + 8 * c)), add);
    const __mmask8 mask = _mm256_cmple_epu32_mask(sum, most);
    const __m512i at = _mm512_add_epi64(start, _mm512_maskz_cvtepu32_epi64(0xff, sum));
    _mm512_store_si512(host + 8 * c, _mm512_mask_blend_epi64(mask, other, at));
    inside |= std::uint64_t{mask} << (8 * c);
  }
#else
  for (unsigned l = 0; l < kLanes; ++l) {
    const std::uint32_t sum = row[l] + offset;
    host[l] = sum <= limit ? reinterpret_cast<std::uint64_t>(base) + sum : reinterpret_cast<std::uint64_t>(zeros);
    inside |= static_cast<std::uint64_t>(sum <= limit) << l;
  }
#endif
  return inside;
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
