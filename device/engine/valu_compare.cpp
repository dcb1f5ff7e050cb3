// SPDX-License-Identifier: MIT
// VOPC: compares write a mask with zeros for inactive lanes to sdst; v_cmpx also to EXEC. Facts: CDNA 2 ISA
// chapter 12.10.
#include "device/engine/f16.h"
#include "device/engine/valu.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

using isa::Op;

// Sources of f() as the comparison sees them.
struct AsI32 : Integer {
  using Type = I32;
  KFDLAB_INLINE static I32 convert(U32 v) { return (I32)v; }
};
struct AsU32 : Integer {
  using Type = U32;
  KFDLAB_INLINE static U32 convert(U32 v) { return v; }
};
struct AsI16 : Integer {
  using Type = I32;
  KFDLAB_INLINE static I32 convert(U32 v) { return (I32)(v << 16) >> 16; }
};
struct AsU16 : Integer {
  using Type = U32;
  KFDLAB_INLINE static U32 convert(U32 v) { return v & 0xffffu; }
};
struct AsF32 : Float32 {
  using Type = F32;
  KFDLAB_INLINE static F32 convert(U32 v) { return (F32)v; }
};
struct AsF16 : Float16 {
  using Type = F32;
  KFDLAB_INLINE static F32 convert(U32 v) { return half_to_float(v); }
};

template <typename As, int kPredicate>
struct Compare : As {
  KFDLAB_INLINE static unsigned f(U32 a, U32 b) { return compare<kPredicate>(As::convert(a), As::convert(b)); }
};
template <typename As, bool kValue>
struct Always : As {
  KFDLAB_INLINE static unsigned f(U32, U32) { return kValue ? kFull : 0; }
};

// Bits of v_cmp_class, in AMD's order.
constexpr std::uint32_t kSignalingNan = 1;
constexpr std::uint32_t kQuietNan = 2;
constexpr std::uint32_t kNegativeInfinity = 4;  // then normal 8, denormal 16, zero 32
constexpr std::uint32_t kPositiveZero = 64;     // then denormal 128, normal 256, infinity 512

// kExponent, kMantissa: masks of the format; kTop: its width.
template <typename V, typename S, std::uint64_t kExponent, std::uint64_t kMantissa, unsigned kTop>
KFDLAB_INLINE V class_of(V v) {
  const auto lanes = [](auto condition) { return (V)(S)condition; };
  const V exponent = v & kExponent;
  const V mantissa = v & kMantissa;
  const V negative = lanes((v >> (kTop - 1) & 1u) != 0);
  const V no_mantissa = lanes(mantissa == 0);
  const V top = lanes(exponent == kExponent);
  const V bottom = lanes(exponent == 0);
  const V quiet = lanes((mantissa & ((kMantissa >> 1) + 1)) != 0);
  const auto choose = [](V condition, V yes, V no) { return blend(condition, yes, no); };
  const V constant{};
  const V nan = choose(quiet, constant + kQuietNan, constant + kSignalingNan);
  const V infinity = choose(negative, constant + kNegativeInfinity, constant + kPositiveZero * 8);
  const V zero = choose(negative, constant + kNegativeInfinity * 8, constant + kPositiveZero);
  const V denormal = choose(negative, constant + kNegativeInfinity * 4, constant + kPositiveZero * 2);
  const V normal = choose(negative, constant + kNegativeInfinity * 2, constant + kPositiveZero * 4);
  V result = choose(top, choose(no_mantissa, infinity, nan), normal);
  return choose(bottom, choose(no_mantissa, zero, denormal), result);
}
struct ClassF32 : Float32 {
  KFDLAB_INLINE static unsigned f(U32 a, U32 b) {
    const U32 hit = class_of<U32, I32, 0x7f800000u, 0x007fffffu, 32>(a) & b;
    return compare<_MM_CMPINT_NE>(hit, U32{});
  }
};
struct ClassF16 : Float16 {
  KFDLAB_INLINE static unsigned f(U32 a, U32 b) {
    const U32 hit = class_of<U32, I32, 0x7c00u, 0x03ffu, 16>(a & 0xffffu) & b;
    return compare<_MM_CMPINT_NE>(hit, U32{});
  }
};

const MicroOp* write_mask(Wave& wave, const MicroOp& op, std::uint64_t mask) {
  std::memcpy(scalar_destination(wave, op.sdst), &mask, sizeof mask);
  if (op.aux8[0] != 0) {
    wave.set_exec(mask);
  }
  return next(op);
}

template <typename Op, Form kForm>
const MicroOp* compare_rows(Wave& wave, const MicroOp& op) {
  std::uint64_t mask = 0;
  if constexpr (kForm == Form::VV || kForm == Form::SV) {
    const std::uint32_t* first = kForm == Form::VV ? row_at(wave, op.src[0]) : nullptr;
    const U32 scalar0 = kForm == Form::SV ? splat(*scalar_source(wave, op, 0)) : U32{};
    const std::uint32_t* second = row_at(wave, op.src[1]);
#pragma GCC unroll 4
    for (unsigned c = 0; c < kChunks; ++c) {
      const U32 a = kForm == Form::VV ? load(first + c * kN) : scalar0;
      mask |= std::uint64_t{Op::f(a, load(second + c * kN))} << (c * kN);
    }
  } else {
    Source32 source[2];
    SignMasks masks[2];
    for (unsigned i = 0; i < 2; ++i) {
      source[i].init(wave, op, i);
      if constexpr (kForm == Form::Mods) {
        masks[i].init(op, i, Op::kFloat == 16 ? 0x8000u : 0x80000000u);
      }
    }
    for (unsigned c = 0; c < kChunks; ++c) {
      U32 v[2] = {source[0].chunk(c), source[1].chunk(c)};
      if constexpr (kForm == Form::Mods) {
        v[0] = masks[0].apply(v[0]);
        v[1] = masks[1].apply(v[1]);
        if (Op::kFloat == 16 && (op.aux8[kFlushAt] & 1) != 0) {
          v[0] = flush16(v[0]);
          v[1] = flush16(v[1]);
        }
      }
      mask |= std::uint64_t{Op::f(v[0], v[1])} << (c * kN);
    }
  }
  return write_mask(wave, op, mask & wave.exec());
}

bool is_cmpx(const Lowering& lowering) {
  return std::string_view(isa::name(lowering.inst().op)).starts_with("v_cmpx_");
}

template <typename Op>
bool lower_compare(Lowering& lowering) {
  return with_mxcsr(lowering, Op::kFloat, 0, [&] {
    MicroOp& op = lowering.emit(nullptr);
    const bool flush = Op::kFloat == 16;
    if (set_modifiers(lowering, op, Op::kFloat, flush ? 16 : 0)) {
      if constexpr (Op::kFloat != 0) {
        op.handler = compare_rows<Op, Form::Mods>;
      } else {
        return false;
      }
    } else {
      const Form form = form_of(op, 2);
      op.handler = form == Form::VV   ? Handler{compare_rows<Op, Form::VV>}
                   : form == Form::SV ? Handler{compare_rows<Op, Form::SV>}
                                      : Handler{compare_rows<Op, Form::Any>};
    }
    op.aux8[0] = is_cmpx(lowering) ? 1 : 0;
    return op.kind[0] != Kind::None && op.kind[1] != Kind::None;
  });
}

// ---- 64 bits: f() returns -1 and 0 for each element ----

template <int kPredicate>
struct CompareF64 : Integer {
  static constexpr unsigned kFloat = 64;
  static constexpr bool kSecondWide = true;
  KFDLAB_INLINE static I64 f(U64 a, U64 b) { return compare_lanes<kPredicate>((F64)a, (F64)b); }
};
struct ClassF64 : Integer {
  static constexpr unsigned kFloat = 64;
  static constexpr bool kSecondWide = false;
  KFDLAB_INLINE static I64 f(U64 a, U64 b) {
    return (I64)((class_of<U64, I64, 0x7ff0000000000000u, 0x000fffffffffffffu, 64>(a) & b) != 0);
  }
};
template <typename T, int kPredicate>
struct Compare64 : Integer {
  static constexpr bool kSecondWide = true;
  KFDLAB_INLINE static I64 f(U64 x, U64 y) {
    const T a = (T)x;
    const T b = (T)y;
    switch (kPredicate) {
      case _MM_CMPINT_EQ:
        return (I64)(a == b);
      case _MM_CMPINT_LT:
        return (I64)(a < b);
      case _MM_CMPINT_LE:
        return (I64)(a <= b);
      case _MM_CMPINT_NE:
        return (I64)(a != b);
      case _MM_CMPINT_NLT:
        return (I64)(a >= b);
      default:
        return (I64)(a > b);
    }
  }
};

template <typename Op, bool kMods>
const MicroOp* compare_pairs(Wave& wave, const MicroOp& op) {
  Source64<true> first;
  Source64<Op::kSecondWide> second;
  first.init(wave, op, 0);
  second.init(wave, op, 1);
  constexpr std::uint64_t kSign = 1ull << 63;
  U64 keep[2];
  U64 flip[2];
  for (unsigned i = 0; kMods && i < 2; ++i) {
    keep[i] = splat64((op.abs >> i & 1u) != 0 ? ~kSign : ~0ull);
    flip[i] = splat64((op.neg >> i & 1u) != 0 ? kSign : 0);
  }
  std::uint64_t mask = 0;
  for (unsigned c = 0; c < kChunks; ++c) {
    Pair a = first.chunk(c);
    Pair b = second.chunk(c);
    if constexpr (kMods) {
      a = {(a.a & keep[0]) ^ flip[0], (a.b & keep[0]) ^ flip[0]};
      if constexpr (Op::kSecondWide) {
        b = {(b.a & keep[1]) ^ flip[1], (b.b & keep[1]) ^ flip[1]};
      }
    }
    const Pair hit{(U64)Op::f(a.a, b.a), (U64)Op::f(a.b, b.b)};
    mask |= std::uint64_t{collect((I32)low_half(hit))} << (c * kN);
  }
  return write_mask(wave, op, mask & wave.exec());
}

template <typename Op>
bool lower_compare64(Lowering& lowering) {
  return with_mxcsr(lowering, Op::kFloat, 0, [&] {
    MicroOp& op = lowering.emit(nullptr);
    const bool mods = set_modifiers(lowering, op, Op::kFloat, 0);
    op.handler = mods ? Handler{compare_pairs<Op, true>} : Handler{compare_pairs<Op, false>};
    op.aux8[0] = is_cmpx(lowering) ? 1 : 0;
    return op.kind[0] != Kind::None && op.kind[1] != Kind::None;
  });
}

#define KFDLAB_COMPARE(name, ...)           \
  table.set(Op::v_cmp_##name, __VA_ARGS__); \
  table.set(Op::v_cmpx_##name, __VA_ARGS__)

#define KFDLAB_INTEGER_COMPARES(type, As)                                \
  KFDLAB_COMPARE(f_##type, lower_compare<Always<As, false>>);            \
  KFDLAB_COMPARE(lt_##type, lower_compare<Compare<As, _MM_CMPINT_LT>>);  \
  KFDLAB_COMPARE(eq_##type, lower_compare<Compare<As, _MM_CMPINT_EQ>>);  \
  KFDLAB_COMPARE(le_##type, lower_compare<Compare<As, _MM_CMPINT_LE>>);  \
  KFDLAB_COMPARE(gt_##type, lower_compare<Compare<As, _MM_CMPINT_NLE>>); \
  KFDLAB_COMPARE(ne_##type, lower_compare<Compare<As, _MM_CMPINT_NE>>);  \
  KFDLAB_COMPARE(ge_##type, lower_compare<Compare<As, _MM_CMPINT_NLT>>); \
  KFDLAB_COMPARE(t_##type, lower_compare<Always<As, true>>)

#define KFDLAB_INTEGER_COMPARES64(type, T)                                  \
  KFDLAB_COMPARE(f_##type, lower_compare<Always<AsU32, false>>);            \
  KFDLAB_COMPARE(lt_##type, lower_compare64<Compare64<T, _MM_CMPINT_LT>>);  \
  KFDLAB_COMPARE(eq_##type, lower_compare64<Compare64<T, _MM_CMPINT_EQ>>);  \
  KFDLAB_COMPARE(le_##type, lower_compare64<Compare64<T, _MM_CMPINT_LE>>);  \
  KFDLAB_COMPARE(gt_##type, lower_compare64<Compare64<T, _MM_CMPINT_NLE>>); \
  KFDLAB_COMPARE(ne_##type, lower_compare64<Compare64<T, _MM_CMPINT_NE>>);  \
  KFDLAB_COMPARE(ge_##type, lower_compare64<Compare64<T, _MM_CMPINT_NLT>>); \
  KFDLAB_COMPARE(t_##type, lower_compare<Always<AsU32, true>>)

// compare(predicate) is the entry of one predicate.
#define KFDLAB_FLOAT_COMPARES(type, entry)                       \
  KFDLAB_COMPARE(lt_##type, entry(_CMP_LT_OQ));                  \
  KFDLAB_COMPARE(eq_##type, entry(_CMP_EQ_OQ));                  \
  KFDLAB_COMPARE(le_##type, entry(_CMP_LE_OQ));                  \
  KFDLAB_COMPARE(gt_##type, entry(_CMP_GT_OQ));                  \
  KFDLAB_COMPARE(lg_##type, entry(_CMP_NEQ_OQ));                 \
  KFDLAB_COMPARE(ge_##type, entry(_CMP_GE_OQ));                  \
  KFDLAB_COMPARE(o_##type, entry(_CMP_ORD_Q));                   \
  KFDLAB_COMPARE(u_##type, entry(_CMP_UNORD_Q));                 \
  KFDLAB_COMPARE(nge_##type, entry(_CMP_NGE_UQ));                \
  KFDLAB_COMPARE(nlg_##type, entry(_CMP_EQ_UQ));                 \
  KFDLAB_COMPARE(ngt_##type, entry(_CMP_NGT_UQ));                \
  KFDLAB_COMPARE(nle_##type, entry(_CMP_NLE_UQ));                \
  KFDLAB_COMPARE(neq_##type, entry(_CMP_NEQ_UQ));                \
  KFDLAB_COMPARE(nlt_##type, entry(_CMP_NLT_UQ));                \
  KFDLAB_COMPARE(f_##type, lower_compare<Always<AsU32, false>>); \
  KFDLAB_COMPARE(tru_##type, lower_compare<Always<AsU32, true>>)

#define KFDLAB_ENTRY_F32(predicate) lower_compare<Compare<AsF32, predicate>>
#define KFDLAB_ENTRY_F16(predicate) lower_compare<Compare<AsF16, predicate>>
#define KFDLAB_ENTRY_F64(predicate) lower_compare64<CompareF64<predicate>>

void add_integers(LowerTable& table) {
  KFDLAB_INTEGER_COMPARES(i32, AsI32);
  KFDLAB_INTEGER_COMPARES(u32, AsU32);
  KFDLAB_INTEGER_COMPARES(i16, AsI16);
  KFDLAB_INTEGER_COMPARES(u16, AsU16);
  KFDLAB_INTEGER_COMPARES64(i64, I64);
  KFDLAB_INTEGER_COMPARES64(u64, U64);
}

void add_floats(LowerTable& table) {
  KFDLAB_FLOAT_COMPARES(f32, KFDLAB_ENTRY_F32);
  KFDLAB_FLOAT_COMPARES(f16, KFDLAB_ENTRY_F16);
  KFDLAB_FLOAT_COMPARES(f64, KFDLAB_ENTRY_F64);
  KFDLAB_COMPARE(class_f32, lower_compare<ClassF32>);
  KFDLAB_COMPARE(class_f16, lower_compare<ClassF16>);
  KFDLAB_COMPARE(class_f64, lower_compare64<ClassF64>);
}

}  // namespace

void add_valu_compare(LowerTable& table) {
  add_integers(table);
  add_floats(table);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
