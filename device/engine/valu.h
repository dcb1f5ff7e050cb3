// SPDX-License-Identifier: MIT
// How vector instructions become handlers. An instruction is a struct with a function on vectors:
//
//   struct AddU32 : Integer { static U32 f(U32 a, U32 b) { return a + b; } };
//
// and lower_narrow<AddU32> makes a handler for each kind of operands it meets. Traits come from the base:
//   kFloat    width of the float format of its sources, for neg, abs, omod, clamp (0: integers have none of these)
//   kFixNan   results that are NaN get the payload AMD gives: the first NaN source made quiet, else +NaN
//   kFloatDst the result is a float of that width too (omod and clamp apply)
//
// Narrow instructions have elements of 32 bits. Wide ones calculate in 64-bit elements; kWide says which sources are
// tuples (bit i) and kWideDst whether the result is; others come zero-extended and leave by their low half.
//
// Forms: VV all sources are VGPRs; SV the first is scalar; Any tests each at run time; Mods has modifiers too.
#pragma once

#include <cstdint>
#include <type_traits>

#include "device/engine/lower.h"
#include "device/engine/micro_op.h"
#include "device/engine/simd.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {

enum class Form : std::uint8_t { VV, SV, Any, Mods };

struct Integer {
  static constexpr unsigned kFloat = 0;
  static constexpr unsigned kFloatDst = 0;
  static constexpr bool kFixNan = false;
  static constexpr bool kAccumulate = false;  // the old destination is the last source
  static constexpr bool kKeepHigh = false;    // 16-bit results leave the other half of the destination alone
  static constexpr unsigned kWide = 0;
  static constexpr bool kWideDst = false;
};
struct Float32 : Integer {
  static constexpr unsigned kFloat = 32;
  static constexpr unsigned kFloatDst = 32;
  static constexpr bool kFixNan = true;
};
// Moves and selects of floats: modifiers of sources, nothing else.
struct Bits32 : Integer {
  static constexpr unsigned kFloat = 32;
};
struct Float16 : Integer {
  static constexpr unsigned kFloat = 16;
  static constexpr unsigned kFloatDst = 16;
};

// What lowering leaves for handlers of Form::Mods in aux8.
inline constexpr unsigned kClampAt = 7;  // 1: clamp, NaN stays; 2: clamp, NaN becomes 0
inline constexpr unsigned kFlushAt = 6;  // 1: flush f16 denormals of sources, 2: of results

// Signature of Op::f.
template <typename F>
struct Signature;
template <typename R, typename... A>
struct Signature<R (*)(A...)> {
  static constexpr unsigned kSources = sizeof...(A);
};
template <typename Op>
inline constexpr unsigned kSourcesOf = Signature<decltype(&Op::f)>::kSources;

template <typename R, typename A>
KFDLAB_INLINE U32 call32(R (*f)(A), U32 a, U32, U32) {
  return (U32)f((A)a);
}
template <typename R, typename A, typename B>
KFDLAB_INLINE U32 call32(R (*f)(A, B), U32 a, U32 b, U32) {
  return (U32)f((A)a, (B)b);
}
template <typename R, typename A, typename B, typename C>
KFDLAB_INLINE U32 call32(R (*f)(A, B, C), U32 a, U32 b, U32 c) {
  return (U32)f((A)a, (B)b, (C)c);
}
template <typename R, typename A>
KFDLAB_INLINE U64 call64(R (*f)(A), U64 a, U64, U64) {
  return (U64)f((A)a);
}
template <typename R, typename A, typename B>
KFDLAB_INLINE U64 call64(R (*f)(A, B), U64 a, U64 b, U64) {
  return (U64)f((A)a, (B)b);
}
template <typename R, typename A, typename B, typename C>
KFDLAB_INLINE U64 call64(R (*f)(A, B, C), U64 a, U64 b, U64 c) {
  return (U64)f((A)a, (B)b, (C)c);
}

// AMD's choice of a NaN result; `lanes` are those whose result is NaN.
[[gnu::cold, gnu::noinline]] U32 nan_result32(U32 result, unsigned lanes, U32 a, U32 b, U32 c);
[[gnu::cold, gnu::noinline]] U64 nan_result64(U64 result, U64 a, U64 b, U64 c);

template <unsigned kSources>
KFDLAB_INLINE U32 fix_nan(U32 result, U32 a, U32 b, U32 c) {
  const unsigned lanes = compare<_CMP_UNORD_Q>((F32)result, (F32)result);
  if (lanes != 0) [[unlikely]] {
    result = nan_result32(result, lanes, a, kSources > 1 ? b : U32{}, kSources > 2 ? c : U32{});
  }
  return result;
}
template <unsigned kSources>
KFDLAB_INLINE U64 fix_nan(U64 result, U64 a, U64 b, U64 c) {
  const I64 lanes = compare_lanes<_CMP_UNORD_Q>((F64)result, (F64)result);
  if (collect((I32)lanes) != 0) [[unlikely]] {
    result = nan_result64(result, a, kSources > 1 ? b : U64{}, kSources > 2 ? c : U64{});
  }
  return result;
}

// A 32-bit source that may be anything.
struct Source32 {
  const std::uint32_t* at;
  unsigned step;
  U32 buffer;

  KFDLAB_INLINE void init(const Wave& wave, const MicroOp& op, unsigned i) {
    if (op.kind[i] == Kind::Vector) {
      at = row_at(wave, op.src[i]);
      step = kN;
    } else {
      buffer = splat(op.kind[i] == Kind::None ? 0 : *scalar_source(wave, op, i));
      at = reinterpret_cast<const std::uint32_t*>(&buffer);
      step = 0;
    }
  }
  [[nodiscard]] KFDLAB_INLINE U32 chunk(unsigned c) const { return load(at + c * step); }
};

// neg and abs as masks of bits to clear and to flip.
struct SignMasks {
  U32 keep;
  U32 flip;
  KFDLAB_INLINE void init(const MicroOp& op, unsigned i, std::uint32_t sign) {
    keep = splat((op.abs >> i & 1u) != 0 ? ~sign : ~0u);
    flip = splat((op.neg >> i & 1u) != 0 ? sign : 0);
  }
  [[nodiscard]] KFDLAB_INLINE U32 apply(U32 v) const { return (v & keep) ^ flip; }
};

// omod and clamp of an f32.
[[gnu::noinline]] U32 finish32(U32 result, const MicroOp& op);
[[gnu::noinline]] U64 finish64(U64 result, const MicroOp& op);
[[gnu::noinline]] U32 finish16(U32 result, const MicroOp& op);
// Denormals of an f16 become zeros.
KFDLAB_INLINE U32 flush16(U32 v) {
  const I32 small = (I32)((v & 0x7c00u) == 0);
  return v & ~((U32)small & 0x3ffu);
}

// Chunks from `first` on of any form, NaN results included.
template <typename Op, bool kMods>
[[gnu::noinline]] const MicroOp* narrow_rest(Wave& wave, const MicroOp& op, unsigned first) {
  constexpr unsigned kSources = kSourcesOf<Op>;
  const std::uint64_t exec = wave.exec();
  std::uint32_t* out = row_at(wave, op.dst);
  Source32 source[kSources];
  SignMasks masks[kSources];
  const std::uint32_t* at[kSources];
#pragma GCC unroll 3
  for (unsigned i = 0; i < kSources; ++i) {
    source[i].init(wave, op, i);
    at[i] = source[i].at + first * source[i].step;
    if constexpr (kMods) {
      masks[i].init(op, i, Op::kFloat == 16 ? 0x8000u : 0x80000000u);
    }
  }
  for (unsigned c = first; c < kChunks; ++c) {
    U32 v[3] = {};
#pragma GCC unroll 3
    for (unsigned i = 0; i < kSources; ++i) {
      v[i] = load(at[i]);
      at[i] += source[i].step;
      if constexpr (kMods) {
        v[i] = masks[i].apply(v[i]);
        if (Op::kFloat == 16 && (op.aux8[kFlushAt] & 1) != 0) {
          v[i] = flush16(v[i]);
        }
      }
    }
    U32 result = call32(&Op::f, v[0], v[1], v[2]);
    if constexpr (Op::kFixNan) {
      result = fix_nan<kSources>(result, v[0], v[1], v[2]);
    }
    if constexpr (kMods && Op::kFloatDst == 32) {
      if ((op.omod | op.aux8[kClampAt]) != 0) {
        result = finish32(result, op);
      }
    }
    if constexpr (kMods && Op::kFloatDst == 16) {
      result = finish16(result, op);
    }
    if constexpr (Op::kKeepHigh) {
      result |= load(out + c * kN) & 0xffff0000u;
    }
    store_masked(out + c * kN, result, chunk_mask(exec, c));
  }
  return next(op);
}

// The common forms. A chunk with a NaN result, of which there are few, is left to narrow_rest: a call in the middle of
// this loop would cost every instruction its registers.
template <typename Op, Form kForm>
const MicroOp* narrow(Wave& wave, const MicroOp& op) {
  constexpr unsigned kSources = kSourcesOf<Op>;
  if constexpr (kForm == Form::VV || kForm == Form::SV) {
    const std::uint64_t exec = wave.exec();
    std::uint32_t* out = row_at(wave, op.dst);
    const std::uint32_t* first = kForm == Form::VV ? row_at(wave, op.src[0]) : nullptr;
    const U32 scalar0 = kForm == Form::SV ? splat(*scalar_source(wave, op, 0)) : U32{};
    const std::uint32_t* second = kSources > 1 ? row_at(wave, op.src[1]) : nullptr;
    const std::uint32_t* third = kSources > 2 ? row_at(wave, op.src[2]) : nullptr;
#pragma GCC unroll 4
    for (unsigned c = 0; c < kChunks; ++c) {
      const U32 a = kForm == Form::VV ? load(first + c * kN) : scalar0;
      const U32 b = kSources > 1 ? load(second + c * kN) : U32{};
      const U32 d = kSources > 2 ? load(third + c * kN) : U32{};
      U32 result = call32(&Op::f, a, b, d);
      if constexpr (Op::kFixNan) {
        if (compare<_CMP_UNORD_Q>((F32)result, (F32)result) != 0) [[unlikely]] {
          return narrow_rest<Op, false>(wave, op, c);
        }
      }
      if constexpr (Op::kKeepHigh) {
        result |= load(out + c * kN) & 0xffff0000u;
      }
      store_masked(out + c * kN, result, chunk_mask(exec, c));
    }
    return next(op);
  } else {
    return narrow_rest<Op, kForm == Form::Mods>(wave, op, 0);
  }
}

// A source of a wide instruction.
template <bool kTuple>
struct Source64 {
  const std::uint32_t* low;
  const std::uint32_t* high;
  unsigned step;
  U32 buffer[2];

  KFDLAB_INLINE void init(const Wave& wave, const MicroOp& op, unsigned i) {
    if (op.kind[i] == Kind::Vector) {
      low = row_at(wave, op.src[i]);
      high = low + kLanes;
      step = kN;
    } else {
      const std::uint32_t* value = scalar_source(wave, op, i);
      buffer[0] = splat(value[0]);
      buffer[1] = kTuple ? splat(value[1]) : U32{};
      low = reinterpret_cast<const std::uint32_t*>(&buffer[0]);
      high = reinterpret_cast<const std::uint32_t*>(&buffer[1]);
      step = 0;
    }
  }
  [[nodiscard]] KFDLAB_INLINE Pair chunk(unsigned c) const {
    return unpack(load(low + c * step), kTuple ? load(high + c * step) : U32{});
  }
};

KFDLAB_INLINE void store_pair(std::uint32_t* out, Pair value, unsigned mask, bool both) {
  const U32 low = low_half(value);
  const U32 high = high_half(value);
  store_masked(out, low, mask);
  if (both) {
    store_masked(out + kLanes, high, mask);
  }
}

// VV and SV do not exist for wide instructions: loading pairs dominates. kFix: with NaN results; else the chunk that
// has one and all behind it are left to the version that fixes them.
template <typename Op, bool kMods, bool kFix>
KFDLAB_INLINE const MicroOp* wide_chunks(Wave& wave, const MicroOp& op, unsigned first);
template <typename Op, bool kMods>
[[gnu::noinline]] const MicroOp* wide_rest(Wave& wave, const MicroOp& op, unsigned first) {
  return wide_chunks<Op, kMods, true>(wave, op, first);
}

template <typename Op, bool kMods, bool kFix>
KFDLAB_INLINE const MicroOp* wide_chunks(Wave& wave, const MicroOp& op, unsigned first) {
  constexpr unsigned kSources = kSourcesOf<Op>;
  const std::uint64_t exec = wave.exec();
  std::uint32_t* out = row_at(wave, op.dst);
  Source64<(Op::kWide & 1) != 0> s0;
  Source64<(Op::kWide & 2) != 0> s1;
  Source64<(Op::kWide & 4) != 0> s2;
  s0.init(wave, op, 0);
  if constexpr (kSources > 1) {
    s1.init(wave, op, 1);
  }
  if constexpr (kSources > 2) {
    s2.init(wave, op, 2);
  }
  U64 keep[3];
  U64 flip[3];
  if constexpr (kMods) {
#pragma GCC unroll 3
    for (unsigned i = 0; i < kSources; ++i) {
      const std::uint64_t sign = (Op::kWide >> i & 1u) != 0 ? 1ull << 63 : 1ull << 31;
      keep[i] = splat64((op.abs >> i & 1u) != 0 ? ~sign : ~0ull);
      flip[i] = splat64((op.neg >> i & 1u) != 0 ? sign : 0);
    }
  }
  for (unsigned c = first; c < kChunks; ++c) {
    Pair a = s0.chunk(c);
    Pair b{};
    Pair d{};
    if constexpr (kSources > 1) {
      b = s1.chunk(c);
    }
    if constexpr (kSources > 2) {
      d = s2.chunk(c);
    }
    if constexpr (kMods) {
      a = {(a.a & keep[0]) ^ flip[0], (a.b & keep[0]) ^ flip[0]};
      if constexpr (kSources > 1) {
        b = {(b.a & keep[1]) ^ flip[1], (b.b & keep[1]) ^ flip[1]};
      }
      if constexpr (kSources > 2) {
        d = {(d.a & keep[2]) ^ flip[2], (d.b & keep[2]) ^ flip[2]};
      }
    }
    Pair result{call64(&Op::f, a.a, b.a, d.a), call64(&Op::f, a.b, b.b, d.b)};
    if constexpr (Op::kFixNan && kFix) {
      result.a = fix_nan<kSources>(result.a, a.a, b.a, d.a);
      result.b = fix_nan<kSources>(result.b, a.b, b.b, d.b);
    } else if constexpr (Op::kFixNan) {
      if (any_nan((F64)result.a, (F64)result.b)) [[unlikely]] {
        return wide_rest<Op, kMods>(wave, op, c);
      }
    }
    if constexpr (kMods && Op::kFloatDst == 64) {
      if ((op.omod | op.aux8[kClampAt]) != 0) {
        result = {finish64(result.a, op), finish64(result.b, op)};
      }
    }
    if constexpr (kMods && Op::kFloatDst == 32) {
      store_masked(out + c * kN, finish32(low_half(result), op), chunk_mask(exec, c));
      continue;
    }
    store_pair(out + c * kN, result, chunk_mask(exec, c), Op::kWideDst);
  }
  return next(op);
}

template <typename Op, Form kForm>
const MicroOp* wide(Wave& wave, const MicroOp& op) {
  return wide_chunks<Op, kForm == Form::Mods, false>(wave, op, 0);
}

// ---- lowering ----

// MXCSR that MODE asks for, for floats of `source` bits that become floats of `result` bits; 0: no float.
[[nodiscard]] std::uint32_t mxcsr_of(std::uint32_t mode, unsigned source, unsigned result);
// MODE flushes denormals of floats of `bits` bits, of sources or of results.
[[nodiscard]] bool flushes_denormals(std::uint32_t mode, unsigned bits);
inline constexpr std::uint32_t kDefaultMxcsr = 0x1f80;
// Micro-op that loads MXCSR.
void emit_mxcsr(Lowering& lowering, std::uint32_t mxcsr);
// omod and clamp of the instruction as MODE allows them; flush of f16. True if a Mods form is needed.
[[nodiscard]] bool set_modifiers(Lowering& lowering, MicroOp& op, unsigned float_source, unsigned float_result);
// VGPR destination and no operand kind missing.
[[nodiscard]] bool vector_result(const MicroOp& op);

inline Form form_of(const MicroOp& op, unsigned sources) {
  bool rest = true;
  for (unsigned i = 1; i < sources; ++i) {
    rest = rest && op.kind[i] == Kind::Vector;
  }
  return !rest ? Form::Any : op.kind[0] == Kind::Vector ? Form::VV : Form::SV;
}

template <typename Op>
concept HasClamped = requires {
  typename Op::Clamped;
};

// Brackets `emit` with the MXCSR the instruction needs.
template <typename Emit>
bool with_mxcsr(Lowering& lowering, unsigned source_bits, unsigned result_bits, Emit&& emit) {
  const std::uint32_t mxcsr = mxcsr_of(lowering.key().mode, source_bits, result_bits);
  if (mxcsr == kDefaultMxcsr) {
    return emit();
  }
  emit_mxcsr(lowering, mxcsr);
  const bool done = emit();
  emit_mxcsr(lowering, kDefaultMxcsr);
  return done;
}

// kIsClamped: Op itself is the saturating version.
template <typename Op, bool kIsClamped = false>
bool lower_narrow(Lowering& lowering) {
  if constexpr (Op::kFloatDst == 0 && !kIsClamped) {
    if (lowering.inst().clamp) {
      if constexpr (HasClamped<Op>) {
        return lower_narrow<typename Op::Clamped, true>(lowering);
      } else {
        return false;
      }
    }
  }
  return with_mxcsr(lowering, Op::kFloat, Op::kFloatDst, [&] {
    constexpr unsigned kSources = kSourcesOf<Op>;
    MicroOp& op = lowering.emit(nullptr);
    if constexpr (Op::kAccumulate) {
      op.src[kSources - 1] = op.dst;
      op.kind[kSources - 1] = Kind::Vector;
    }
    const bool mods = set_modifiers(lowering, op, Op::kFloat, Op::kFloatDst);
    if (mods && Op::kFloat == 0 && Op::kFloatDst == 0) {
      return false;
    }
    const Form form = mods ? Form::Mods : form_of(op, kSources);
    switch (form) {
      case Form::VV:
        op.handler = narrow<Op, Form::VV>;
        break;
      case Form::SV:
        op.handler = narrow<Op, Form::SV>;
        break;
      case Form::Any:
        op.handler = narrow<Op, Form::Any>;
        break;
      case Form::Mods:
        if constexpr (Op::kFloat != 0 || Op::kFloatDst != 0) {
          op.handler = narrow<Op, Form::Mods>;
        }
        break;
    }
    return vector_result(op) && op.kind[0] != Kind::None;
  });
}

template <typename Op>
bool lower_wide(Lowering& lowering) {
  return with_mxcsr(lowering, Op::kFloat, Op::kFloatDst, [&] {
    constexpr unsigned kSources = kSourcesOf<Op>;
    MicroOp& op = lowering.emit(nullptr);
    if constexpr (Op::kAccumulate) {
      op.src[kSources - 1] = op.dst;
      op.kind[kSources - 1] = Kind::Vector;
    }
    const bool mods = set_modifiers(lowering, op, Op::kFloat, Op::kFloatDst);
    if (mods && Op::kFloat == 0 && Op::kFloatDst == 0) {
      return false;
    }
    if constexpr (Op::kFloat != 0 || Op::kFloatDst != 0) {
      op.handler = mods ? Handler{wide<Op, Form::Mods>} : Handler{wide<Op, Form::Any>};
    } else {
      op.handler = wide<Op, Form::Any>;
    }
    bool present = vector_result(op);
    for (unsigned i = 0; i < kSources; ++i) {
      present = present && op.kind[i] != Kind::None;
    }
    return present;
  });
}

// Entries by file.
void add_valu_int(LowerTable& table);
void add_valu_carry(LowerTable& table);
void add_valu_f32(LowerTable& table);
void add_valu_f64(LowerTable& table);
void add_valu_f16(LowerTable& table);
void add_valu_compare(LowerTable& table);
void add_valu_convert(LowerTable& table);
void add_valu_cross(LowerTable& table);
void add_valu_packed(LowerTable& table);
void add_valu_divide(LowerTable& table);
void add_valu_transcendental(LowerTable& table);
void add_valu_dot(LowerTable& table);
void add_valu_sad(LowerTable& table);
void add_mfma(LowerTable& table);
// SDWA and DPP.
bool lower_extended(Lowering& lowering, isa::Inst& inst, LowerFunction entry);

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
