// SPDX-License-Identifier: MIT
// DS instructions that touch no memory of a lane's own: exchanges between lanes, append and consume, add-TID
// forms. Facts: CDNA 2 ISA chapters 11 and 12 (DS opcodes).
#include "device/engine/mem_tables.h"
#include "device/engine/mem_vector.h"
#include "device/engine/micro_op.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

// to[l] = from[index[l]] for the lanes; index is reduced modulo 64. Inactive lanes give 0. `to` may be `from`.
KFDLAB_INLINE void select_lanes(std::uint32_t* to, const std::uint32_t* from, const std::uint32_t* index,
                                std::uint64_t lanes) {
#ifdef __AVX512F__
  __m512i row[4];
  for (unsigned c = 0; c < 4; ++c) {
    row[c] = _mm512_maskz_mov_epi32(static_cast<__mmask16>(lanes >> (16 * c)), _mm512_load_si512(from + 16 * c));
  }
  const __m512i upper = _mm512_set1_epi32(32);
  for (unsigned c = 0; c < 4; ++c) {
    const __m512i at = _mm512_load_si512(index + 16 * c);
    const __m512i low = _mm512_permutex2var_epi32(row[0], at, row[1]);
    const __m512i high = _mm512_permutex2var_epi32(row[2], at, row[3]);
    _mm512_mask_store_epi32(to + 16 * c, static_cast<__mmask16>(lanes >> (16 * c)),
                            _mm512_mask_blend_epi32(_mm512_test_epi32_mask(at, upper), low, high));
  }
#else
  alignas(64) std::uint32_t source[kLanes];
  for (unsigned l = 0; l < kLanes; ++l) {
    source[l] = (lanes >> l & 1) != 0 ? from[l] : 0;
  }
  for_lanes(lanes, [&](unsigned l) { to[l] = source[index[l] % kLanes]; });
#endif
}

const MicroOp* bpermute(Wave& wave, const MicroOp& op) {
  alignas(64) std::uint32_t index[kLanes];
  const std::uint32_t* const addresses = row_at(wave, op.src[0]);
  const auto offset = static_cast<std::uint32_t>(op.imm);
  for (unsigned l = 0; l < kLanes; ++l) {
    index[l] = (addresses[l] + offset) >> 2;
  }
  select_lanes(row_at(wave, op.dst), row_at(wave, op.src[1]), index, wave.exec());
  return next(op);
}

const MicroOp* permute(Wave& wave, const MicroOp& op) {
  const std::uint64_t lanes = wave.exec();
  alignas(64) std::uint32_t result[kLanes] = {};
  const std::uint32_t* const addresses = row_at(wave, op.src[0]);
  const std::uint32_t* const data = row_at(wave, op.src[1]);
  const auto offset = static_cast<std::uint32_t>(op.imm);
  for_lanes(lanes, [&](unsigned l) { result[((addresses[l] + offset) >> 2) % kLanes] = data[l]; });
  load_row(row_at(wave, op.dst), result, lanes);
  return next(op);
}

// The lane that lane `l` reads in ds_swizzle_b32 with this 16-bit offset.
constexpr unsigned swizzled_lane(unsigned offset, unsigned l) {
  const unsigned half = l & 0x20;
  const unsigned i = l & 0x1f;
  if (offset >= 0xe000) {  // FFT: the bits above a mask are reversed
    const unsigned mask = offset & 0x1f;
    unsigned reversed = 0;
    unsigned ones = 0;
    for (unsigned bit = 0; bit < 5; ++bit) {
      reversed |= (i >> bit & 1) << (4 - bit);
      ones += mask >> bit & 1;
    }
    return ((reversed >> ones) | (i & mask)) | half;
  }
  if (offset >= 0xc000) {  // rotation among the lanes that differ outside a mask
    const unsigned mask = offset & 0x1f;
    const unsigned amount = offset >> 5 & 0x1f;
    const unsigned moved = (offset >> 10 & 1) != 0 ? i - amount : i + amount;
    return (((i & mask) | (moved & ~mask)) & 0x1f) | half;
  }
  if ((offset & 0x8000) != 0) {  // any order within four
    return (l & ~3u) | (offset >> (2 * (l & 3)) & 3);
  }
  return (((i & (offset & 0x1f)) | (offset >> 5 & 0x1f)) ^ (offset >> 10 & 0x1f)) | half;
}

const MicroOp* swizzle(Wave& wave, const MicroOp& op) {
  alignas(64) std::uint32_t index[kLanes];
  for (unsigned l = 0; l < kLanes; ++l) {
    index[l] = swizzled_lane(static_cast<unsigned>(op.imm) & 0xffffu, l);
  }
  select_lanes(row_at(wave, op.dst), row_at(wave, op.src[0]), index, wave.exec());
  return next(op);
}

// M0 has the base. aux8[0]: 1 adds the number of active lanes, 0 subtracts it; every lane gets the old value.
const MicroOp* count_lanes(Wave& wave, const MicroOp& op) {
  const std::uint64_t lanes = wave.exec();
  if (lanes == 0) {
    return next(op);
  }
  const std::uint32_t at = ((wave.sgpr[isa::kM0] & 0xffffu) + static_cast<std::uint32_t>(op.imm)) & ~3u;
  std::uint32_t old = 0;
  if (wave.lds_size >= 4 && at <= wave.lds_size - 4) {
    const auto count = static_cast<std::uint32_t>(__builtin_popcountll(lanes));
    old = read_unaligned<std::uint32_t>(wave.lds + at);
    write_unaligned(wave.lds + at, op.aux8[0] != 0 ? old + count : old - count);
  }
  fill_row(row_at(wave, op.dst), old, lanes);
  return next(op);
}

// Lane l at M0 + offset + 4 * l. aux8[0]: 1 writes.
const MicroOp* lane_addressed(Wave& wave, const MicroOp& op) {
  const std::uint32_t base = (wave.sgpr[isa::kM0] & 0xffffu) + static_cast<std::uint32_t>(op.imm);
  for_lanes(wave.exec(), [&](unsigned l) {
    const std::uint32_t at = base + 4 * l;
    const bool inside = wave.lds_size >= 4 && at <= wave.lds_size - 4;
    if (op.aux8[0] == 0) {
      row_at(wave, op.dst)[l] = inside ? read_unaligned<std::uint32_t>(wave.lds + at) : 0;
    } else if (inside) {
      write_unaligned(wave.lds + at, row_at(wave, op.src[1])[l]);
    }
  });
  return next(op);
}

template <Handler kHandler>
bool lower_permute(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  const bool one_source = inst.op == isa::Op::ds_swizzle_b32;
  if (!inst.dst.is_vector() || !inst.src[0].is_vector() || !(one_source || inst.src[1].is_vector())) {
    return false;
  }
  lowering.emit(kHandler);
  return true;
}

template <Handler kHandler, bool kUp>
bool lower_counted(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  const bool store = inst.op == isa::Op::ds_write_addtid_b32;
  if (inst.gds || !(store ? inst.src[1].is_vector() : inst.dst.is_vector())) {
    return false;
  }
  lowering.emit(kHandler).aux8[0] = kUp ? 1 : 0;
  return true;
}

const MicroOp* do_nothing(Wave&, const MicroOp& op) { return next(op); }

bool lower_nop(Lowering& lowering) {
  lowering.emit_bare(do_nothing);
  return true;
}

}  // namespace

void add_lds_lanes(LowerTable& table) {
  using isa::Op;
  table.set(Op::ds_bpermute_b32, lower_permute<bpermute>);
  table.set(Op::ds_permute_b32, lower_permute<permute>);
  table.set(Op::ds_swizzle_b32, lower_permute<swizzle>);
  table.set(Op::ds_append, lower_counted<count_lanes, true>);
  table.set(Op::ds_consume, lower_counted<count_lanes, false>);
  table.set(Op::ds_write_addtid_b32, lower_counted<lane_addressed, true>);
  table.set(Op::ds_read_addtid_b32, lower_counted<lane_addressed, false>);
  table.set(Op::ds_nop, lower_nop);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
