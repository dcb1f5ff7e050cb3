// SPDX-License-Identifier: MIT
// What all vector instructions share: NaN results, output modifiers, MXCSR.
#include "device/engine/valu.h"

#include "device/engine/f16.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

constexpr std::uint32_t kQuiet32 = 0x00400000;
constexpr std::uint64_t kQuiet64 = 1ull << 51;

U32 prefer_nan(U32 result, U32 source) {
  const unsigned is_nan = compare<_CMP_UNORD_Q>((F32)source, (F32)source);
  return select(is_nan, source | kQuiet32, result);
}
U64 prefer_nan(U64 result, U64 source) {
  const I64 is_nan = compare_lanes<_CMP_UNORD_Q>((F64)source, (F64)source);
  return blend(is_nan, source | kQuiet64, result);
}

const MicroOp* load_mxcsr(Wave&, const MicroOp& op) {
  _mm_setcsr(op.aux32[0]);
  return next(op);
}

// 2, 4 or a half; a power of two, so that only the exponent moves.
float factor_of(unsigned omod) { return omod == 1 ? 2.0f : omod == 2 ? 4.0f : 0.5f; }

constexpr unsigned kDenormFlushBoth = 0;
constexpr unsigned kDenormFlushOut = 1;
constexpr unsigned kDenormFlushIn = 2;

unsigned denorm_mode(std::uint32_t mode, unsigned bits) {
  return mode >> (kModeDenormShift + (bits == 32 ? 0 : 2)) & 3u;
}

}  // namespace

U32 nan_result32(U32 result, unsigned lanes, U32 a, U32 b, U32 c) {
  U32 nan = splat(0x7fc00000u);
  nan = prefer_nan(nan, c);
  nan = prefer_nan(nan, b);
  nan = prefer_nan(nan, a);
  return select(lanes, nan, result);
}

U64 nan_result64(U64 result, U64 a, U64 b, U64 c) {
  const I64 lanes = compare_lanes<_CMP_UNORD_Q>((F64)result, (F64)result);
  U64 nan = splat64(0x7ff8000000000000ull);
  nan = prefer_nan(nan, c);
  nan = prefer_nan(nan, b);
  nan = prefer_nan(nan, a);
  return blend(lanes, nan, result);
}

U32 finish32(U32 result, const MicroOp& op) {
  F32 value = (F32)result;
  if (op.omod != 0) {
    value = value * splatf(factor_of(op.omod)) + F32{};  // the sum turns -0 into +0
  }
  if (op.aux8[kClampAt] != 0) {
    const unsigned is_nan = compare<_CMP_UNORD_Q>(value, value);
    const F32 nan = op.aux8[kClampAt] == 2 ? F32{} : value;
    value = vmin(vmax(value, F32{}), splatf(1.0f));
    value = select(is_nan, nan, value);
    value = (F32)((U32)value & ~((U32)(I32)(value == F32{}) & 0x80000000u));
  }
  return (U32)value;
}

U64 finish64(U64 result, const MicroOp& op) {
  F64 value = (F64)result;
  if (op.omod != 0) {
    value = value * splatd(factor_of(op.omod)) + F64{};
  }
  if (op.aux8[kClampAt] != 0) {
    const I64 is_nan = compare_lanes<_CMP_UNORD_Q>(value, value);
    const F64 nan = op.aux8[kClampAt] == 2 ? F64{} : value;
    value = vmin(vmax(value, F64{}), splatd(1.0));
    value = blend(is_nan, nan, value);
    value = (F64)((U64)value & ~((U64)(I64)(value == F64{}) & 1ull << 63));
  }
  return (U64)value;
}

U32 finish16(U32 result, const MicroOp& op) {
  if ((op.omod | op.aux8[kClampAt]) != 0) {
    result = (U32)finish32((U32)half_to_float(result), op);
    result = float_to_half((F32)result);
  }
  return (op.aux8[kFlushAt] & 2) != 0 ? flush16(result) : result;
}

std::uint32_t mxcsr_of(std::uint32_t mode, unsigned source, unsigned result) {
  if (source == 0 && result == 0) {
    return kDefaultMxcsr;
  }
  // MODE: 0 nearest even, 1 up, 2 down, 3 to zero. MXCSR: 0 nearest even, 1 down, 2 up, 3 to zero.
  constexpr std::uint32_t kRounding[] = {0, 2, 1, 3};
  // A conversion between two formats rounds as the one that is not single says.
  const bool single = (source == 32 || source == 0) && (result == 32 || result == 0);
  const unsigned rounding = mode >> (kModeRoundShift + (single ? 0 : 2)) & 3u;
  std::uint32_t mxcsr = kDefaultMxcsr | kRounding[rounding] << 13;
  // Halves are calculated as singles, whose denormals they never are: they are flushed apart from this.
  const unsigned in = denorm_mode(mode, source);
  if (source > 16 && (in == kDenormFlushBoth || in == kDenormFlushIn)) {
    mxcsr |= 1u << 6;  // denormals are zeros
  }
  const unsigned out = denorm_mode(mode, result);
  if (result > 16 && (out == kDenormFlushBoth || out == kDenormFlushOut)) {
    mxcsr |= 1u << 15;  // flush to zero
  }
  return mxcsr;
}

bool flushes_denormals(std::uint32_t mode, unsigned bits) { return denorm_mode(mode, bits) != 3; }

void emit_mxcsr(Lowering& lowering, std::uint32_t mxcsr) { lowering.emit_bare(load_mxcsr).aux32[0] = mxcsr; }

bool set_modifiers(Lowering& lowering, MicroOp& op, unsigned float_source, unsigned float_result) {
  const isa::Inst& inst = lowering.inst();
  const std::uint32_t mode = lowering.key().mode;
  op.aux = 0;
  bool needed = float_source != 0 && (inst.neg | inst.abs) != 0;
  const unsigned denorm_in = denorm_mode(mode, float_source);
  if (float_source == 16 && (denorm_in == kDenormFlushBoth || denorm_in == kDenormFlushIn)) {
    op.aux8[kFlushAt] = 1;
    needed = true;
  }
  if (float_result == 0) {
    op.omod = 0;
    return needed;
  }
  // omod works only where denormals of results are flushed and IEEE_MODE is off.
  const unsigned denorm = denorm_mode(mode, float_result);
  const bool flushes_out = denorm == kDenormFlushBoth || denorm == kDenormFlushOut;
  if ((mode & kModeIeee) != 0 || !flushes_out) {
    op.omod = 0;
  }
  if (inst.clamp) {
    op.aux8[kClampAt] = (mode & kModeDx10Clamp) != 0 ? 2 : 1;
  }
  if (float_result == 16 && flushes_out) {
    op.aux8[kFlushAt] |= 2;
    needed = true;
  }
  return needed || op.omod != 0 || inst.clamp;
}

bool vector_result(const MicroOp& op) { return op.dst_kind == Kind::Vector; }

void add_valu(LowerTable& table) {
  add_valu_int(table);
  add_valu_carry(table);
  add_valu_f32(table);
  add_valu_f64(table);
  add_valu_f16(table);
  add_valu_compare(table);
  add_valu_convert(table);
  add_valu_cross(table);
  add_valu_packed(table);
  add_valu_divide(table);
  add_valu_transcendental(table);
  add_valu_dot(table);
  add_valu_sad(table);
  add_mfma(table);
  table.lower_extended = lower_extended;
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
