// SPDX-License-Identifier: MIT
// Dot products of small elements, one lane at a time. The integer sums are exact, then wrap or, with clamp, saturate; the
// float one multiplies and adds with one rounding each step. Facts: CDNA 2 ISA chapters 12.7 and 12.11.
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

// Signs, op_sel and op_sel_hi other than the default are for packed elements and would mean something else here.
template <LowerFunction kLower>
bool lower_dot(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  const bool packed = inst.encoding == isa::Encoding::Vop3p;
  if (packed && (inst.op_sel != 0 || (inst.op_sel_hi & 3u) != 3u || inst.neg != 0 || inst.neg_hi != 0)) {
    return false;
  }
  return kLower(lowering);
}

}  // namespace

void add_valu_dot(LowerTable& table) {
  table.set(Op::v_dot2_f32_f16, lower_dot<lower_narrow<DotF16>>);
  table.set(Op::v_dot2c_f32_f16, lower_dot<lower_narrow<AccumulateF16>>);
  table.set(Op::v_dot2_i32_i16, lower_dot<lower_narrow<PlainDot<16, true>>>);
  table.set(Op::v_dot2_u32_u16, lower_dot<lower_narrow<PlainDot<16, false>>>);
  table.set(Op::v_dot4_i32_i8, lower_dot<lower_narrow<PlainDot<8, true>>>);
  table.set(Op::v_dot4_u32_u8, lower_dot<lower_narrow<PlainDot<8, false>>>);
  table.set(Op::v_dot8_i32_i4, lower_dot<lower_narrow<PlainDot<4, true>>>);
  table.set(Op::v_dot8_u32_u4, lower_dot<lower_narrow<PlainDot<4, false>>>);
  table.set(Op::v_dot2c_i32_i16, lower_dot<lower_narrow<Accumulate<16>>>);
  table.set(Op::v_dot4c_i32_i8, lower_dot<lower_narrow<Accumulate<8>>>);
  table.set(Op::v_dot8c_i32_i4, lower_dot<lower_narrow<Accumulate<4>>>);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
