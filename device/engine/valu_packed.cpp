// SPDX-License-Identifier: MIT
// VOP3P: two 16-bit elements in a lane, two f32 in a tuple, mixed precision. op_sel says which element of a source the
// low result takes, op_sel_hi the high one; neg and neg_hi flip signs for each. Facts: CDNA 2 ISA chapters 6.6
// and 12.11.
#include "device/engine/half_ops.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

using isa::Op;

// aux8 of a packed op.
constexpr unsigned kOpSelAt = 0;
constexpr unsigned kOpSelHiAt = 1;
constexpr unsigned kNegHiAt = 2;

template <typename Op>
const MicroOp* packed16(Wave& wave, const MicroOp& op) {
  constexpr unsigned kSources = kSourcesOf<Op>;
  const std::uint64_t exec = wave.exec();
  std::uint32_t* out = row_at(wave, op.dst);
  Source32 source[kSources];
  U32 flip_low[kSources];
  U32 flip_high[kSources];
  unsigned shift_low[kSources];
  unsigned shift_high[kSources];
  for (unsigned i = 0; i < kSources; ++i) {
    source[i].init(wave, op, i);
    shift_low[i] = (op.aux8[kOpSelAt] >> i & 1u) * 16u;
    shift_high[i] = (op.aux8[kOpSelHiAt] >> i & 1u) * 16u;
    flip_low[i] = splat((op.neg >> i & 1u) != 0 ? 0x8000u : 0);
    flip_high[i] = splat((op.aux8[kNegHiAt] >> i & 1u) != 0 ? 0x8000u : 0);
  }
  for (unsigned c = 0; c < kChunks; ++c) {
    U32 low[3] = {};
    U32 high[3] = {};
    for (unsigned i = 0; i < kSources; ++i) {
      const U32 v = source[i].chunk(c);
      low[i] = v >> shift_low[i];
      high[i] = v >> shift_high[i];
      if constexpr (Op::kFloat != 0) {
        low[i] ^= flip_low[i];
        high[i] ^= flip_high[i];
        if ((op.aux8[kFlushAt] & 1) != 0) {
          low[i] = flush16(low[i]);
          high[i] = flush16(high[i]);
        }
      }
    }
    U32 first = call32(&Op::f, low[0], low[1], low[2]);
    U32 second = call32(&Op::f, high[0], high[1], high[2]);
    if constexpr (Op::kFloatDst == 16) {
      if ((op.aux8[kFlushAt] | op.aux8[kClampAt]) != 0) {
        first = finish16(first, op);
        second = finish16(second, op);
      }
    }
    store_masked(out + c * kN, low16(first) | second << 16, chunk_mask(exec, c));
  }
  return next(op);
}

struct MulClampU16 : Integer {
  static U32 f(U32 a, U32 b) { return vmin(low16(a) * low16(b), U32{} + 0xffffu); }
};

void set_selects(Lowering& lowering, MicroOp& op) {
  const isa::Inst& inst = lowering.inst();
  if (inst.encoding == isa::Encoding::Vop2) {  // without selects: both halves as they are
    op.aux8[kOpSelAt] = 0;
    op.aux8[kOpSelHiAt] = 7;
    op.aux8[kNegHiAt] = op.neg;
    return;
  }
  op.aux8[kOpSelAt] = inst.op_sel;
  op.aux8[kOpSelHiAt] = inst.op_sel_hi;
  op.aux8[kNegHiAt] = inst.neg_hi;
}

// Integers without a Clamped cannot overflow: the clamp bit means nothing to them.
template <typename Op, typename Clamped = Op>
bool lower_packed(Lowering& lowering) {
  const bool clamp = lowering.inst().clamp && Op::kFloatDst == 0;
  return with_mxcsr(lowering, Op::kFloat, Op::kFloat, [&] {
    MicroOp& op = lowering.emit(clamp ? packed16<Clamped> : packed16<Op>);
    if constexpr (Op::kAccumulate) {
      op.src[kSourcesOf<Op> - 1] = op.dst;
      op.kind[kSourcesOf<Op> - 1] = Kind::Vector;
    }
    static_cast<void>(set_modifiers(lowering, op, Op::kFloat, Op::kFloatDst));
    set_selects(lowering, op);
    return vector_result(op);
  });
}
template <bool kMax>
bool lower_packed_extreme(Lowering& lowering) {
  return (lowering.key().mode & kModeIeee) != 0 ? lower_packed<HalfExtreme<kMax, true>>(lowering)
                                                : lower_packed<HalfExtreme<kMax, false>>(lowering);
}
struct HalfFmac : HalfFma {
  static constexpr bool kAccumulate = true;
};

// ---- two f32 ----

struct PkAdd : Float32 {
  KFDLAB_INLINE static F32 f(F32 a, F32 b) { return a + b; }
};
struct PkMul : Float32 {
  KFDLAB_INLINE static F32 f(F32 a, F32 b) { return a * b; }
};
struct PkFma : Float32 {
  KFDLAB_INLINE static F32 f(F32 a, F32 b, F32 c) { return fma(a, b, c); }
};

// A tuple of two dwords of which either may be asked for.
struct SourceOfTwo {
  const std::uint32_t* dword[2];
  unsigned step;
  U32 buffer[2];
  KFDLAB_INLINE void init(const Wave& wave, const MicroOp& op, unsigned i) {
    if (op.kind[i] == Kind::Vector) {
      dword[0] = row_at(wave, op.src[i]);
      dword[1] = dword[0] + kLanes;
      step = kN;
    } else {
      const std::uint32_t* value = scalar_source(wave, op, i);
      buffer[0] = splat(value[0]);
      buffer[1] = splat(value[1]);
      dword[0] = reinterpret_cast<const std::uint32_t*>(&buffer[0]);
      dword[1] = reinterpret_cast<const std::uint32_t*>(&buffer[1]);
      step = 0;
    }
  }
  [[nodiscard]] KFDLAB_INLINE U32 chunk(unsigned which, unsigned c) const { return load(dword[which] + c * step); }
};

// Chunks from `first` on with everything: signs, clamp, NaN results.
template <typename Op>
[[gnu::noinline]] const MicroOp* packed32_rest(Wave& wave, const MicroOp& op, unsigned first) {
  constexpr unsigned kSources = kSourcesOf<Op>;
  const std::uint64_t exec = wave.exec();
  std::uint32_t* out = row_at(wave, op.dst);
  SourceOfTwo source[kSources];
  U32 flip[2][kSources];
  for (unsigned i = 0; i < kSources; ++i) {
    source[i].init(wave, op, i);
    flip[0][i] = splat((op.neg >> i & 1u) != 0 ? 0x80000000u : 0);
    flip[1][i] = splat((op.aux8[kNegHiAt] >> i & 1u) != 0 ? 0x80000000u : 0);
  }
  const unsigned selects[2] = {op.aux8[kOpSelAt], op.aux8[kOpSelHiAt]};
  for (unsigned c = first; c < kChunks; ++c) {
    U32 results[2];
    for (unsigned half = 0; half < 2; ++half) {
      U32 v[3] = {};
      for (unsigned i = 0; i < kSources; ++i) {
        v[i] = source[i].chunk(selects[half] >> i & 1u, c) ^ flip[half][i];
      }
      results[half] = fix_nan<kSources>(call32(&Op::f, v[0], v[1], v[2]), v[0], v[1], v[2]);
      if (op.aux8[kClampAt] != 0) {
        results[half] = finish32(results[half], op);
      }
    }
    store_masked(out + c * kN, results[0], chunk_mask(exec, c));
    store_masked(out + kLanes + c * kN, results[1], chunk_mask(exec, c));
  }
  return next(op);
}
// No signs, no clamp; kScalars: a source may be scalar.
template <typename Op, bool kScalars>
const MicroOp* packed32(Wave& wave, const MicroOp& op) {
  constexpr unsigned kSources = kSourcesOf<Op>;
  const std::uint64_t exec = wave.exec();
  std::uint32_t* out = row_at(wave, op.dst);
  const std::uint32_t* low[kSources];
  const std::uint32_t* high[kSources];
  unsigned step[kSources];
  U32 scalars[kScalars ? 2 * kSources : 1];
#pragma GCC unroll 3
  for (unsigned i = 0; i < kSources; ++i) {
    const unsigned low_dword = op.aux8[kOpSelAt] >> i & 1u;
    const unsigned high_dword = op.aux8[kOpSelHiAt] >> i & 1u;
    if (!kScalars || op.kind[i] == Kind::Vector) {
      low[i] = row_at(wave, op.src[i]) + low_dword * kLanes;
      high[i] = row_at(wave, op.src[i]) + high_dword * kLanes;
      step[i] = kN;
    } else {
      const std::uint32_t* value = scalar_source(wave, op, i);
      scalars[2 * i] = splat(value[low_dword]);
      scalars[2 * i + 1] = splat(value[high_dword]);
      low[i] = reinterpret_cast<const std::uint32_t*>(&scalars[2 * i]);
      high[i] = reinterpret_cast<const std::uint32_t*>(&scalars[2 * i + 1]);
      step[i] = 0;
    }
  }
#pragma GCC unroll 4
  for (unsigned c = 0; c < kChunks; ++c) {
    U32 v[3] = {};
    U32 w[3] = {};
#pragma GCC unroll 3
    for (unsigned i = 0; i < kSources; ++i) {
      v[i] = load(low[i] + c * step[i]);
      w[i] = load(high[i] + c * step[i]);
    }
    const U32 first = call32(&Op::f, v[0], v[1], v[2]);
    const U32 second = call32(&Op::f, w[0], w[1], w[2]);
    if (compare<_CMP_UNORD_Q>((F32)first, (F32)second) != 0) [[unlikely]] {
      return packed32_rest<Op>(wave, op, c);
    }
    store_masked(out + c * kN, first, chunk_mask(exec, c));
    store_masked(out + kLanes + c * kN, second, chunk_mask(exec, c));
  }
  return next(op);
}
template <typename Op>
const MicroOp* packed32_mods(Wave& wave, const MicroOp& op) {
  return packed32_rest<Op>(wave, op, 0);
}
template <typename Op>
bool lower_packed32(Lowering& lowering) {
  return with_mxcsr(lowering, 32, 32, [&] {
    MicroOp& op = lowering.emit(nullptr);
    const bool mods = set_modifiers(lowering, op, 32, 32) || lowering.inst().neg_hi != 0;
    set_selects(lowering, op);
    bool vectors = true;
    for (unsigned i = 0; i < kSourcesOf<Op>; ++i) {
      vectors = vectors && op.kind[i] == Kind::Vector;
    }
    op.handler = mods      ? Handler{packed32_mods<Op>}
                 : vectors ? Handler{packed32<Op, false>}
                           : Handler{packed32<Op, true>};
    return vector_result(op);
  });
}

// The low result is of the first source, the high one of the second; op_sel picks the dword of each.
const MicroOp* packed_move(Wave& wave, const MicroOp& op) {
  const std::uint64_t exec = wave.exec();
  std::uint32_t* out = row_at(wave, op.dst);
  SourceOfTwo first;
  SourceOfTwo second;
  first.init(wave, op, 0);
  second.init(wave, op, 1);
  const unsigned low = op.aux8[kOpSelAt] & 1u;
  const unsigned high = op.aux8[kOpSelAt] >> 1 & 1u;
  for (unsigned c = 0; c < kChunks; ++c) {
    const U32 a = first.chunk(low, c);
    const U32 b = second.chunk(high, c);
    store_masked(out + c * kN, a, chunk_mask(exec, c));
    store_masked(out + kLanes + c * kN, b, chunk_mask(exec, c));
  }
  return next(op);
}
bool lower_packed_move(Lowering& lowering) {
  MicroOp& op = lowering.emit(packed_move);
  set_selects(lowering, op);
  return vector_result(op);
}

// ---- mixed precision: a source with op_sel_hi is the half that op_sel names, else f32 ----

enum class MixResult { F32, Low, High };
template <MixResult kResult>
const MicroOp* mix(Wave& wave, const MicroOp& op) {
  const std::uint64_t exec = wave.exec();
  std::uint32_t* out = row_at(wave, op.dst);
  Source32 source[3];
  for (unsigned i = 0; i < 3; ++i) {
    source[i].init(wave, op, i);
  }
  for (unsigned c = 0; c < kChunks; ++c) {
    U32 v[3];
    for (unsigned i = 0; i < 3; ++i) {
      v[i] = source[i].chunk(c);
      if ((op.aux8[kOpSelHiAt] >> i & 1u) != 0) {
        v[i] = (U32)half_to_float(v[i] >> ((op.aux8[kOpSelAt] >> i & 1u) * 16u));
      }
      if ((op.abs >> i & 1u) != 0) {
        v[i] &= 0x7fffffffu;
      }
      if ((op.neg >> i & 1u) != 0) {
        v[i] ^= 0x80000000u;
      }
    }
    U32 result = fix_nan<3>((U32)fma((F32)v[0], (F32)v[1], (F32)v[2]), v[0], v[1], v[2]);
    if (op.aux8[kClampAt] != 0) {
      result = finish32(result, op);
    }
    if constexpr (kResult != MixResult::F32) {
      const U32 half = float_to_half((F32)result);
      const U32 old = load(out + c * kN);
      result = kResult == MixResult::Low ? (old & 0xffff0000u) | half : (old & 0xffffu) | half << 16;
    }
    store_masked(out + c * kN, result, chunk_mask(exec, c));
  }
  return next(op);
}
template <MixResult kResult>
bool lower_mix(Lowering& lowering) {
  return with_mxcsr(lowering, 32, 32, [&] {
    MicroOp& op = lowering.emit(mix<kResult>);
    static_cast<void>(set_modifiers(lowering, op, 32, 32));
    set_selects(lowering, op);
    return vector_result(op);
  });
}

}  // namespace

void add_valu_packed(LowerTable& table) {
  table.set(Op::v_pk_add_f16, lower_packed<HalfAdd>);
  table.set(Op::v_pk_mul_f16, lower_packed<HalfMul>);
  table.set(Op::v_pk_fma_f16, lower_packed<HalfFma>);
  table.set(Op::v_pk_fmac_f16, lower_packed<HalfFmac>);
  table.set(Op::v_pk_max_f16, lower_packed_extreme<true>);
  table.set(Op::v_pk_min_f16, lower_packed_extreme<false>);
  table.set(Op::v_pk_add_u16, lower_packed<AddU16, AddClampU16>);
  table.set(Op::v_pk_add_i16, lower_packed<AddU16, AddClampI16>);
  table.set(Op::v_pk_sub_u16, lower_packed<SubU16, SubClampU16>);
  table.set(Op::v_pk_sub_i16, lower_packed<SubU16, SubClampI16>);
  table.set(Op::v_pk_mul_lo_u16, lower_packed<MulLoU16, MulClampU16>);
  table.set(Op::v_pk_mad_u16, lower_packed<MadU16, MadClampU16>);
  table.set(Op::v_pk_mad_i16, lower_packed<MadU16, MadClampI16>);
  table.set(Op::v_pk_lshlrev_b16, lower_packed<LshlRevB16>);
  table.set(Op::v_pk_lshrrev_b16, lower_packed<LshrRevB16>);
  table.set(Op::v_pk_ashrrev_i16, lower_packed<AshrRevI16>);
  table.set(Op::v_pk_max_u16, lower_packed<MaxU16>);
  table.set(Op::v_pk_min_u16, lower_packed<MinU16>);
  table.set(Op::v_pk_max_i16, lower_packed<MaxI16>);
  table.set(Op::v_pk_min_i16, lower_packed<MinI16>);
  table.set(Op::v_pk_add_f32, lower_packed32<PkAdd>);
  table.set(Op::v_pk_mul_f32, lower_packed32<PkMul>);
  table.set(Op::v_pk_fma_f32, lower_packed32<PkFma>);
  table.set(Op::v_pk_mov_b32, lower_packed_move);
  table.set(Op::v_fma_mix_f32, lower_mix<MixResult::F32>);
  table.set(Op::v_fma_mixlo_f16, lower_mix<MixResult::Low>);
  table.set(Op::v_fma_mixhi_f16, lower_mix<MixResult::High>);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
