// SPDX-License-Identifier: MIT
// What a memory instruction moves for each lane (Element), and moving it between registers and host addresses: for a
// run (lane l at base + l * size) and for any addresses. Only for files compiled per instruction set.
//
// d16 loads keep the other half of the register: right without SRAMECC, and nobody looks with it.
#pragma once

#include "device/engine/mem_vector.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {

enum class Element : std::uint8_t {
  Ubyte,
  Sbyte,
  Ushort,
  Sshort,  // to a whole register; stores: the low bits
  UbyteLo,
  UbyteHi,
  SbyteLo,
  SbyteHi,
  UshortLo,
  UshortHi,  // d16: to one half; stores (Hi): from the high half
  B32,
  B64,
  B96,
  B128,
};

constexpr unsigned dwords_of(Element e) {
  return e == Element::B64 ? 2 : e == Element::B96 ? 3 : e == Element::B128 ? 4 : 1;
}
constexpr unsigned bytes_of(Element e) {
  switch (e) {
    case Element::Ubyte:
    case Element::Sbyte:
    case Element::UbyteLo:
    case Element::UbyteHi:
    case Element::SbyteLo:
    case Element::SbyteHi:
      return 1;
    case Element::Ushort:
    case Element::Sshort:
    case Element::UshortLo:
    case Element::UshortHi:
      return 2;
    default:
      return 4 * dwords_of(e);
  }
}
constexpr bool is_low_half(Element e) {
  return e == Element::UbyteLo || e == Element::SbyteLo || e == Element::UshortLo;
}
constexpr bool is_high_half(Element e) {
  return e == Element::UbyteHi || e == Element::SbyteHi || e == Element::UshortHi;
}

// The dword a register gets from `bits`, the element's zero-extended bytes, before halves are merged.
template <Element kE>
KFDLAB_INLINE std::uint32_t extend(std::uint32_t bits) {
  if constexpr (kE == Element::Sbyte) {
    return static_cast<std::uint32_t>(static_cast<std::int32_t>(static_cast<std::int8_t>(bits)));
  } else if constexpr (kE == Element::Sshort) {
    return static_cast<std::uint32_t>(static_cast<std::int32_t>(static_cast<std::int16_t>(bits)));
  } else if constexpr (kE == Element::SbyteLo || kE == Element::SbyteHi) {
    return static_cast<std::uint16_t>(static_cast<std::int16_t>(static_cast<std::int8_t>(bits)));
  } else {
    return bits;
  }
}

template <Element kE>
KFDLAB_INLINE std::uint32_t read_small(const std::byte* from) {
  if constexpr (bytes_of(kE) == 1) {
    return extend<kE>(static_cast<std::uint8_t>(*from));
  } else {
    return extend<kE>(read_unaligned<std::uint16_t>(from));
  }
}

template <Element kE>
KFDLAB_INLINE void write_small(std::byte* to, std::uint32_t value) {
  const std::uint32_t bits = is_high_half(kE) ? value >> 16 : value;
  if constexpr (bytes_of(kE) == 1) {
    *to = static_cast<std::byte>(bits);
  } else {
    write_unaligned(to, static_cast<std::uint16_t>(bits));
  }
}

// Puts extended values into the register row as the element says.
template <Element kE>
KFDLAB_INLINE void merge_row(std::uint32_t* to, const std::uint32_t* values, std::uint64_t lanes) {
  if constexpr (is_low_half(kE) || is_high_half(kE)) {
    alignas(64) std::uint32_t merged[kLanes];
    for (unsigned l = 0; l < kLanes; ++l) {
      merged[l] = is_low_half(kE) ? (to[l] & 0xffff0000u) | values[l] : (to[l] & 0xffffu) | values[l] << 16;
    }
    load_row(to, merged, lanes);
  } else {
    load_row(to, values, lanes);
  }
}

#ifdef __AVX512F__
// Four rows' worth of 16 lanes from four vectors of four lanes each, and back: both are the same permutation of
// dwords, lane-major to dword-major.
KFDLAB_INLINE void split_quads(__m512i (&v)[4]) {
  const __m512i first = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
  const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(2));
  const __m512i a = _mm512_permutex2var_epi32(v[0], first, v[1]);
  const __m512i b = _mm512_permutex2var_epi32(v[2], first, v[3]);
  const __m512i c = _mm512_permutex2var_epi32(v[0], second, v[1]);
  const __m512i d = _mm512_permutex2var_epi32(v[2], second, v[3]);
  v[0] = _mm512_maskz_shuffle_i64x2(0xff, a, b, 0x44);
  v[1] = _mm512_maskz_shuffle_i64x2(0xff, a, b, 0xee);
  v[2] = _mm512_maskz_shuffle_i64x2(0xff, c, d, 0x44);
  v[3] = _mm512_maskz_shuffle_i64x2(0xff, c, d, 0xee);
}
KFDLAB_INLINE void join_quads(__m512i (&v)[4]) {
  const __m512i first = _mm512_setr_epi32(0, 8, 16, 24, 1, 9, 17, 25, 2, 10, 18, 26, 3, 11, 19, 27);
  const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(4));
  const __m512i a = _mm512_maskz_shuffle_i64x2(0xff, v[0], v[1], 0x44);
  const __m512i b = _mm512_maskz_shuffle_i64x2(0xff, v[2], v[3], 0x44);
  const __m512i c = _mm512_maskz_shuffle_i64x2(0xff, v[0], v[1], 0xee);
  const __m512i d = _mm512_maskz_shuffle_i64x2(0xff, v[2], v[3], 0xee);
  v[0] = _mm512_permutex2var_epi32(a, first, b);
  v[1] = _mm512_permutex2var_epi32(a, second, b);
  v[2] = _mm512_permutex2var_epi32(c, first, d);
  v[3] = _mm512_permutex2var_epi32(c, second, d);
}
KFDLAB_INLINE std::uint64_t quad_mask(unsigned mask) { return _pdep_u64(mask, 0x1111111111111111ull) * 15; }
KFDLAB_INLINE std::uint32_t pair_mask(unsigned mask) { return _pdep_u32(mask, 0x55555555u) * 3; }

KFDLAB_INLINE void load_run64(std::uint32_t* to, const std::byte* base, std::uint64_t lanes) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
  for (unsigned c = 0; c < 4; ++c) {
    const auto mask = static_cast<__mmask16>(lanes >> (16 * c));
    const std::uint32_t bytes = pair_mask(mask);
    const __m512i a = _mm512_maskz_loadu_epi32(static_cast<__mmask16>(bytes), base + 128 * c);
    const __m512i b = _mm512_maskz_loadu_epi32(static_cast<__mmask16>(bytes >> 16), base + 128 * c + 64);
    _mm512_mask_store_epi32(to + 16 * c, mask, _mm512_permutex2var_epi32(a, even, b));
    _mm512_mask_store_epi32(to + kLanes + 16 * c, mask, _mm512_permutex2var_epi32(a, odd, b));
  }
}
KFDLAB_INLINE void store_run64(std::byte* base, const std::uint32_t* from, std::uint64_t lanes) {
  const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
  for (unsigned c = 0; c < 4; ++c) {
    const std::uint32_t bytes = pair_mask(static_cast<unsigned>(lanes >> (16 * c)) & 0xffff);
    const __m512i low = _mm512_load_si512(from + 16 * c);
    const __m512i high = _mm512_load_si512(from + kLanes + 16 * c);
    _mm512_mask_storeu_epi32(base + 128 * c, static_cast<__mmask16>(bytes),
                             _mm512_permutex2var_epi32(low, first, high));
    _mm512_mask_storeu_epi32(base + 128 * c + 64, static_cast<__mmask16>(bytes >> 16),
                             _mm512_permutex2var_epi32(low, second, high));
  }
}
// Lanes 16 * c on, from `base` on.
KFDLAB_INLINE void load_quads(std::uint32_t* to, const std::byte* base, __mmask16 mask, unsigned c) {
  const std::uint64_t bytes = quad_mask(mask);
  __m512i v[4];
  for (unsigned i = 0; i < 4; ++i) {
    v[i] = _mm512_maskz_loadu_epi32(static_cast<__mmask16>(bytes >> (16 * i)), base + 64 * i);
  }
  split_quads(v);
  for (unsigned d = 0; d < 4; ++d) {
    _mm512_mask_store_epi32(to + d * kLanes + 16 * c, mask, v[d]);
  }
}
KFDLAB_INLINE void load_run128(std::uint32_t* to, const std::byte* base, std::uint64_t lanes) {
  for (unsigned c = 0; c < 4; ++c) {
    load_quads(to, base + 256 * c, static_cast<__mmask16>(lanes >> (16 * c)), c);
  }
}
KFDLAB_INLINE void store_run128(std::byte* base, const std::uint32_t* from, std::uint64_t lanes) {
  for (unsigned c = 0; c < 4; ++c) {
    const std::uint64_t bytes = quad_mask(static_cast<unsigned>(lanes >> (16 * c)) & 0xffff);
    __m512i v[4];
    for (unsigned d = 0; d < 4; ++d) {
      v[d] = _mm512_load_si512(from + d * kLanes + 16 * c);
    }
    join_quads(v);
    for (unsigned i = 0; i < 4; ++i) {
      _mm512_mask_storeu_epi32(base + 256 * c + 64 * i, static_cast<__mmask16>(bytes >> (16 * i)), v[i]);
    }
  }
}

// Bytes and halves of a run as read_small() gives them.
template <Element kE>
KFDLAB_INLINE void load_small_run(std::uint32_t* values, const std::byte* base, std::uint64_t lanes) {
  constexpr bool kSigned =
      kE == Element::Sbyte || kE == Element::Sshort || kE == Element::SbyteLo || kE == Element::SbyteHi;
  for (unsigned c = 0; c < 4; ++c) {
    const auto mask = static_cast<__mmask16>(lanes >> (16 * c));
    __m512i value;
    if constexpr (bytes_of(kE) == 1) {
      const __m128i raw = _mm_maskz_loadu_epi8(mask, base + 16 * c);
      value = kSigned ? _mm512_maskz_cvtepi8_epi32(mask, raw) : _mm512_maskz_cvtepu8_epi32(mask, raw);
    } else {
      const __m256i raw = _mm256_maskz_loadu_epi16(mask, base + 32 * c);
      value = kSigned ? _mm512_maskz_cvtepi16_epi32(mask, raw) : _mm512_maskz_cvtepu16_epi32(mask, raw);
    }
    if constexpr (is_low_half(kE) || is_high_half(kE)) {
      value = _mm512_maskz_and_epi32(mask, value, _mm512_set1_epi32(0xffff));
    }
    _mm512_store_si512(values + 16 * c, value);
  }
}
template <Element kE>
KFDLAB_INLINE void store_small_run(std::byte* base, const std::uint32_t* from, std::uint64_t lanes) {
  for (unsigned c = 0; c < 4; ++c) {
    const auto mask = static_cast<__mmask16>(lanes >> (16 * c));
    __m512i value = _mm512_load_si512(from + 16 * c);
    if constexpr (is_high_half(kE)) {
      value = _mm512_maskz_srli_epi32(mask, value, 16);
    }
    if constexpr (bytes_of(kE) == 1) {
      _mm_mask_storeu_epi8(base + 16 * c, mask, _mm512_maskz_cvtepi32_epi8(mask, value));
    } else {
      _mm256_mask_storeu_epi16(base + 32 * c, mask, _mm512_maskz_cvtepi32_epi16(mask, value));
    }
  }
}
#endif

// A run: lane l's element is at base + l * bytes_of(kE).
template <Element kE>
KFDLAB_INLINE void load_run(std::uint32_t* to, const std::byte* base, std::uint64_t lanes) {
  constexpr unsigned kBytes = bytes_of(kE);
  if constexpr (kE == Element::B32) {
    load_row(to, base, lanes);
  } else if constexpr (kBytes < 4) {
    alignas(64) std::uint32_t values[kLanes];
#ifdef __AVX512F__
    load_small_run<kE>(values, base, lanes);
#else
    std::memset(values, 0, sizeof values);
    for_lanes(lanes, [&](unsigned l) { values[l] = read_small<kE>(base + l * kBytes); });
#endif
    merge_row<kE>(to, values, lanes);
  } else {
#ifdef __AVX512F__
    if constexpr (kE == Element::B64) {
      return load_run64(to, base, lanes);
    } else if constexpr (kE == Element::B128) {
      return load_run128(to, base, lanes);
    }
#endif
    for_lanes(lanes, [&](unsigned l) {
      for (unsigned d = 0; d < dwords_of(kE); ++d) {
        to[d * kLanes + l] = read_unaligned<std::uint32_t>(base + l * kBytes + 4 * d);
      }
    });
  }
}

template <Element kE>
KFDLAB_INLINE void store_run(std::byte* base, const std::uint32_t* from, std::uint64_t lanes) {
  constexpr unsigned kBytes = bytes_of(kE);
  if constexpr (kE == Element::B32) {
    store_row(base, from, lanes);
  } else if constexpr (kBytes < 4) {
#ifdef __AVX512F__
    store_small_run<kE>(base, from, lanes);
#else
    for_lanes(lanes, [&](unsigned l) { write_small<kE>(base + l * kBytes, from[l]); });
#endif
  } else {
#ifdef __AVX512F__
    if constexpr (kE == Element::B64) {
      return store_run64(base, from, lanes);
    } else if constexpr (kE == Element::B128) {
      return store_run128(base, from, lanes);
    }
#endif
    for_lanes(lanes, [&](unsigned l) {
      for (unsigned d = 0; d < dwords_of(kE); ++d) {
        write_unaligned(base + l * kBytes + 4 * d, from[d * kLanes + l]);
      }
    });
  }
}

// Any addresses: lane l's element is at host[l].
KFDLAB_INLINE void load_lanes32(std::uint32_t* to, const std::uint64_t* host, std::uint64_t lanes) {
#ifdef __AVX512F__
  for (unsigned c = 0; c < 8; ++c) {
    const auto mask = static_cast<__mmask8>(lanes >> (8 * c));
    const __m256i value =
        _mm512_mask_i64gather_epi32(_mm256_setzero_si256(), mask, _mm512_load_si512(host + 8 * c), nullptr, 1);
    _mm256_mask_store_epi32(to + 8 * c, mask, value);
  }
#else
  for_lanes(lanes, [&](unsigned l) { to[l] = read_unaligned<std::uint32_t>(reinterpret_cast<const void*>(host[l])); });
#endif
}

// Chunks of 16 lanes that read one run or one place, which is what two-dimensional workgroups do; else a gather.
KFDLAB_INLINE void load_chunks32(std::uint32_t* to, const std::uint64_t* host, std::uint64_t lanes) {
#ifdef __AVX512F__
  const __m512i iota4 = _mm512_setr_epi64(0, 4, 8, 12, 16, 20, 24, 28);
  for (unsigned c = 0; c < 4; ++c) {
    const auto mask = static_cast<__mmask16>(lanes >> (16 * c));
    if (mask == 0) {
      continue;
    }
    const std::uint64_t* const at = host + 16 * c;
    const unsigned first = static_cast<unsigned>(__builtin_ctz(mask));
    const __m512i low = _mm512_load_si512(at);
    const __m512i high = _mm512_load_si512(at + 8);
    const auto low_mask = static_cast<__mmask8>(mask);
    const auto high_mask = static_cast<__mmask8>(mask >> 8);
    const __m512i same = _mm512_set1_epi64(static_cast<long long>(at[first]));
    const __m512i run = _mm512_add_epi64(_mm512_sub_epi64(same, _mm512_set1_epi64(4ll * first)), iota4);
    const __m512i run_high = _mm512_add_epi64(run, _mm512_set1_epi64(32));
    if ((_mm512_mask_cmpneq_epi64_mask(low_mask, low, run) |
         _mm512_mask_cmpneq_epi64_mask(high_mask, high, run_high)) == 0) {
      const auto* base = reinterpret_cast<const std::byte*>(at[first] - 4 * first);
      _mm512_mask_store_epi32(to + 16 * c, mask, _mm512_maskz_loadu_epi32(mask, base));
    } else if ((_mm512_mask_cmpneq_epi64_mask(low_mask, low, same) |
                _mm512_mask_cmpneq_epi64_mask(high_mask, high, same)) == 0) {
      const auto value = read_unaligned<int>(reinterpret_cast<const void*>(at[first]));
      _mm512_mask_store_epi32(to + 16 * c, mask, _mm512_set1_epi32(value));
    } else {
      const __m256i none = _mm256_setzero_si256();
      _mm256_mask_store_epi32(to + 16 * c, low_mask, _mm512_mask_i64gather_epi32(none, low_mask, low, nullptr, 1));
      _mm256_mask_store_epi32(to + 16 * c + 8, high_mask,
                              _mm512_mask_i64gather_epi32(none, high_mask, high, nullptr, 1));
    }
  }
#else
  load_lanes32(to, host, lanes);
#endif
}

// Chunks of eight lanes that read one run or one place; else a gather.
KFDLAB_INLINE void load_lanes64(std::uint32_t* to, const std::uint64_t* host, std::uint64_t lanes) {
#ifdef __AVX512F__
  const __m512i iota8 = _mm512_setr_epi64(0, 8, 16, 24, 32, 40, 48, 56);
  for (unsigned c = 0; c < 8; ++c) {
    const auto mask = static_cast<__mmask8>(lanes >> (8 * c));
    if (mask == 0) {
      continue;
    }
    const std::uint64_t* const at = host + 8 * c;
    const auto first = static_cast<unsigned>(__builtin_ctz(mask));
    const __m512i places = _mm512_load_si512(at);
    const std::uint64_t start = at[first] - 8 * first;
    __m512i value;
    if (_mm512_mask_cmpneq_epi64_mask(mask, places,
                                      _mm512_add_epi64(iota8, _mm512_set1_epi64(static_cast<long long>(start)))) == 0) {
      value = _mm512_maskz_loadu_epi64(mask, reinterpret_cast<const void*>(start));
    } else if (_mm512_mask_cmpneq_epi64_mask(mask, places, _mm512_set1_epi64(static_cast<long long>(at[first]))) == 0) {
      value = _mm512_set1_epi64(read_unaligned<long long>(reinterpret_cast<const void*>(at[first])));
    } else {
      value = _mm512_mask_i64gather_epi64(_mm512_setzero_si512(), mask, places, nullptr, 1);
    }
    _mm256_mask_store_epi32(to + 8 * c, mask, _mm512_maskz_cvtepi64_epi32(0xff, value));
    _mm256_mask_store_epi32(to + kLanes + 8 * c, mask,
                            _mm512_maskz_cvtepi64_epi32(0xff, _mm512_maskz_srli_epi64(0xff, value, 32)));
  }
#else
  for_lanes(lanes, [&](unsigned l) {
    const auto value = read_unaligned<std::uint64_t>(reinterpret_cast<const void*>(host[l]));
    to[l] = static_cast<std::uint32_t>(value);
    to[kLanes + l] = static_cast<std::uint32_t>(value >> 32);
  });
#endif
}

#ifdef __AVX512F__
// Chunks of 16 lanes that read one run or one place of four dwords. Returns the lanes of all others.
KFDLAB_INLINE std::uint64_t load_chunks128(std::uint32_t* to, const std::uint64_t* host, std::uint64_t lanes) {
  const __m512i iota16 = _mm512_setr_epi64(0, 16, 32, 48, 64, 80, 96, 112);
  std::uint64_t rest = 0;
  for (unsigned c = 0; c < 4; ++c) {
    const auto mask = static_cast<__mmask16>(lanes >> (16 * c));
    if (mask == 0) {
      continue;
    }
    const std::uint64_t* const at = host + 16 * c;
    const auto first = static_cast<unsigned>(__builtin_ctz(mask));
    const std::uint64_t start = at[first] - 16 * first;
    const __m512i same = _mm512_set1_epi64(static_cast<long long>(at[first]));
    const __m512i run = _mm512_add_epi64(iota16, _mm512_set1_epi64(static_cast<long long>(start)));
    const __m512i low = _mm512_load_si512(at);
    const __m512i high = _mm512_load_si512(at + 8);
    const auto low_mask = static_cast<__mmask8>(mask);
    const auto high_mask = static_cast<__mmask8>(mask >> 8);
    if ((_mm512_mask_cmpneq_epi64_mask(low_mask, low, run) |
         _mm512_mask_cmpneq_epi64_mask(high_mask, high, _mm512_add_epi64(run, _mm512_set1_epi64(128)))) == 0) {
      load_quads(to, reinterpret_cast<const std::byte*>(start), mask, c);
    } else if ((_mm512_mask_cmpneq_epi64_mask(low_mask, low, same) |
                _mm512_mask_cmpneq_epi64_mask(high_mask, high, same)) == 0) {
      for (unsigned d = 0; d < 4; ++d) {
        const auto value = read_unaligned<int>(reinterpret_cast<const std::byte*>(at[first]) + 4 * d);
        _mm512_mask_store_epi32(to + d * kLanes + 16 * c, mask, _mm512_set1_epi32(value));
      }
    } else {
      rest |= std::uint64_t{mask} << (16 * c);
    }
  }
  return rest;
}
#endif

template <Element kE>
KFDLAB_INLINE void load_lanes(std::uint32_t* to, const std::uint64_t* host, std::uint64_t lanes) {
  if constexpr (kE == Element::B32) {
    load_chunks32(to, host, lanes);
  } else if constexpr (kE == Element::B64) {
    load_lanes64(to, host, lanes);
  } else if constexpr (bytes_of(kE) < 4) {
    alignas(64) std::uint32_t values[kLanes] = {};
    for_lanes(lanes, [&](unsigned l) { values[l] = read_small<kE>(reinterpret_cast<const std::byte*>(host[l])); });
    merge_row<kE>(to, values, lanes);
  } else {
#ifdef __AVX512F__
    if constexpr (kE == Element::B128) {
      lanes = load_chunks128(to, host, lanes);
    }
#endif
    for_lanes(lanes, [&](unsigned l) {
      const auto* from = reinterpret_cast<const std::byte*>(host[l]);
      std::uint32_t value[dwords_of(kE)];
      std::memcpy(value, from, sizeof value);
      for (unsigned d = 0; d < dwords_of(kE); ++d) {
        to[d * kLanes + l] = value[d];
      }
    });
  }
}

// In ascending order of lanes: where two write the same byte, the higher one's stays.
template <Element kE>
KFDLAB_INLINE void store_lanes(const std::uint64_t* host, const std::uint32_t* from, std::uint64_t lanes) {
  for_lanes(lanes, [&](unsigned l) {
    auto* const to = reinterpret_cast<std::byte*>(host[l]);
    if constexpr (bytes_of(kE) < 4) {
      write_small<kE>(to, from[l]);
    } else {
      std::uint32_t value[dwords_of(kE)];
      for (unsigned d = 0; d < dwords_of(kE); ++d) {
        value[d] = from[d * kLanes + l];
      }
      std::memcpy(to, value, sizeof value);
    }
  });
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
