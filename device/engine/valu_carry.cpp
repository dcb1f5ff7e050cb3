// SPDX-License-Identifier: MIT
// Vector instructions with lane masks as sources or results: carries, selects, 32 x 32 + 64 bit multiply-add.
#include "device/engine/valu.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

using isa::Op;

// f(a, b, carry in, carry out): masks of the chunk.
struct AddCo : Integer {
  static constexpr bool kIn = false;
  static constexpr bool kOut = true;
  KFDLAB_INLINE static U32 f(U32 a, U32 b, unsigned, unsigned& out) {
    const U32 sum = a + b;
    out = compare<_MM_CMPINT_LT>(sum, a);
    return sum;
  }
};
struct SubCo : Integer {
  static constexpr bool kIn = false;
  static constexpr bool kOut = true;
  KFDLAB_INLINE static U32 f(U32 a, U32 b, unsigned, unsigned& out) {
    out = compare<_MM_CMPINT_LT>(a, b);
    return a - b;
  }
};
struct SubrevCo : SubCo {
  KFDLAB_INLINE static U32 f(U32 a, U32 b, unsigned in, unsigned& out) { return SubCo::f(b, a, in, out); }
};
struct AddcCo : Integer {
  static constexpr bool kIn = true;
  static constexpr bool kOut = true;
  KFDLAB_INLINE static U32 f(U32 a, U32 b, unsigned in, unsigned& out) {
    const U32 sum = a + b;
    const U32 all = sum - (U32)expand(in);
    out = compare<_MM_CMPINT_LT>(sum, a) | compare<_MM_CMPINT_LT>(all, sum);
    return all;
  }
};
struct SubbCo : Integer {
  static constexpr bool kIn = true;
  static constexpr bool kOut = true;
  KFDLAB_INLINE static U32 f(U32 a, U32 b, unsigned in, unsigned& out) {
    const U32 difference = a - b;
    const U32 all = difference + (U32)expand(in);
    out = compare<_MM_CMPINT_LT>(a, b) | compare<_MM_CMPINT_LT>(difference, all);
    return all;
  }
};
struct SubbrevCo : SubbCo {
  KFDLAB_INLINE static U32 f(U32 a, U32 b, unsigned in, unsigned& out) { return SubbCo::f(b, a, in, out); }
};
struct CndMask : Bits32 {
  static constexpr bool kIn = true;
  static constexpr bool kOut = false;
  KFDLAB_INLINE static U32 f(U32 a, U32 b, unsigned in, unsigned&) { return select(in, b, a); }
};

// The clamp bit: all ones for a sum with a carry, zero for a difference with a borrow.
template <typename Op, bool kAdds>
struct Saturating : Op {
  KFDLAB_INLINE static U32 f(U32 a, U32 b, unsigned in, unsigned& out) {
    const U32 result = Op::f(a, b, in, out);
    return kAdds ? result | (U32)expand(out) : result & ~(U32)expand(out);
  }
};

template <typename Op, Form kForm>
const MicroOp* masked(Wave& wave, const MicroOp& op) {
  const std::uint64_t exec = wave.exec();
  std::uint64_t in = 0;
  if constexpr (Op::kIn) {
    std::memcpy(&in, scalar_source(wave, op, 2), sizeof in);
  }
  std::uint64_t out = 0;
  std::uint32_t* rows = row_at(wave, op.dst);
  if constexpr (kForm == Form::VV || kForm == Form::SV) {
    const std::uint32_t* first = kForm == Form::VV ? row_at(wave, op.src[0]) : nullptr;
    const U32 scalar0 = kForm == Form::SV ? splat(*scalar_source(wave, op, 0)) : U32{};
    const std::uint32_t* second = row_at(wave, op.src[1]);
#pragma GCC unroll 4
    for (unsigned c = 0; c < kChunks; ++c) {
      unsigned carry = 0;
      const U32 a = kForm == Form::VV ? load(first + c * kN) : scalar0;
      const U32 result = Op::f(a, load(second + c * kN), chunk_mask(in, c), carry);
      out |= std::uint64_t{carry} << (c * kN);
      store_masked(rows + c * kN, result, chunk_mask(exec, c));
    }
  } else {
    Source32 source[2];
    SignMasks masks[2];
    for (unsigned i = 0; i < 2; ++i) {
      source[i].init(wave, op, i);
      if constexpr (kForm == Form::Mods) {
        masks[i].init(op, i, 0x80000000u);
      }
    }
    for (unsigned c = 0; c < kChunks; ++c) {
      unsigned carry = 0;
      U32 v[2];
      for (unsigned i = 0; i < 2; ++i) {
        v[i] = source[i].chunk(c);
        if constexpr (kForm == Form::Mods) {
          v[i] = masks[i].apply(v[i]);
        }
      }
      const U32 result = Op::f(v[0], v[1], chunk_mask(in, c), carry);
      out |= std::uint64_t{carry} << (c * kN);
      store_masked(rows + c * kN, result, chunk_mask(exec, c));
    }
  }
  if constexpr (Op::kOut) {
    out &= exec;
    std::memcpy(scalar_destination(wave, op.sdst), &out, sizeof out);
  }
  return next(op);
}

template <typename Op, bool kAdds = false>
bool lower_masked(Lowering& lowering) {
  if (lowering.inst().clamp && !Op::kOut) {
    return false;
  }
  MicroOp& op = lowering.emit(nullptr);
  if (set_modifiers(lowering, op, Op::kFloat, 0)) {
    op.handler = masked<Op, Form::Mods>;
  } else if (lowering.inst().clamp) {
    op.handler = masked<Saturating<Op, kAdds>, Form::Any>;
  } else {
    const Form form = form_of(op, 2);
    op.handler = form == Form::VV   ? Handler{masked<Op, Form::VV>}
                 : form == Form::SV ? Handler{masked<Op, Form::SV>}
                                    : Handler{masked<Op, Form::Any>};
  }
  return vector_result(op) && op.kind[0] != Kind::None && op.kind[1] != Kind::None &&
         (!Op::kIn || op.kind[2] == Kind::Scalar || op.kind[2] == Kind::Constant);
}

// D = S0 * S1 + S2 (64 bits); the carry is bit 64 of the sum. With kClamp the sum saturates.
template <bool kSigned, bool kClamp>
const MicroOp* mad_wide(Wave& wave, const MicroOp& op) {
  const std::uint64_t exec = wave.exec();
  Source64<false> a;
  Source64<false> b;
  Source64<true> addend;
  a.init(wave, op, 0);
  b.init(wave, op, 1);
  addend.init(wave, op, 2);
  std::uint32_t* out = row_at(wave, op.dst);
  std::uint64_t carries = 0;
  const auto half = [](U64 x, U64 y, U64 z, U64& carry) {
    const U64 product = kSigned ? (U64)multiply_wide_signed((I64)x, (I64)y) : multiply_wide(x, y);
    const U64 sum = product + z;
    carry = (U64)(I64)(sum < z);
    if (kSigned) {
      carry ^= (U64)(I64)((product ^ z) >> 63 != 0);
    }
    if (kClamp && kSigned) {
      const U64 overflow = (U64)(I64)((~(product ^ z) & (product ^ sum)) >> 63 != 0);
      return blend(overflow, (U64)(I64)(product >> 63 != 0) ^ 0x7fffffffffffffffull, sum);
    }
    return kClamp ? sum | carry : sum;
  };
  for (unsigned c = 0; c < kChunks; ++c) {
    const Pair x = a.chunk(c);
    const Pair y = b.chunk(c);
    const Pair z = addend.chunk(c);
    Pair sum;
    Pair carry;
    sum.a = half(x.a, y.a, z.a, carry.a);
    sum.b = half(x.b, y.b, z.b, carry.b);
    carries |= std::uint64_t{collect((I32)low_half(carry))} << (c * kN);
    store_pair(out + c * kN, sum, chunk_mask(exec, c), true);
  }
  carries &= exec;
  std::memcpy(scalar_destination(wave, op.sdst), &carries, sizeof carries);
  return next(op);
}
template <bool kSigned>
bool lower_mad_wide(Lowering& lowering) {
  const bool clamp = lowering.inst().clamp;
  const MicroOp& op = lowering.emit(clamp ? mad_wide<kSigned, true> : mad_wide<kSigned, false>);
  return vector_result(op) && op.kind[2] != Kind::None;
}

}  // namespace

void add_valu_carry(LowerTable& table) {
  table.set(Op::v_cndmask_b32, lower_masked<CndMask>);
  table.set(Op::v_add_co_u32, lower_masked<AddCo, true>);
  table.set(Op::v_sub_co_u32, lower_masked<SubCo>);
  table.set(Op::v_subrev_co_u32, lower_masked<SubrevCo>);
  table.set(Op::v_addc_co_u32, lower_masked<AddcCo, true>);
  table.set(Op::v_subb_co_u32, lower_masked<SubbCo>);
  table.set(Op::v_subbrev_co_u32, lower_masked<SubbrevCo>);
  table.set(Op::v_mad_u64_u32, lower_mad_wide<false>);
  table.set(Op::v_mad_i64_i32, lower_mad_wide<true>);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
