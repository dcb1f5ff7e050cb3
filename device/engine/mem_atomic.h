// SPDX-License-Identifier: MIT
// Atomic operations: what each does to a value, on memory that CPUs and other engine threads change too (host lock
// instructions, CAS loops for what x86 does not have), and on LDS, which only the wave's own thread touches. Only for
// files compiled per instruction set.
//
// Addresses are aligned down to the operand's size, so that no operation is split. Without return, lanes that hit the
// same place are combined into one locked operation: integer operations by folding their data first, the others by
// one CAS that applies them in ascending order of lanes, which is one of the orders hardware may take.
// Facts: CDNA 2 ISA chapter 12 (FLAT, MUBUF and DS opcodes).
#pragma once

#include <bit>
#include <type_traits>

#include "device/engine/mem_vector.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {

enum class Atomic : std::uint8_t {
  Swap,
  Cmpswap,
  CmpswapF,
  Add,
  Sub,
  Rsub,
  Smin,
  Umin,
  Smax,
  Umax,
  And,
  Or,
  Xor,
  Inc,
  Dec,
  AddF,
  MinF,
  MaxF,
  PkAddF16,
  Mskor,
  Wrap,
};

// Takes a second operand (`extra`): the value to compare with, or the second data of Mskor and Wrap.
constexpr bool has_extra(Atomic op) {
  return op == Atomic::Cmpswap || op == Atomic::CmpswapF || op == Atomic::Mskor || op == Atomic::Wrap;
}
// Data may be folded first: x op a op b == x op (a fold b).
constexpr bool is_foldable(Atomic op) {
  switch (op) {
    case Atomic::Swap:
    case Atomic::Add:
    case Atomic::Sub:
    case Atomic::Smin:
    case Atomic::Umin:
    case Atomic::Smax:
    case Atomic::Umax:
    case Atomic::And:
    case Atomic::Or:
    case Atomic::Xor:
      return true;
    default:
      return false;
  }
}
constexpr Atomic fold_of(Atomic op) { return op == Atomic::Sub ? Atomic::Add : op; }

KFDLAB_INLINE std::uint32_t add_halves(std::uint32_t a, std::uint32_t b) {
  // In f32 the sum of two halves has no double rounding: 24 bits are at least twice 11 plus two.
  const __m128 sum = _mm_add_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(static_cast<int>(a))),
                                _mm_cvtph_ps(_mm_cvtsi32_si128(static_cast<int>(b))));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_cvtps_ph(sum, _MM_FROUND_TO_NEAREST_INT)));
}

template <Atomic kOp, typename T>
KFDLAB_INLINE T combine(T old, T data, T extra) {
  using Signed = std::make_signed_t<T>;
  using Float = std::conditional_t<sizeof(T) == 8, double, float>;
  switch (kOp) {
    case Atomic::Swap:
      return data;
    case Atomic::Cmpswap:
      return old == extra ? data : old;
    case Atomic::CmpswapF:
      return std::bit_cast<Float>(old) == std::bit_cast<Float>(extra) ? data : old;
    case Atomic::Add:
      return old + data;
    case Atomic::Sub:
      return old - data;
    case Atomic::Rsub:
      return data - old;
    case Atomic::Smin:
      return static_cast<Signed>(data) < static_cast<Signed>(old) ? data : old;
    case Atomic::Umin:
      return data < old ? data : old;
    case Atomic::Smax:
      return static_cast<Signed>(data) > static_cast<Signed>(old) ? data : old;
    case Atomic::Umax:
      return data > old ? data : old;
    case Atomic::And:
      return old & data;
    case Atomic::Or:
      return old | data;
    case Atomic::Xor:
      return old ^ data;
    case Atomic::Inc:
      return old >= data ? 0 : old + 1;
    case Atomic::Dec:
      return old == 0 || old > data ? data : old - 1;
    case Atomic::AddF:
      return std::bit_cast<T>(static_cast<Float>(std::bit_cast<Float>(old) + std::bit_cast<Float>(data)));
    case Atomic::MinF:
      return std::bit_cast<Float>(data) < std::bit_cast<Float>(old) ? data : old;
    case Atomic::MaxF:
      return std::bit_cast<Float>(data) > std::bit_cast<Float>(old) ? data : old;
    case Atomic::PkAddF16:
      return add_halves(static_cast<std::uint32_t>(old), static_cast<std::uint32_t>(data));
    case Atomic::Mskor:
      return (old & ~data) | extra;
    case Atomic::Wrap:
      return old >= data ? old - data : old + extra;
  }
}

// One operation on shared memory; returns the old value. `at` is aligned.
template <Atomic kOp, typename T>
KFDLAB_INLINE T apply_shared(T* at, T data, T extra) {
  if constexpr (kOp == Atomic::Add) {
    return __atomic_fetch_add(at, data, __ATOMIC_SEQ_CST);
  } else if constexpr (kOp == Atomic::Sub) {
    return __atomic_fetch_sub(at, data, __ATOMIC_SEQ_CST);
  } else if constexpr (kOp == Atomic::Swap) {
    return __atomic_exchange_n(at, data, __ATOMIC_SEQ_CST);
  } else if constexpr (kOp == Atomic::Cmpswap) {
    T expected = extra;
    __atomic_compare_exchange_n(at, &expected, data, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
  } else if constexpr (kOp == Atomic::And) {
    return __atomic_fetch_and(at, data, __ATOMIC_SEQ_CST);
  } else if constexpr (kOp == Atomic::Or) {
    return __atomic_fetch_or(at, data, __ATOMIC_SEQ_CST);
  } else if constexpr (kOp == Atomic::Xor) {
    return __atomic_fetch_xor(at, data, __ATOMIC_SEQ_CST);
  } else {
    T old = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(at, &old, combine<kOp>(old, data, extra), true, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED)) {
    }
    return old;
  }
}

// Data of one instruction: rows of registers.
template <typename T>
struct AtomicData {
  const std::uint32_t* data;
  const std::uint32_t* extra;

  [[nodiscard]] KFDLAB_INLINE static T at(const std::uint32_t* row, unsigned lane) {
    if constexpr (sizeof(T) == 8) {
      return pair_at(row, lane);
    } else {
      return row[lane];
    }
  }
  [[nodiscard]] KFDLAB_INLINE T data_at(unsigned lane) const { return at(data, lane); }
  [[nodiscard]] KFDLAB_INLINE T extra_at(unsigned lane) const { return extra != nullptr ? at(extra, lane) : T{0}; }
};

template <typename T>
KFDLAB_INLINE void write_lane(std::uint32_t* row, unsigned lane, T value) {
  row[lane] = static_cast<std::uint32_t>(value);
  if constexpr (sizeof(T) == 8) {
    row[kLanes + lane] = static_cast<std::uint32_t>(value >> 32);
  }
}

// All of `lanes` hit the same place.
template <Atomic kOp, typename T>
KFDLAB_INLINE void apply_combined(T* at, const AtomicData<T>& source, std::uint64_t lanes) {
  if constexpr (is_foldable(kOp)) {
    T folded = source.data_at(first_lane(lanes));
    for_lanes(lanes & (lanes - 1),
              [&](unsigned l) { folded = combine<fold_of(kOp)>(folded, source.data_at(l), T{0}); });
    apply_shared<kOp>(at, folded, T{0});
  } else {
    T old = __atomic_load_n(at, __ATOMIC_RELAXED);
    T value;
    do {
      value = old;
      for_lanes(lanes, [&](unsigned l) { value = combine<kOp>(value, source.data_at(l), source.extra_at(l)); });
    } while (!__atomic_compare_exchange_n(at, &old, value, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
  }
}

// The whole instruction on shared memory. `to` is null if nothing is returned.
template <Atomic kOp, typename T>
KFDLAB_INLINE void run_shared(const std::uint64_t* host, const AtomicData<T>& source, std::uint32_t* to,
                              std::uint64_t lanes) {
  if (to != nullptr) {
    for_lanes(lanes, [&](unsigned l) {
      auto* const at = reinterpret_cast<T*>(host[l]);
      write_lane<T>(to, l, apply_shared<kOp>(at, source.data_at(l), source.extra_at(l)));
    });
    return;
  }
  while (lanes != 0) {
    const unsigned lane = first_lane(lanes);
    const std::uint64_t same = equal_lanes(host, lanes, host[lane]);
    if ((same & (same - 1)) == 0) {
      break;  // the places seem to differ: looking for more costs more than it saves
    }
    apply_combined<kOp>(reinterpret_cast<T*>(host[lane]), source, same);
    lanes &= ~same;
  }
  for_lanes(lanes, [&](unsigned l) {
    apply_shared<kOp>(reinterpret_cast<T*>(host[l]), source.data_at(l), source.extra_at(l));
  });
}

// The whole instruction on LDS.
template <Atomic kOp, typename T>
KFDLAB_INLINE void run_local(const std::uint64_t* host, const AtomicData<T>& source, std::uint32_t* to,
                             std::uint64_t lanes) {
  for_lanes(lanes, [&](unsigned l) {
    auto* const at = reinterpret_cast<void*>(host[l]);
    const T old = read_unaligned<T>(at);
    write_unaligned(at, combine<kOp>(old, source.data_at(l), source.extra_at(l)));
    if (to != nullptr) {
      write_lane<T>(to, l, old);
    }
  });
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
