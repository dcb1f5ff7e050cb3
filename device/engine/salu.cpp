// SPDX-License-Identifier: MIT
// Scalar arithmetic: SOP1, SOP2, SOPK and SOPC. Facts: CDNA 2 ISA chapter 12.1-12.4.
#include "device/engine/salu.h"

#include <bit>
#include <cstdint>
#include <limits>

#include "device/engine/lower.h"

namespace kfdlab::engine {
namespace {

using isa::Op;

template <typename T>
T read(const Wave& wave, const MicroOp& op, unsigned i) {
  T value;
  std::memcpy(&value, scalar_source(wave, op, i), sizeof value);
  return value;
}
template <typename T>
void write(Wave& wave, const MicroOp& op, T value) {
  std::memcpy(scalar_destination(wave, op.dst), &value, sizeof value);
}

// What a function may do besides returning its result.
struct Flags {
  std::uint32_t scc;
};

template <typename R, typename A, typename B, R (*kFunction)(A, B, Flags&)>
const MicroOp* binary(Wave& wave, const MicroOp& op) {
  Flags flags{wave.scc};
  const R result = kFunction(read<A>(wave, op, 0), read<B>(wave, op, 1), flags);
  write(wave, op, result);
  wave.scc = flags.scc;
  return next(op);
}
template <typename R, typename A, R (*kFunction)(A, Flags&)>
const MicroOp* unary(Wave& wave, const MicroOp& op) {
  Flags flags{wave.scc};
  const R result = kFunction(read<A>(wave, op, 0), flags);
  write(wave, op, result);
  wave.scc = flags.scc;
  return next(op);
}
// The old destination is a source (bitset, movrel, cmov).
template <typename R, typename A, R (*kFunction)(R, A, Flags&)>
const MicroOp* update(Wave& wave, const MicroOp& op) {
  Flags flags{wave.scc};
  R old;
  std::memcpy(&old, scalar_destination(wave, op.dst), sizeof old);
  write(wave, op, kFunction(old, read<A>(wave, op, 0), flags));
  wave.scc = flags.scc;
  return next(op);
}
template <typename A, typename B, bool (*kFunction)(A, B)>
const MicroOp* compare(Wave& wave, const MicroOp& op) {
  wave.scc = kFunction(read<A>(wave, op, 0), read<B>(wave, op, 1)) ? 1 : 0;
  return next(op);
}
// SOPK: register (dst) and the immediate.
template <typename A, bool (*kFunction)(A, A)>
const MicroOp* compare_k(Wave& wave, const MicroOp& op) {
  A left;
  std::memcpy(&left, scalar_destination(wave, op.dst), sizeof left);
  wave.scc = kFunction(left, static_cast<A>(op.imm)) ? 1 : 0;
  return next(op);
}
// SAVEEXEC: D = EXEC, EXEC = f(source, EXEC), SCC = result != 0. WREXEC (kWriteBack): D = EXEC = f(...).
template <std::uint64_t (*kFunction)(std::uint64_t, std::uint64_t), bool kWriteBack>
const MicroOp* save_exec(Wave& wave, const MicroOp& op) {
  const std::uint64_t exec = wave.exec();
  const std::uint64_t result = kFunction(read<std::uint64_t>(wave, op, 0), exec);
  write(wave, op, kWriteBack ? result : exec);
  wave.set_exec(result);
  wave.scc = result != 0;
  return next(op);
}

template <Handler kHandler>
bool plain(Lowering& lowering) {
  lowering.emit(kHandler);
  return true;
}

using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

template <typename T>
T with_scc(T result, Flags& flags) {
  flags.scc = result != 0;
  return result;
}

constexpr int kBits32 = 31;
constexpr int kBits64 = 63;

u32 add_u32(u32 a, u32 b, Flags& f) {
  f.scc = a + b < a;
  return a + b;
}
u32 sub_u32(u32 a, u32 b, Flags& f) {
  f.scc = b > a;
  return a - b;
}
u32 addc_u32(u32 a, u32 b, Flags& f) {
  const u64 sum = u64{a} + b + f.scc;
  f.scc = sum >> 32 != 0;
  return static_cast<u32>(sum);
}
u32 subb_u32(u32 a, u32 b, Flags& f) {
  const u64 subtrahend = u64{b} + f.scc;
  f.scc = subtrahend > a;
  return static_cast<u32>(a - subtrahend);
}
u32 add_i32(u32 a, u32 b, Flags& f) {
  const u32 sum = a + b;
  f.scc = (~(a ^ b) & (a ^ sum)) >> 31;
  return sum;
}
u32 sub_i32(u32 a, u32 b, Flags& f) {
  const u32 difference = a - b;
  f.scc = ((a ^ b) & (a ^ difference)) >> 31;
  return difference;
}
u32 absdiff_i32(i32 a, i32 b, Flags& f) {
  const u32 difference = static_cast<u32>(a) - static_cast<u32>(b);
  return with_scc(static_cast<i32>(difference) < 0 ? 0 - difference : difference, f);
}
template <typename T>
u32 minimum(T a, T b, Flags& f) {
  f.scc = a < b;
  return static_cast<u32>(a < b ? a : b);
}
template <typename T>
u32 maximum(T a, T b, Flags& f) {
  f.scc = a > b;
  return static_cast<u32>(a > b ? a : b);
}
template <typename T>
T cselect(T a, T b, Flags& f) {
  return f.scc != 0 ? a : b;
}
template <typename T>
T bit_and(T a, T b, Flags& f) {
  return with_scc<T>(a & b, f);
}
template <typename T>
T bit_or(T a, T b, Flags& f) {
  return with_scc<T>(a | b, f);
}
template <typename T>
T bit_xor(T a, T b, Flags& f) {
  return with_scc<T>(a ^ b, f);
}
template <typename T>
T bit_andn2(T a, T b, Flags& f) {
  return with_scc<T>(a & ~b, f);
}
template <typename T>
T bit_orn2(T a, T b, Flags& f) {
  return with_scc<T>(a | ~b, f);
}
template <typename T>
T bit_nand(T a, T b, Flags& f) {
  return with_scc<T>(~(a & b), f);
}
template <typename T>
T bit_nor(T a, T b, Flags& f) {
  return with_scc<T>(~(a | b), f);
}
template <typename T>
T bit_xnor(T a, T b, Flags& f) {
  return with_scc<T>(~(a ^ b), f);
}
template <typename T, int kMask>
T shift_left(T a, u32 b, Flags& f) {
  return with_scc<T>(a << (b & kMask), f);
}
template <typename T, int kMask>
T shift_right(T a, u32 b, Flags& f) {
  return with_scc<T>(a >> (b & kMask), f);
}
template <typename T, int kMask>
T bfm(u32 a, u32 b, Flags&) {
  return static_cast<T>(((T{1} << (a & kMask)) - 1) << (b & kMask));
}
u32 mul_i32(u32 a, u32 b, Flags&) { return a * b; }
u32 mul_hi_u32(u32 a, u32 b, Flags&) { return static_cast<u32>(u64{a} * b >> 32); }
u32 mul_hi_i32(i32 a, i32 b, Flags&) { return static_cast<u32>(i64{a} * b >> 32); }
template <typename T, int kMask>
T bfe(T a, u32 b, Flags& f) {
  using U = std::make_unsigned_t<T>;
  const unsigned bits = sizeof(T) * 8;
  const unsigned offset = b & kMask;
  const unsigned width = b >> 16 & 0x7fu;
  if (width == 0) {
    return with_scc<T>(0, f);
  }
  const T shifted = static_cast<T>(a >> offset);
  if (width >= bits) {
    return with_scc<T>(shifted, f);
  }
  const T result = static_cast<T>(static_cast<U>(shifted) << (bits - width)) >> (bits - width);
  return with_scc<T>(result, f);
}
template <unsigned kShift>
u32 lshl_add(u32 a, u32 b, Flags& f) {
  const u64 sum = (u64{a} << kShift) + b;
  f.scc = sum >> 32 != 0;
  return static_cast<u32>(sum);
}
u32 pack_ll(u32 a, u32 b, Flags&) { return (a & 0xffffu) | b << 16; }
u32 pack_lh(u32 a, u32 b, Flags&) { return (a & 0xffffu) | (b & 0xffff0000u); }
u32 pack_hh(u32 a, u32 b, Flags&) { return a >> 16 | (b & 0xffff0000u); }

template <typename T>
T mov(T a, Flags&) {
  return a;
}
template <typename T>
T bit_not(T a, Flags& f) {
  return with_scc<T>(~a, f);
}
template <typename T>
T wqm(T a, Flags& f) {
  T result = 0;
  for (unsigned i = 0; i < sizeof(T) * 8; i += 4) {
    if ((a >> i & 0xfu) != 0) {
      result |= T{0xf} << i;
    }
  }
  return with_scc<T>(result, f);
}
template <typename T>
T brev(T a, Flags&) {
  T result = 0;
  for (unsigned i = 0; i < sizeof(T) * 8; ++i) {
    result = static_cast<T>(result << 1 | (a >> i & 1));
  }
  return result;
}
template <typename T>
u32 bcnt0(T a, Flags& f) {
  return with_scc<u32>(static_cast<u32>(std::popcount(static_cast<T>(~a))), f);
}
template <typename T>
u32 bcnt1(T a, Flags& f) {
  return with_scc<u32>(static_cast<u32>(std::popcount(a)), f);
}
template <typename T>
u32 find_one(T a, Flags&) {
  return a == 0 ? ~0u : static_cast<u32>(std::countr_zero(a));
}
template <typename T>
u32 find_zero(T a, Flags& f) {
  return find_one<T>(static_cast<T>(~a), f);
}
template <typename T>
u32 flbit(T a, Flags&) {
  return a == 0 ? ~0u : static_cast<u32>(std::countl_zero(a));
}
// First bit from the top that differs from the sign.
template <typename T>
u32 flbit_signed(T a, Flags& f) {
  const T sign = static_cast<T>(static_cast<std::make_signed_t<T>>(a) >> (sizeof(T) * 8 - 1));
  return flbit<T>(a ^ sign, f);
}
u32 sext8(u32 a, Flags&) { return static_cast<u32>(static_cast<std::int8_t>(a)); }
u32 sext16(u32 a, Flags&) { return static_cast<u32>(static_cast<std::int16_t>(a)); }
template <typename T, int kMask>
T bitset0(T old, u32 bit, Flags&) {
  return old & ~(T{1} << (bit & kMask));
}
template <typename T, int kMask>
T bitset1(T old, u32 bit, Flags&) {
  return old | (T{1} << (bit & kMask));
}
template <typename T>
T cmov(T old, T a, Flags& f) {
  return f.scc != 0 ? a : old;
}
u32 abs_i32(u32 a, Flags& f) { return with_scc(static_cast<i32>(a) < 0 ? 0 - a : a, f); }
template <typename T>
T quadmask(T a, Flags& f) {
  T result = 0;
  for (unsigned i = 0; i < sizeof(T) * 2; ++i) {
    result |= static_cast<T>((a >> (i * 4) & 0xfu) != 0) << i;
  }
  return with_scc<T>(result, f);
}
u64 bitreplicate(u32 a, Flags&) {
  u64 result = 0;
  for (unsigned i = 0; i < 32; ++i) {
    result |= u64{a >> i & 1u} * 3 << (2 * i);
  }
  return result;
}

u64 exec_and(u64 s, u64 e) { return s & e; }
u64 exec_or(u64 s, u64 e) { return s | e; }
u64 exec_xor(u64 s, u64 e) { return s ^ e; }
u64 exec_andn2(u64 s, u64 e) { return s & ~e; }
u64 exec_orn2(u64 s, u64 e) { return s | ~e; }
u64 exec_nand(u64 s, u64 e) { return ~(s & e); }
u64 exec_nor(u64 s, u64 e) { return ~(s | e); }
u64 exec_xnor(u64 s, u64 e) { return ~(s ^ e); }
u64 exec_andn1(u64 s, u64 e) { return ~s & e; }
u64 exec_orn1(u64 s, u64 e) { return ~s | e; }

template <typename T>
bool eq(T a, T b) {
  return a == b;
}
template <typename T>
bool ne(T a, T b) {
  return a != b;
}
template <typename T>
bool gt(T a, T b) {
  return a > b;
}
template <typename T>
bool ge(T a, T b) {
  return a >= b;
}
template <typename T>
bool lt(T a, T b) {
  return a < b;
}
template <typename T>
bool le(T a, T b) {
  return a <= b;
}
template <typename T, int kMask, bool kValue>
bool bit_is(T a, u32 b) {
  return (a >> (b & kMask) & 1) == (kValue ? 1 : 0);
}

const MicroOp* movk(Wave& wave, const MicroOp& op) {
  write(wave, op, static_cast<u32>(op.imm));
  return next(op);
}
const MicroOp* cmovk(Wave& wave, const MicroOp& op) {
  if (wave.scc != 0) {
    write(wave, op, static_cast<u32>(op.imm));
  }
  return next(op);
}
const MicroOp* addk(Wave& wave, const MicroOp& op) {
  Flags flags{};
  const u32 sum = add_i32(*scalar_destination(wave, op.dst), static_cast<u32>(op.imm), flags);
  write(wave, op, sum);
  wave.scc = flags.scc;
  return next(op);
}
const MicroOp* mulk(Wave& wave, const MicroOp& op) {
  write(wave, op, *scalar_destination(wave, op.dst) * static_cast<u32>(op.imm));
  return next(op);
}

// S_MOVREL: register numbers relative to M0; out of range numbers do nothing.
template <typename T, bool kDestination>
const MicroOp* movrel(Wave& wave, const MicroOp& op) {
  const u64 bytes = u64{wave.sgpr[isa::kM0]} * 4;
  const auto slot = static_cast<u64>(kDestination ? op.dst : op.src[0]) + bytes;
  const u64 end = offsetof(Wave, sgpr) + isa::kFlatScratchLo * 4;
  if (slot + sizeof(T) <= end) {
    auto* base = reinterpret_cast<std::byte*>(&wave);
    T value;
    std::memcpy(&value, kDestination ? reinterpret_cast<const std::byte*>(scalar_source(wave, op, 0)) : base + slot,
                sizeof value);
    std::memcpy(kDestination ? base + slot : base + op.dst, &value, sizeof value);
  }
  return next(op);
}
template <typename T, bool kDestination>
bool lower_movrel(Lowering& lowering) {
  MicroOp& op = lowering.emit(movrel<T, kDestination>);
  return kDestination || op.kind[0] == Kind::Scalar;
}

// A SOPK compare has its register as source or as destination, whatever the decoder calls it.
template <Handler kHandler>
bool lower_k(Lowering& lowering) {
  MicroOp& op = lowering.emit(kHandler);
  if (op.dst_kind == Kind::None && op.kind[0] == Kind::Scalar) {
    op.dst = op.src[0];
    op.dst_kind = Kind::Scalar;
  }
  return op.dst_kind == Kind::Scalar;
}

#define KFDLAB_BINARY(name, R, A, B, ...) table.set(Op::name, plain<binary<R, A, B, __VA_ARGS__>>)
#define KFDLAB_UNARY(name, R, A, ...) table.set(Op::name, plain<unary<R, A, __VA_ARGS__>>)

void add_sop2(LowerTable& table) {
  KFDLAB_BINARY(s_add_u32, u32, u32, u32, add_u32);
  KFDLAB_BINARY(s_sub_u32, u32, u32, u32, sub_u32);
  KFDLAB_BINARY(s_add_i32, u32, u32, u32, add_i32);
  KFDLAB_BINARY(s_sub_i32, u32, u32, u32, sub_i32);
  KFDLAB_BINARY(s_addc_u32, u32, u32, u32, addc_u32);
  KFDLAB_BINARY(s_subb_u32, u32, u32, u32, subb_u32);
  KFDLAB_BINARY(s_min_i32, u32, i32, i32, minimum<i32>);
  KFDLAB_BINARY(s_min_u32, u32, u32, u32, minimum<u32>);
  KFDLAB_BINARY(s_max_i32, u32, i32, i32, maximum<i32>);
  KFDLAB_BINARY(s_max_u32, u32, u32, u32, maximum<u32>);
  KFDLAB_BINARY(s_cselect_b32, u32, u32, u32, cselect<u32>);
  KFDLAB_BINARY(s_cselect_b64, u64, u64, u64, cselect<u64>);
  KFDLAB_BINARY(s_and_b32, u32, u32, u32, bit_and<u32>);
  KFDLAB_BINARY(s_and_b64, u64, u64, u64, bit_and<u64>);
  KFDLAB_BINARY(s_or_b32, u32, u32, u32, bit_or<u32>);
  KFDLAB_BINARY(s_or_b64, u64, u64, u64, bit_or<u64>);
  KFDLAB_BINARY(s_xor_b32, u32, u32, u32, bit_xor<u32>);
  KFDLAB_BINARY(s_xor_b64, u64, u64, u64, bit_xor<u64>);
  KFDLAB_BINARY(s_andn2_b32, u32, u32, u32, bit_andn2<u32>);
  KFDLAB_BINARY(s_andn2_b64, u64, u64, u64, bit_andn2<u64>);
  KFDLAB_BINARY(s_orn2_b32, u32, u32, u32, bit_orn2<u32>);
  KFDLAB_BINARY(s_orn2_b64, u64, u64, u64, bit_orn2<u64>);
  KFDLAB_BINARY(s_nand_b32, u32, u32, u32, bit_nand<u32>);
  KFDLAB_BINARY(s_nand_b64, u64, u64, u64, bit_nand<u64>);
  KFDLAB_BINARY(s_nor_b32, u32, u32, u32, bit_nor<u32>);
  KFDLAB_BINARY(s_nor_b64, u64, u64, u64, bit_nor<u64>);
  KFDLAB_BINARY(s_xnor_b32, u32, u32, u32, bit_xnor<u32>);
  KFDLAB_BINARY(s_xnor_b64, u64, u64, u64, bit_xnor<u64>);
  KFDLAB_BINARY(s_lshl_b32, u32, u32, u32, shift_left<u32, kBits32>);
  KFDLAB_BINARY(s_lshl_b64, u64, u64, u32, shift_left<u64, kBits64>);
  KFDLAB_BINARY(s_lshr_b32, u32, u32, u32, shift_right<u32, kBits32>);
  KFDLAB_BINARY(s_lshr_b64, u64, u64, u32, shift_right<u64, kBits64>);
  KFDLAB_BINARY(s_ashr_i32, i32, i32, u32, shift_right<i32, kBits32>);
  KFDLAB_BINARY(s_ashr_i64, i64, i64, u32, shift_right<i64, kBits64>);
  KFDLAB_BINARY(s_bfm_b32, u32, u32, u32, bfm<u32, kBits32>);
  KFDLAB_BINARY(s_bfm_b64, u64, u32, u32, bfm<u64, kBits64>);
  KFDLAB_BINARY(s_mul_i32, u32, u32, u32, mul_i32);
  KFDLAB_BINARY(s_mul_hi_u32, u32, u32, u32, mul_hi_u32);
  KFDLAB_BINARY(s_mul_hi_i32, u32, i32, i32, mul_hi_i32);
  KFDLAB_BINARY(s_bfe_u32, u32, u32, u32, bfe<u32, kBits32>);
  KFDLAB_BINARY(s_bfe_i32, i32, i32, u32, bfe<i32, kBits32>);
  KFDLAB_BINARY(s_bfe_u64, u64, u64, u32, bfe<u64, kBits64>);
  KFDLAB_BINARY(s_bfe_i64, i64, i64, u32, bfe<i64, kBits64>);
  KFDLAB_BINARY(s_absdiff_i32, u32, i32, i32, absdiff_i32);
  KFDLAB_BINARY(s_lshl1_add_u32, u32, u32, u32, lshl_add<1>);
  KFDLAB_BINARY(s_lshl2_add_u32, u32, u32, u32, lshl_add<2>);
  KFDLAB_BINARY(s_lshl3_add_u32, u32, u32, u32, lshl_add<3>);
  KFDLAB_BINARY(s_lshl4_add_u32, u32, u32, u32, lshl_add<4>);
  KFDLAB_BINARY(s_pack_ll_b32_b16, u32, u32, u32, pack_ll);
  KFDLAB_BINARY(s_pack_lh_b32_b16, u32, u32, u32, pack_lh);
  KFDLAB_BINARY(s_pack_hh_b32_b16, u32, u32, u32, pack_hh);
}

void add_sop1(LowerTable& table) {
  KFDLAB_UNARY(s_mov_b32, u32, u32, mov<u32>);
  KFDLAB_UNARY(s_mov_b64, u64, u64, mov<u64>);
  KFDLAB_UNARY(s_not_b32, u32, u32, bit_not<u32>);
  KFDLAB_UNARY(s_not_b64, u64, u64, bit_not<u64>);
  KFDLAB_UNARY(s_wqm_b32, u32, u32, wqm<u32>);
  KFDLAB_UNARY(s_wqm_b64, u64, u64, wqm<u64>);
  KFDLAB_UNARY(s_brev_b32, u32, u32, brev<u32>);
  KFDLAB_UNARY(s_brev_b64, u64, u64, brev<u64>);
  KFDLAB_UNARY(s_bcnt0_i32_b32, u32, u32, bcnt0<u32>);
  KFDLAB_UNARY(s_bcnt0_i32_b64, u32, u64, bcnt0<u64>);
  KFDLAB_UNARY(s_bcnt1_i32_b32, u32, u32, bcnt1<u32>);
  KFDLAB_UNARY(s_bcnt1_i32_b64, u32, u64, bcnt1<u64>);
  KFDLAB_UNARY(s_ff0_i32_b32, u32, u32, find_zero<u32>);
  KFDLAB_UNARY(s_ff0_i32_b64, u32, u64, find_zero<u64>);
  KFDLAB_UNARY(s_ff1_i32_b32, u32, u32, find_one<u32>);
  KFDLAB_UNARY(s_ff1_i32_b64, u32, u64, find_one<u64>);
  KFDLAB_UNARY(s_flbit_i32_b32, u32, u32, flbit<u32>);
  KFDLAB_UNARY(s_flbit_i32_b64, u32, u64, flbit<u64>);
  KFDLAB_UNARY(s_flbit_i32, u32, u32, flbit_signed<u32>);
  KFDLAB_UNARY(s_flbit_i32_i64, u32, u64, flbit_signed<u64>);
  KFDLAB_UNARY(s_sext_i32_i8, u32, u32, sext8);
  KFDLAB_UNARY(s_sext_i32_i16, u32, u32, sext16);
  KFDLAB_UNARY(s_abs_i32, u32, u32, abs_i32);
  KFDLAB_UNARY(s_quadmask_b32, u32, u32, quadmask<u32>);
  KFDLAB_UNARY(s_quadmask_b64, u64, u64, quadmask<u64>);
  KFDLAB_UNARY(s_bitreplicate_b64_b32, u64, u32, bitreplicate);
  table.set(Op::s_bitset0_b32, plain<update<u32, u32, bitset0<u32, kBits32>>>);
  table.set(Op::s_bitset0_b64, plain<update<u64, u32, bitset0<u64, kBits64>>>);
  table.set(Op::s_bitset1_b32, plain<update<u32, u32, bitset1<u32, kBits32>>>);
  table.set(Op::s_bitset1_b64, plain<update<u64, u32, bitset1<u64, kBits64>>>);
  table.set(Op::s_cmov_b32, plain<update<u32, u32, cmov<u32>>>);
  table.set(Op::s_cmov_b64, plain<update<u64, u64, cmov<u64>>>);
  table.set(Op::s_movrels_b32, lower_movrel<u32, false>);
  table.set(Op::s_movrels_b64, lower_movrel<u64, false>);
  table.set(Op::s_movreld_b32, lower_movrel<u32, true>);
  table.set(Op::s_movreld_b64, lower_movrel<u64, true>);
  table.set(Op::s_and_saveexec_b64, plain<save_exec<exec_and, false>>);
  table.set(Op::s_or_saveexec_b64, plain<save_exec<exec_or, false>>);
  table.set(Op::s_xor_saveexec_b64, plain<save_exec<exec_xor, false>>);
  table.set(Op::s_andn2_saveexec_b64, plain<save_exec<exec_andn2, false>>);
  table.set(Op::s_orn2_saveexec_b64, plain<save_exec<exec_orn2, false>>);
  table.set(Op::s_nand_saveexec_b64, plain<save_exec<exec_nand, false>>);
  table.set(Op::s_nor_saveexec_b64, plain<save_exec<exec_nor, false>>);
  table.set(Op::s_xnor_saveexec_b64, plain<save_exec<exec_xnor, false>>);
  table.set(Op::s_andn1_saveexec_b64, plain<save_exec<exec_andn1, false>>);
  table.set(Op::s_orn1_saveexec_b64, plain<save_exec<exec_orn1, false>>);
  table.set(Op::s_andn1_wrexec_b64, plain<save_exec<exec_andn1, true>>);
  table.set(Op::s_andn2_wrexec_b64, plain<save_exec<exec_andn2, true>>);
}

void add_compares(LowerTable& table) {
  table.set(Op::s_cmp_eq_i32, plain<compare<i32, i32, eq<i32>>>);
  table.set(Op::s_cmp_lg_i32, plain<compare<i32, i32, ne<i32>>>);
  table.set(Op::s_cmp_gt_i32, plain<compare<i32, i32, gt<i32>>>);
  table.set(Op::s_cmp_ge_i32, plain<compare<i32, i32, ge<i32>>>);
  table.set(Op::s_cmp_lt_i32, plain<compare<i32, i32, lt<i32>>>);
  table.set(Op::s_cmp_le_i32, plain<compare<i32, i32, le<i32>>>);
  table.set(Op::s_cmp_eq_u32, plain<compare<u32, u32, eq<u32>>>);
  table.set(Op::s_cmp_lg_u32, plain<compare<u32, u32, ne<u32>>>);
  table.set(Op::s_cmp_gt_u32, plain<compare<u32, u32, gt<u32>>>);
  table.set(Op::s_cmp_ge_u32, plain<compare<u32, u32, ge<u32>>>);
  table.set(Op::s_cmp_lt_u32, plain<compare<u32, u32, lt<u32>>>);
  table.set(Op::s_cmp_le_u32, plain<compare<u32, u32, le<u32>>>);
  table.set(Op::s_cmp_eq_u64, plain<compare<u64, u64, eq<u64>>>);
  table.set(Op::s_cmp_lg_u64, plain<compare<u64, u64, ne<u64>>>);
  table.set(Op::s_bitcmp0_b32, plain<compare<u32, u32, bit_is<u32, kBits32, false>>>);
  table.set(Op::s_bitcmp1_b32, plain<compare<u32, u32, bit_is<u32, kBits32, true>>>);
  table.set(Op::s_bitcmp0_b64, plain<compare<u64, u32, bit_is<u64, kBits64, false>>>);
  table.set(Op::s_bitcmp1_b64, plain<compare<u64, u32, bit_is<u64, kBits64, true>>>);
  table.set(Op::s_cmpk_eq_i32, lower_k<compare_k<i32, eq<i32>>>);
  table.set(Op::s_cmpk_lg_i32, lower_k<compare_k<i32, ne<i32>>>);
  table.set(Op::s_cmpk_gt_i32, lower_k<compare_k<i32, gt<i32>>>);
  table.set(Op::s_cmpk_ge_i32, lower_k<compare_k<i32, ge<i32>>>);
  table.set(Op::s_cmpk_lt_i32, lower_k<compare_k<i32, lt<i32>>>);
  table.set(Op::s_cmpk_le_i32, lower_k<compare_k<i32, le<i32>>>);
}

// The unsigned forms zero-extend the immediate, which the decoder has sign-extended.
template <bool (*kFunction)(u32, u32)>
bool lower_ku(Lowering& lowering) {
  if (!lower_k<compare_k<u32, kFunction>>(lowering)) {
    return false;
  }
  lowering.last().imm &= 0xffff;
  return true;
}

void add_sopk(LowerTable& table) {
  table.set(Op::s_movk_i32, lower_k<movk>);
  table.set(Op::s_cmovk_i32, lower_k<cmovk>);
  table.set(Op::s_addk_i32, lower_k<addk>);
  table.set(Op::s_mulk_i32, lower_k<mulk>);
  table.set(Op::s_cmpk_eq_u32, lower_ku<eq<u32>>);
  table.set(Op::s_cmpk_lg_u32, lower_ku<ne<u32>>);
  table.set(Op::s_cmpk_gt_u32, lower_ku<gt<u32>>);
  table.set(Op::s_cmpk_ge_u32, lower_ku<ge<u32>>);
  table.set(Op::s_cmpk_lt_u32, lower_ku<lt<u32>>);
  table.set(Op::s_cmpk_le_u32, lower_ku<le<u32>>);
}

}  // namespace

void add_salu(LowerTable& table) {
  add_sop2(table);
  add_sop1(table);
  add_compares(table);
  add_sopk(table);
  add_salu_control(table);
}

}  // namespace kfdlab::engine
