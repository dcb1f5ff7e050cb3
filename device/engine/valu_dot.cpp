// SPDX-License-Identifier: MIT
// Dot products of small elements, one lane at a time. The integer sums are exact, then wrap or, with clamp, saturate;
// the float one multiplies and adds with one rounding each step. Facts: CDNA 2 ISA chapters 12.7 and 12.11.
#include <algorithm>
#include <cmath>
#include <limits>

#include "device/engine/half_ops.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

using isa::Op;

template <unsigned kBits, bool kSigned>
std::int64_t element(std::uint32_t v, unsigned i) {
  const std::uint32_t field = v >> (i * kBits) & ((1u << kBits) - 1);
  if (kSigned) {
    return static_cast<std::int32_t>(field << (32 - kBits)) >> (32 - kBits);
  }
  return field;
}

template <unsigned kBits, bool kSigned, bool kClamp>
struct Dot : Integer {
  static U32 f(U32 a, U32 b, U32 c) {
    U32 result;
    for (unsigned lane = 0; lane < kN; ++lane) {
      std::int64_t sum = kSigned ? std::int64_t{static_cast<std::int32_t>(c[lane])} : std::int64_t{c[lane]};
      for (unsigned i = 0; i < 32 / kBits; ++i) {
        sum += element<kBits, kSigned>(a[lane], i) * element<kBits, kSigned>(b[lane], i);
      }
      if (kClamp) {
        sum = kSigned ? std::clamp<std::int64_t>(sum, INT32_MIN, INT32_MAX)
                      : std::clamp<std::int64_t>(sum, 0, UINT32_MAX);
      }
      result[lane] = static_cast<std::uint32_t>(sum);
    }
    return result;
  }
};
template <unsigned kBits, bool kSigned>
struct PlainDot : Dot<kBits, kSigned, false> {
  using Clamped = Dot<kBits, kSigned, true>;
};
template <unsigned kBits>
struct Accumulate : Dot<kBits, true, false> {
  static constexpr bool kAccumulate = true;
};

struct DotF16 : Float32 {
  static F32 f(U32 a, U32 b, F32 c) {
    const F32 low = fma(half_to_float(a), half_to_float(b), c);
    return fma(half_to_float(a >> 16), half_to_float(b >> 16), low);
  }
};
struct AccumulateF16 : DotF16 {
  static constexpr bool kAccumulate = true;
};

// Pairs of halves with selects and signs: aux8[0] op_sel, [1] op_sel_hi, [2] neg_hi.
constexpr unsigned kOpSelAt = 0;
constexpr unsigned kOpSelHiAt = 1;
constexpr unsigned kNegHiAt = 2;
template <typename Op>
const MicroOp* dot_selected(Wave& wave, const MicroOp& op) {
  const std::uint64_t exec = wave.exec();
  std::uint32_t* out = row_at(wave, op.dst);
  Source32 source[3];
  U32 flip[2];
  unsigned low[2];
  unsigned high[2];
  for (unsigned i = 0; i < 3; ++i) {
    source[i].init(wave, op, i);
  }
  for (unsigned i = 0; i < 2; ++i) {
    low[i] = (op.aux8[kOpSelAt] >> i & 1u) * 16u;
    high[i] = (op.aux8[kOpSelHiAt] >> i & 1u) * 16u;
    const std::uint32_t signs = (op.neg >> i & 1u) * 0x8000u | (op.aux8[kNegHiAt] >> i & 1u) * 0x80000000u;
    flip[i] = splat(Op::kFloat != 0 ? signs : 0);
  }
  const U32 flip_sum = splat(Op::kFloat != 0 && (op.neg & 4u) != 0 ? 0x80000000u : 0);
  for (unsigned c = 0; c < kChunks; ++c) {
    U32 v[2];
    for (unsigned i = 0; i < 2; ++i) {
      const U32 both = source[i].chunk(c);
      v[i] = ((both >> low[i] & 0xffffu) | both >> high[i] << 16) ^ flip[i];
    }
    const U32 sum = source[2].chunk(c) ^ flip_sum;
    U32 result = call32(&Op::f, v[0], v[1], sum);
    if constexpr (Op::kFloat != 0) {
      result = fix_nan<3>(result, (U32)half_to_float(v[0]), (U32)half_to_float(v[1]), sum);
      if (op.aux8[kClampAt] != 0) {
        result = finish32(result, op);
      }
    }
    store_masked(out + c * kN, result, chunk_mask(exec, c));
  }
  return next(op);
}
template <typename Op>
Handler dot_handler(bool clamp) {
  if constexpr (HasClamped<Op>) {
    return clamp ? dot_selected<typename Op::Clamped> : dot_selected<Op>;
  } else {
    return dot_selected<Op>;
  }
}

// Selects and signs are for pairs; quads and octets of integers have none.
template <typename Op, bool kPairs>
bool lower_dot(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  const bool usual = inst.op_sel == 0 && (inst.op_sel_hi & 3u) == 3u && inst.neg == 0 && inst.neg_hi == 0;
  if (inst.encoding != isa::Encoding::Vop3p || usual) {
    return lower_narrow<Op>(lowering);
  }
  return with_mxcsr(lowering, Op::kFloat, Op::kFloatDst, [&] {
    MicroOp& op = lowering.emit(dot_handler<Op>(inst.clamp));
    static_cast<void>(set_modifiers(lowering, op, Op::kFloat, Op::kFloatDst));
    op.aux8[kOpSelAt] = kPairs ? inst.op_sel : 0;
    op.aux8[kOpSelHiAt] = kPairs ? inst.op_sel_hi : 3;
    op.aux8[kNegHiAt] = inst.neg_hi;
    return vector_result(op) && op.kind[0] != Kind::None;
  });
}

}  // namespace

void add_valu_dot(LowerTable& table) {
  table.set(Op::v_dot2_f32_f16, lower_dot<DotF16, true>);
  table.set(Op::v_dot2c_f32_f16, lower_dot<AccumulateF16, true>);
  table.set(Op::v_dot2_i32_i16, lower_dot<PlainDot<16, true>, true>);
  table.set(Op::v_dot2_u32_u16, lower_dot<PlainDot<16, false>, true>);
  table.set(Op::v_dot4_i32_i8, lower_dot<PlainDot<8, true>, false>);
  table.set(Op::v_dot4_u32_u8, lower_dot<PlainDot<8, false>, false>);
  table.set(Op::v_dot8_i32_i4, lower_dot<PlainDot<4, true>, false>);
  table.set(Op::v_dot8_u32_u4, lower_dot<PlainDot<4, false>, false>);
  table.set(Op::v_dot2c_i32_i16, lower_dot<Accumulate<16>, true>);
  table.set(Op::v_dot4c_i32_i8, lower_dot<Accumulate<8>, false>);
  table.set(Op::v_dot8c_i32_i4, lower_dot<Accumulate<4>, false>);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
