// SPDX-License-Identifier: MIT
// Integer vector arithmetic without carries: VOP1, VOP2 and VOP3. Facts: CDNA 2 ISA chapters 12.7-12.9.
#include "device/engine/half_ops.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

using isa::Op;

KFDLAB_INLINE U32 low24(U32 v) { return v & 0xffffffu; }
KFDLAB_INLINE I32 sign24(U32 v) { return (I32)(v << 8) >> 8; }
KFDLAB_INLINE U32 lanes(I32 comparison) { return (U32)comparison; }

// Upper halves of 32 x 32 bit products.
KFDLAB_INLINE U32 high_product(U32 a, U32 b) {
  const U64 even = multiply_wide((U64)a, (U64)b) >> 32;
  const U64 odd = multiply_wide((U64)a >> 32, (U64)b >> 32) & 0xffffffff00000000ull;
  return (U32)(even | odd);
}
KFDLAB_INLINE U32 high_product_signed(U32 a, U32 b) {
  return high_product(a, b) - ((U32)((I32)a >> 31) & b) - ((U32)((I32)b >> 31) & a);
}
KFDLAB_INLINE U32 reverse_bits(U32 v) {
  v = (v >> 1 & 0x55555555u) | (v & 0x55555555u) << 1;
  v = (v >> 2 & 0x33333333u) | (v & 0x33333333u) << 2;
  v = (v >> 4 & 0x0f0f0f0fu) | (v & 0x0f0f0f0fu) << 4;
  v = (v >> 8 & 0x00ff00ffu) | (v & 0x00ff00ffu) << 8;
  return v >> 16 | v << 16;
}
KFDLAB_INLINE U32 count_bits(U32 v) {
  v = v - (v >> 1 & 0x55555555u);
  v = (v & 0x33333333u) + (v >> 2 & 0x33333333u);
  v = (v + (v >> 4)) & 0x0f0f0f0fu;
  return v * 0x01010101u >> 24;
}
// Number of zeros above the highest one; 32 for zero.
KFDLAB_INLINE U32 leading_zeros(U32 v) {
  v |= v >> 1;
  v |= v >> 2;
  v |= v >> 4;
  v |= v >> 8;
  v |= v >> 16;
  return count_bits(~v);
}

struct Mov : Bits32 {
  static U32 f(U32 a) { return a; }
};
struct Not : Integer {
  static U32 f(U32 a) { return ~a; }
};
struct BfRev : Integer {
  static U32 f(U32 a) { return reverse_bits(a); }
};
struct FfbhU32 : Integer {
  static U32 f(U32 a) { return leading_zeros(a) | lanes((I32)(a == 0)); }
};
struct FfblB32 : Integer {
  static U32 f(U32 a) { return count_bits(~a & (a - 1)) | lanes((I32)(a == 0)); }
};
struct FfbhI32 : Integer {
  static U32 f(U32 a) {
    const U32 changes = a ^ (U32)((I32)a >> 31);
    return leading_zeros(changes) | lanes((I32)(changes == 0));
  }
};
// Which of four shader engines draw a part of the screen: a fixed table of the low byte, four bits each, as the
// Vega ISA lists it. Words of eight entries, the first in the lowest bits.
constexpr std::uint32_t kScreenPartition[32] = {
    0xfff5f731, 0xfffffff7, 0xffafe62f, 0xffffffbf, 0xf5ffc4fd, 0xfffffdff, 0xafff8fb9, 0xffffefff,
    0xfdc4ffff, 0xfffefff6, 0xb98fffff, 0xffdff99f, 0x31f7ffff, 0xfbfff9ff, 0x2fe6ffff, 0x7fff6ff6,
    0xfffffffb, 0xfffafb32, 0xffffff7f, 0xff5fd91f, 0xfffffeff, 0xfaffc8fe, 0xffffdfff, 0x5fff4f76,
    0xfffdfff9, 0xfec8ffff, 0xffeff66f, 0x764fffff, 0xf7fff6ff, 0x32fbffff, 0xbfff9ff9, 0x1fd9ffff,
};
struct ScreenPartition : Integer {
  static U32 f(U32 a) {
    U32 result{};
    for (unsigned lane = 0; lane < kN; ++lane) {
      result[lane] = kScreenPartition[a[lane] >> 3 & 31u] >> (4 * (a[lane] & 7u)) & 0xfu;
    }
    return result;
  }
};
struct SatPkU8I16 : Integer {
  static U32 f(U32 a) {
    const auto clamp = [](I32 v) { return (U32)vmin(vmax(v, I32{}), I32{} + 255); };
    return clamp(sign16(a)) | clamp((I32)a >> 16) << 8;
  }
};

struct AddClampU32 : Integer {
  static U32 f(U32 a, U32 b) {
    const U32 sum = a + b;
    return sum | lanes((I32)(sum < a));
  }
};
struct AddU32 : Integer {
  using Clamped = AddClampU32;
  static U32 f(U32 a, U32 b) { return a + b; }
};
struct SubClampU32 : Integer {
  static U32 f(U32 a, U32 b) { return (a - b) & lanes((I32)(a >= b)); }
};
struct SubU32 : Integer {
  using Clamped = SubClampU32;
  static U32 f(U32 a, U32 b) { return a - b; }
};
struct SubrevClampU32 : Integer {
  static U32 f(U32 a, U32 b) { return SubClampU32::f(b, a); }
};
struct SubrevU32 : Integer {
  using Clamped = SubrevClampU32;
  static U32 f(U32 a, U32 b) { return b - a; }
};
struct AddClampI32 : Integer {
  static U32 f(U32 a, U32 b) {
    const U32 sum = a + b;
    const I32 overflow = (I32)(~(a ^ b) & (a ^ sum)) >> 31;
    return blend(overflow, (U32)((I32)a >> 31) ^ 0x7fffffffu, sum);
  }
};
struct AddI32 : Integer {
  using Clamped = AddClampI32;
  static U32 f(U32 a, U32 b) { return a + b; }
};
struct SubClampI32 : Integer {
  static U32 f(U32 a, U32 b) {
    const U32 difference = a - b;
    const I32 overflow = (I32)((a ^ b) & (a ^ difference)) >> 31;
    return blend(overflow, (U32)((I32)a >> 31) ^ 0x7fffffffu, difference);
  }
};
struct SubI32 : Integer {
  using Clamped = SubClampI32;
  static U32 f(U32 a, U32 b) { return a - b; }
};
struct MinU32 : Integer {
  static U32 f(U32 a, U32 b) { return vmin(a, b); }
};
struct MaxU32 : Integer {
  static U32 f(U32 a, U32 b) { return vmax(a, b); }
};
struct MinI32 : Integer {
  static I32 f(I32 a, I32 b) { return vmin(a, b); }
};
struct MaxI32 : Integer {
  static I32 f(I32 a, I32 b) { return vmax(a, b); }
};
struct And : Integer {
  static U32 f(U32 a, U32 b) { return a & b; }
};
struct Or : Integer {
  static U32 f(U32 a, U32 b) { return a | b; }
};
struct Xor : Integer {
  static U32 f(U32 a, U32 b) { return a ^ b; }
};
struct Xnor : Integer {
  static U32 f(U32 a, U32 b) { return ~(a ^ b); }
};
struct LshlRev : Integer {
  static U32 f(U32 a, U32 b) { return b << (a & 31u); }
};
struct LshrRev : Integer {
  static U32 f(U32 a, U32 b) { return b >> (a & 31u); }
};
struct AshrRev : Integer {
  static I32 f(U32 a, I32 b) { return b >> (I32)(a & 31u); }
};
struct MulLo : Integer {
  static U32 f(U32 a, U32 b) { return a * b; }
};
struct MulHiU : Integer {
  static U32 f(U32 a, U32 b) { return high_product(a, b); }
};
struct MulHiI : Integer {
  static U32 f(U32 a, U32 b) { return high_product_signed(a, b); }
};
struct MulU24Clamped : Integer {
  static U32 f(U32 a, U32 b) { return (low24(a) * low24(b)) | lanes((I32)(high_product(low24(a), low24(b)) != 0)); }
};
struct MulU24 : Integer {
  using Clamped = MulU24Clamped;
  static U32 f(U32 a, U32 b) { return low24(a) * low24(b); }
};
struct MulI24Clamped : Integer {
  static U32 f(U32 a, U32 b) {
    const U32 x = (U32)sign24(a);
    const U32 y = (U32)sign24(b);
    const U32 low = x * y;
    const U32 high = high_product_signed(x, y);
    return blend((I32)(high != (U32)((I32)low >> 31)), (U32)((I32)high >> 31) ^ 0x7fffffffu, low);
  }
};
struct MulI24 : Integer {
  using Clamped = MulI24Clamped;
  static I32 f(U32 a, U32 b) { return (I32)((U32)sign24(a) * (U32)sign24(b)); }
};
struct MulHiU24 : Integer {
  static U32 f(U32 a, U32 b) { return high_product(low24(a), low24(b)); }
};
struct MulHiI24 : Integer {
  static U32 f(U32 a, U32 b) { return high_product_signed((U32)sign24(a), (U32)sign24(b)); }
};
struct Bfm : Integer {
  static U32 f(U32 a, U32 b) { return (((U32{} + 1) << (a & 31u)) - 1) << (b & 31u); }
};
struct BcntAdd : Integer {
  static U32 f(U32 a, U32 b) { return count_bits(a) + b; }
};

struct BfeU32 : Integer {
  static U32 f(U32 a, U32 b, U32 c) { return a >> (b & 31u) & (((U32{} + 1) << (c & 31u)) - 1); }
};
struct BfeI32 : Integer {
  static U32 f(U32 a, U32 b, U32 c) {
    const U32 width = c & 31u;
    const U32 offset = b & 31u;
    // A field that ends behind bit 31 is what is left of it, with the sign of the source.
    const U32 shift = (U32)vmax((I32)(32u - width - offset), I32{});
    const I32 field = (I32)(a << (shift & 31u)) >> (I32)((shift + offset) & 31u);
    return (U32)field & ~lanes((I32)(width == 0));
  }
};
struct Bfi : Integer {
  static U32 f(U32 a, U32 b, U32 c) { return (a & b) | (~a & c); }
};
struct AlignBit : Integer {
  static U32 f(U32 a, U32 b, U32 c) {
    const U32 shift = c & 31u;
    return b >> shift | (a << 1) << (31u - shift);
  }
};
struct AlignByte : Integer {
  static U32 f(U32 a, U32 b, U32 c) { return AlignBit::f(a, b, (c & 3u) << 3); }
};
struct Add3 : Integer {
  static U32 f(U32 a, U32 b, U32 c) { return a + b + c; }
};
struct Or3 : Integer {
  static U32 f(U32 a, U32 b, U32 c) { return a | b | c; }
};
struct AndOr : Integer {
  static U32 f(U32 a, U32 b, U32 c) { return (a & b) | c; }
};
struct Xad : Integer {
  static U32 f(U32 a, U32 b, U32 c) { return (a ^ b) + c; }
};
struct LshlAdd : Integer {
  static U32 f(U32 a, U32 b, U32 c) { return (a << (b & 31u)) + c; }
};
struct AddLshl : Integer {
  static U32 f(U32 a, U32 b, U32 c) { return (a + b) << (c & 31u); }
};
struct LshlOr : Integer {
  static U32 f(U32 a, U32 b, U32 c) { return a << (b & 31u) | c; }
};
struct MadU24Clamped : Integer {
  static U32 f(U32 a, U32 b, U32 c) {
    const U32 product = low24(a) * low24(b);
    const U32 sum = product + c;
    return sum | lanes((I32)(sum < c)) | lanes((I32)(high_product(low24(a), low24(b)) != 0));
  }
};
struct MadU24 : Integer {
  using Clamped = MadU24Clamped;
  static U32 f(U32 a, U32 b, U32 c) { return low24(a) * low24(b) + c; }
};
struct MadI24Clamped : Integer {
  static U32 f(U32 a, U32 b, U32 c) {
    const U32 x = (U32)sign24(a);
    const U32 y = (U32)sign24(b);
    const U32 low = x * y;
    const U32 sum = low + c;
    // The 64-bit sum's upper half, which is the lower one's sign unless it overflows.
    const U32 high = high_product_signed(x, y) + (U32)((I32)c >> 31) - lanes((I32)(sum < low));
    const I32 overflow = (I32)(high != (U32)((I32)sum >> 31));
    return blend(overflow, (U32)((I32)high >> 31) ^ 0x7fffffffu, sum);
  }
};
struct MadI24 : Integer {
  using Clamped = MadI24Clamped;
  static U32 f(U32 a, U32 b, U32 c) { return (U32)sign24(a) * (U32)sign24(b) + c; }
};
template <typename T>
struct Min3 : Integer {
  static T f(T a, T b, T c) { return vmin(vmin(a, b), c); }
};
template <typename T>
struct Max3 : Integer {
  static T f(T a, T b, T c) { return vmax(vmax(a, b), c); }
};
template <typename T>
struct Med3 : Integer {
  static T f(T a, T b, T c) { return vmax(vmin(a, b), vmin(vmax(a, b), c)); }
};

// Sums of absolute differences.
KFDLAB_INLINE U32 difference(U32 a, U32 b) { return vmax(a, b) - vmin(a, b); }
KFDLAB_INLINE U32 byte_of(U32 v, unsigned i) { return v >> (8 * i) & 0xffu; }
// Sums that saturate.
template <typename Op>
struct SaturatedSum : Integer {
  static U32 f(U32 a, U32 b, U32 c) {
    const U32 sum = Op::f(a, b, c);
    return sum | lanes((I32)(sum < c));
  }
};
struct SadU8 : Integer {
  using Clamped = SaturatedSum<SadU8>;
  static U32 f(U32 a, U32 b, U32 c) {
    for (unsigned i = 0; i < 4; ++i) {
      c += difference(byte_of(a, i), byte_of(b, i));
    }
    return c;
  }
};
struct SadHiU8 : Integer {
  using Clamped = SaturatedSum<SadHiU8>;
  static U32 f(U32 a, U32 b, U32 c) { return (SadU8::f(a, b, U32{}) << 16) + c; }
};
struct SadU16 : Integer {
  using Clamped = SaturatedSum<SadU16>;
  static U32 f(U32 a, U32 b, U32 c) { return difference(low16(a), low16(b)) + difference(a >> 16, b >> 16) + c; }
};
struct SadU32 : Integer {
  using Clamped = SaturatedSum<SadU32>;
  static U32 f(U32 a, U32 b, U32 c) { return difference(a, b) + c; }
};
struct MsadU8 : Integer {
  using Clamped = SaturatedSum<MsadU8>;
  static U32 f(U32 a, U32 b, U32 c) {
    for (unsigned i = 0; i < 4; ++i) {
      const U32 reference = byte_of(b, i);
      c += difference(byte_of(a, i), reference) & ~lanes((I32)(reference == 0));
    }
    return c;
  }
};
struct LerpU8 : Integer {
  static U32 f(U32 a, U32 b, U32 c) {
    U32 result{};
    for (unsigned i = 0; i < 4; ++i) {
      result |= ((byte_of(a, i) + byte_of(b, i) + (c >> (8 * i) & 1u)) >> 1) << (8 * i);
    }
    return result;
  }
};
// Bytes 0-3 are of b, 4-7 of a, 8-11 copies of sign bits, 12 zero, above all ones.
struct Perm : Integer {
  static U32 f(U32 a, U32 b, U32 c) {
    U32 result{};
    for (unsigned i = 0; i < 4; ++i) {
      const U32 wanted = byte_of(c, i);
      const U32 shift = (wanted & 3u) << 3;
      const U32 bytes = blend((I32)((wanted & 4u) != 0), a, b) >> shift & 0xffu;
      // 8: bit 15 of b, 9: bit 31 of b, 10: bit 15 of a, 11: bit 31 of a
      const U32 from = blend((I32)((wanted & 2u) != 0), a, b);
      const U32 sign = (U32) - (I32)(from >> (((wanted & 1u) << 4) + 15u) & 1u) & 0xffu;
      U32 byte = blend((I32)(wanted < 8), bytes, sign);
      byte = blend((I32)(wanted == 12), U32{}, byte);
      byte = blend((I32)(wanted > 12), U32{} + 0xffu, byte);
      result |= byte << (8 * i);
    }
    return result;
  }
};

// 16-bit results leave the upper half zero.
struct PlainAddU16 : AddU16 {
  using Clamped = AddClampU16;
};
struct MadLegacyU16 : MadU16 {
  using Clamped = MadClampU16;
};
struct MadLegacyI16 : MadU16 {
  using Clamped = MadClampI16;
};
struct PlainSubU16 : SubU16 {
  using Clamped = SubClampU16;
};
struct SubrevClampU16 : Integer {
  static U32 f(U32 a, U32 b) { return SubClampU16::f(b, a); }
};
struct SubrevU16 : Integer {
  using Clamped = SubrevClampU16;
  static U32 f(U32 a, U32 b) { return low16(b - a); }
};

// 64-bit shifts: the amount is the first source.
struct LshlRev64 : Integer {
  static constexpr unsigned kWide = 2;
  static constexpr bool kWideDst = true;
  static U64 f(U64 a, U64 b) { return b << (a & 63u); }
};
struct LshrRev64 : Integer {
  static constexpr unsigned kWide = 2;
  static constexpr bool kWideDst = true;
  static U64 f(U64 a, U64 b) { return b >> (a & 63u); }
};
struct AshrRev64 : Integer {
  static constexpr unsigned kWide = 2;
  static constexpr bool kWideDst = true;
  static U64 f(U64 a, U64 b) {
    const U64 amount = a & 63u;
    const U64 sign = (U64)(I64)(b >> 63 != 0);
    return b >> amount | (sign << 1) << (63u - amount);
  }
};
struct Mov64 : Integer {
  static constexpr unsigned kWide = 1;
  static constexpr bool kWideDst = true;
  static U64 f(U64 a) { return a; }
};

const MicroOp* nothing(Wave&, const MicroOp& op) { return next(op); }
bool lower_nop(Lowering& lowering) {
  lowering.emit_bare(nothing);
  return true;
}

const MicroOp* swap_rows(Wave& wave, const MicroOp& op) {
  const std::uint64_t exec = wave.exec();
  std::uint32_t* left = row_at(wave, op.dst);
  std::uint32_t* right = row_at(wave, op.src[0]);
  for (unsigned c = 0; c < kChunks; ++c) {
    const U32 a = load(left + c * kN);
    const U32 b = load(right + c * kN);
    store_masked(left + c * kN, b, chunk_mask(exec, c));
    store_masked(right + c * kN, a, chunk_mask(exec, c));
  }
  return next(op);
}
bool lower_swap(Lowering& lowering) {
  const MicroOp& op = lowering.emit(swap_rows);
  return op.dst_kind == Kind::Vector && op.kind[0] == Kind::Vector;
}

void add_32(LowerTable& table) {
  table.set(Op::v_nop, lower_nop);
  table.set(Op::v_clrexcp, lower_nop);
  table.set(Op::v_mov_b32, lower_narrow<Mov>);
  table.set(Op::v_accvgpr_read_b32, lower_narrow<Mov>);
  table.set(Op::v_accvgpr_write_b32, lower_narrow<Mov>);
  table.set(Op::v_accvgpr_mov_b32, lower_narrow<Mov>);
  table.set(Op::v_swap_b32, lower_swap);
  table.set(Op::v_not_b32, lower_narrow<Not>);
  table.set(Op::v_bfrev_b32, lower_narrow<BfRev>);
  table.set(Op::v_ffbh_u32, lower_narrow<FfbhU32>);
  table.set(Op::v_ffbh_i32, lower_narrow<FfbhI32>);
  table.set(Op::v_ffbl_b32, lower_narrow<FfblB32>);
  table.set(Op::v_sat_pk_u8_i16, lower_narrow<SatPkU8I16>);
  table.set(Op::v_add_u32, lower_narrow<AddU32>);
  table.set(Op::v_sub_u32, lower_narrow<SubU32>);
  table.set(Op::v_subrev_u32, lower_narrow<SubrevU32>);
  table.set(Op::v_add_i32, lower_narrow<AddI32>);
  table.set(Op::v_sub_i32, lower_narrow<SubI32>);
  table.set(Op::v_min_u32, lower_narrow<MinU32>);
  table.set(Op::v_max_u32, lower_narrow<MaxU32>);
  table.set(Op::v_min_i32, lower_narrow<MinI32>);
  table.set(Op::v_max_i32, lower_narrow<MaxI32>);
  table.set(Op::v_and_b32, lower_narrow<And>);
  table.set(Op::v_or_b32, lower_narrow<Or>);
  table.set(Op::v_xor_b32, lower_narrow<Xor>);
  table.set(Op::v_xnor_b32, lower_narrow<Xnor>);
  table.set(Op::v_lshlrev_b32, lower_narrow<LshlRev>);
  table.set(Op::v_lshrrev_b32, lower_narrow<LshrRev>);
  table.set(Op::v_ashrrev_i32, lower_narrow<AshrRev>);
  table.set(Op::v_mul_lo_u32, lower_narrow<MulLo>);
  table.set(Op::v_mul_hi_u32, lower_narrow<MulHiU>);
  table.set(Op::v_mul_hi_i32, lower_narrow<MulHiI>);
  table.set(Op::v_mul_u32_u24, lower_narrow<MulU24>);
  table.set(Op::v_mul_i32_i24, lower_narrow<MulI24>);
  table.set(Op::v_mul_hi_u32_u24, lower_narrow<MulHiU24>);
  table.set(Op::v_mul_hi_i32_i24, lower_narrow<MulHiI24>);
  table.set(Op::v_bfm_b32, lower_narrow<Bfm>);
  table.set(Op::v_bcnt_u32_b32, lower_narrow<BcntAdd>);
}

void add_three(LowerTable& table) {
  table.set(Op::v_bfe_u32, lower_narrow<BfeU32>);
  table.set(Op::v_bfe_i32, lower_narrow<BfeI32>);
  table.set(Op::v_bfi_b32, lower_narrow<Bfi>);
  table.set(Op::v_alignbit_b32, lower_narrow<AlignBit>);
  table.set(Op::v_alignbyte_b32, lower_narrow<AlignByte>);
  table.set(Op::v_add3_u32, lower_narrow<Add3>);
  table.set(Op::v_or3_b32, lower_narrow<Or3>);
  table.set(Op::v_and_or_b32, lower_narrow<AndOr>);
  table.set(Op::v_xad_u32, lower_narrow<Xad>);
  table.set(Op::v_lshl_add_u32, lower_narrow<LshlAdd>);
  table.set(Op::v_add_lshl_u32, lower_narrow<AddLshl>);
  table.set(Op::v_lshl_or_b32, lower_narrow<LshlOr>);
  table.set(Op::v_mad_u32_u24, lower_narrow<MadU24>);
  table.set(Op::v_mad_i32_i24, lower_narrow<MadI24>);
  table.set(Op::v_min3_u32, lower_narrow<Min3<U32>>);
  table.set(Op::v_min3_i32, lower_narrow<Min3<I32>>);
  table.set(Op::v_max3_u32, lower_narrow<Max3<U32>>);
  table.set(Op::v_max3_i32, lower_narrow<Max3<I32>>);
  table.set(Op::v_med3_u32, lower_narrow<Med3<U32>>);
  table.set(Op::v_med3_i32, lower_narrow<Med3<I32>>);
  table.set(Op::v_screen_partition_4se_b32, lower_narrow<ScreenPartition>);
  table.set(Op::v_sad_u8, lower_narrow<SadU8>);
  table.set(Op::v_sad_hi_u8, lower_narrow<SadHiU8>);
  table.set(Op::v_sad_u16, lower_narrow<SadU16>);
  table.set(Op::v_sad_u32, lower_narrow<SadU32>);
  table.set(Op::v_msad_u8, lower_narrow<MsadU8>);
  table.set(Op::v_lerp_u8, lower_narrow<LerpU8>);
  table.set(Op::v_perm_b32, lower_narrow<Perm>);
}

void add_16_and_64(LowerTable& table) {
  table.set(Op::v_add_u16, lower_narrow<PlainAddU16>);
  table.set(Op::v_sub_u16, lower_narrow<PlainSubU16>);
  table.set(Op::v_subrev_u16, lower_narrow<SubrevU16>);
  table.set(Op::v_mul_lo_u16, lower_narrow<MulLoU16>);
  table.set(Op::v_lshlrev_b16, lower_narrow<LshlRevB16>);
  table.set(Op::v_lshrrev_b16, lower_narrow<LshrRevB16>);
  table.set(Op::v_ashrrev_i16, lower_narrow<AshrRevI16>);
  table.set(Op::v_max_u16, lower_narrow<MaxU16>);
  table.set(Op::v_min_u16, lower_narrow<MinU16>);
  table.set(Op::v_max_i16, lower_narrow<MaxI16>);
  table.set(Op::v_min_i16, lower_narrow<MinI16>);
  table.set(Op::v_mad_legacy_u16, lower_narrow<MadLegacyU16>);
  table.set(Op::v_mad_legacy_i16, lower_narrow<MadLegacyI16>);
  table.set(Op::v_lshlrev_b64, lower_wide<LshlRev64>);
  table.set(Op::v_lshrrev_b64, lower_wide<LshrRev64>);
  table.set(Op::v_ashrrev_i64, lower_wide<AshrRev64>);
}

}  // namespace

void add_valu_int(LowerTable& table) {
  add_32(table);
  add_three(table);
  add_16_and_64(table);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
