// SPDX-License-Identifier: MIT
// Instructions that move data between lanes or between vectors and scalars, and the prefixes SDWA and DPP, which become
// micro-ops around the ordinary instruction: sources are selected or permuted into temp rows, results merged from one.
// Facts: CDNA 2 ISA chapters 6.3 (SDWA), 6.4 (DPP), 12.
#include <bit>

#include "device/engine/valu.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

using isa::Op;

const MicroOp* read_first_lane(Wave& wave, const MicroOp& op) {
  const std::uint64_t exec = wave.exec();
  const auto lane = exec == 0 ? 0u : static_cast<unsigned>(std::countr_zero(exec));
  *scalar_destination(wave, op.dst) =
      op.kind[0] == Kind::Vector ? row_at(wave, op.src[0])[lane] : *scalar_source(wave, op, 0);
  return next(op);
}
const MicroOp* read_lane(Wave& wave, const MicroOp& op) {
  const unsigned lane = *scalar_source(wave, op, 1) % kLanes;
  *scalar_destination(wave, op.dst) =
      op.kind[0] == Kind::Vector ? row_at(wave, op.src[0])[lane] : *scalar_source(wave, op, 0);
  return next(op);
}
const MicroOp* write_lane(Wave& wave, const MicroOp& op) {
  const unsigned lane = *scalar_source(wave, op, 1) % kLanes;
  row_at(wave, op.dst)[lane] = *scalar_source(wave, op, 0);
  return next(op);
}
bool is_scalar(Kind kind) { return kind == Kind::Scalar || kind == Kind::Constant; }
bool lower_read_first_lane(Lowering& lowering) { return lowering.emit(read_first_lane).dst_kind == Kind::Scalar; }
bool lower_read_lane(Lowering& lowering) {
  const MicroOp& op = lowering.emit(read_lane);
  return op.dst_kind == Kind::Scalar && is_scalar(op.kind[1]);
}
bool lower_write_lane(Lowering& lowering) {
  const MicroOp& op = lowering.emit(write_lane);
  return vector_result(op) && is_scalar(op.kind[0]) && is_scalar(op.kind[1]);
}

struct LaneMasks {
  alignas(64) std::uint32_t low[kLanes];
  alignas(64) std::uint32_t high[kLanes];
};
constexpr LaneMasks kBelow = [] {
  LaneMasks masks{};
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const std::uint64_t below = (1ull << lane) - 1;
    masks.low[lane] = static_cast<std::uint32_t>(below);
    masks.high[lane] = static_cast<std::uint32_t>(below >> 32);
  }
  return masks;
}();

KFDLAB_INLINE U32 count_bits(U32 v) {
  v = v - (v >> 1 & 0x55555555u);
  v = (v & 0x33333333u) + (v >> 2 & 0x33333333u);
  v = (v + (v >> 4)) & 0x0f0f0f0fu;
  return v * 0x01010101u >> 24;
}
// Bits of the first source that belong to lanes below this one, added to the second.
template <bool kHigh>
const MicroOp* masked_count(Wave& wave, const MicroOp& op) {
  const std::uint64_t exec = wave.exec();
  Source32 bits;
  Source32 addend;
  bits.init(wave, op, 0);
  addend.init(wave, op, 1);
  std::uint32_t* out = row_at(wave, op.dst);
  for (unsigned c = 0; c < kChunks; ++c) {
    const U32 below = load((kHigh ? kBelow.high : kBelow.low) + c * kN);
    store_masked(out + c * kN, count_bits(bits.chunk(c) & below) + addend.chunk(c), chunk_mask(exec, c));
  }
  return next(op);
}
template <bool kHigh>
bool lower_masked_count(Lowering& lowering) {
  const MicroOp& op = lowering.emit(masked_count<kHigh>);
  return vector_result(op) && op.kind[1] != Kind::None;
}

// ---- SDWA ----

// A part of the source: shift left, then right, arithmetically if aux8[2] is set.
const MicroOp* extract(Wave& wave, const MicroOp& op) {
  Source32 source;
  source.init(wave, op, 0);
  std::uint32_t* out = row_at(wave, op.dst);
  const unsigned left = op.aux8[0];
  const unsigned right = op.aux8[1];
  for (unsigned c = 0; c < kChunks; ++c) {
    const U32 v = source.chunk(c) << left;
    store(out + c * kN, op.aux8[2] != 0 ? (U32)((I32)v >> right) : v >> right);
  }
  return next(op);
}
struct Part {
  unsigned offset;
  unsigned bits;
};
Part part_of(isa::SdwaSelect select) {
  const auto number = static_cast<unsigned>(select);
  return number < 4 ? Part{number * 8, 8} : number < 6 ? Part{(number - 4) * 16, 16} : Part{0, 32};
}

// Puts the low bits of the temp row (src[0]) where dst_sel says. aux8: offset, bits, SdwaUnused.
const MicroOp* merge(Wave& wave, const MicroOp& op) {
  const std::uint64_t exec = wave.exec();
  const std::uint32_t* result = row_at(wave, op.src[0]);
  std::uint32_t* out = row_at(wave, op.dst);
  const unsigned offset = op.aux8[0];
  const unsigned bits = op.aux8[1];
  const std::uint32_t mask = ((1u << bits) - 1) << offset;
  const auto unused = static_cast<isa::SdwaUnused>(op.aux8[2]);
  for (unsigned c = 0; c < kChunks; ++c) {
    const U32 v = load(result + c * kN);
    U32 merged = v << offset & mask;
    if (unused == isa::SdwaUnused::Preserve) {
      merged |= load(out + c * kN) & ~mask;
    } else if (unused == isa::SdwaUnused::Sext) {
      merged |= (U32)((I32)(v << (32 - bits)) >> 31) & ~(mask | (mask - 1));
    }
    store_masked(out + c * kN, merged, chunk_mask(exec, c));
  }
  return next(op);
}

constexpr unsigned kResultRow = 2;

bool lower_sdwa(Lowering& lowering, isa::Inst& inst, LowerFunction entry) {
  for (unsigned i = 0; i < 2; ++i) {
    if (inst.src[i].kind == isa::Operand::Kind::None ||
        (inst.src_select[i] == isa::SdwaSelect::Dword && (inst.sext >> i & 1u) == 0)) {
      continue;
    }
    const Part part = part_of(inst.src_select[i]);
    // Emitted as an instruction with this source alone.
    const isa::Inst whole = inst;
    inst = {};
    inst.op = whole.op;
    inst.size = whole.size;
    inst.src[0] = whole.src[i];
    MicroOp& op = lowering.emit(extract);
    op.dst = lowering.temp_row(i);
    op.aux8[0] = static_cast<std::uint8_t>(32 - part.offset - part.bits);
    op.aux8[1] = static_cast<std::uint8_t>(32 - part.bits);
    op.aux8[2] = whole.sext >> i & 1u;
    inst = whole;
    inst.src[i] = Lowering::temp_operand(i, 1);
  }
  const bool whole_result = !inst.dst.is_vector() || inst.dst_select == isa::SdwaSelect::Dword;
  const isa::Operand dst = inst.dst;
  if (!whole_result) {
    const std::string_view name = isa::name(inst.op);
    if (name.starts_with("v_mac_") || name.starts_with("v_fmac_")) {
      return false;
    }
    inst.dst = Lowering::temp_operand(kResultRow, 1);
  }
  if (!entry(lowering)) {
    return false;
  }
  if (!whole_result) {
    const Part part = part_of(inst.dst_select);
    MicroOp& op = lowering.emit_bare(merge);
    op.src[0] = lowering.temp_row(kResultRow);
    op.dst = lowering.vector_slot(dst.reg);
    op.aux8[0] = static_cast<std::uint8_t>(part.offset);
    op.aux8[1] = static_cast<std::uint8_t>(part.bits);
    op.aux8[2] = static_cast<std::uint8_t>(inst.dst_unused);
  }
  return true;
}

// ---- DPP ----

// Source lane of `lane`, or -1 when it is outside.
int dpp_source(unsigned control, int lane) {
  const int row = lane & ~15;
  const int in_row = lane & 15;
  const auto shifted = [&](int distance, int low, int high) {
    const int from = lane + distance;
    return from >= low && from < high ? from : -1;
  };
  const int amount = static_cast<int>(control & 15u);
  switch (control >> 4) {
    case 0x10:
      return shifted(amount, row, row + 16);  // row_shl
    case 0x11:
      return shifted(-amount, row, row + 16);  // row_shr
    case 0x12:
      return row + ((in_row + 16 - amount) & 15);  // row_ror
    case 0x15:
      return row + amount;  // row_newbcast
    default:
      break;
  }
  switch (control) {
    case 0x130:
      return shifted(1, 0, 64);  // wave_shl
    case 0x134:
      return (lane + 1) & 63;  // wave_rol
    case 0x138:
      return shifted(-1, 0, 64);  // wave_shr
    case 0x13c:
      return (lane + 63) & 63;  // wave_ror
    case 0x140:
      return row + 15 - in_row;  // row_mirror
    case 0x141:
      return (lane & ~7) + 7 - (lane & 7);
    case 0x142:
      return row == 0 ? -1 : row - 1;  // row_bcast15: the last lane of the row before
    case 0x143:
      return lane < 32 ? -1 : 31;  // row_bcast31
    default:
      break;
  }
  return control < 0x100 ? (lane & ~3) + static_cast<int>(control >> (2 * (lane & 3)) & 3u) : -1;
}
bool dpp_known(unsigned control) {
  switch (control >> 4) {
    case 0x10:
    case 0x11:
    case 0x12:
      return (control & 15u) != 0;
    case 0x15:
      return true;
    default:
      return control < 0x100 || control == 0x130 || control == 0x134 || control == 0x138 || control == 0x13c ||
             (control >= 0x140 && control <= 0x143);
  }
}
// Lanes that row_mask and bank_mask leave enabled.
std::uint64_t dpp_enabled(unsigned row_mask, unsigned bank_mask) {
  std::uint64_t lanes = 0;
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    if ((row_mask >> (lane / 16) & 1u) != 0 && (bank_mask >> (lane % 16 / 4) & 1u) != 0) {
      lanes |= 1ull << lane;
    }
  }
  return lanes;
}

// aux_index of the constants: 8 words of source lanes (255: none), then the enabled lanes. aux8[0]: bound_ctrl,
// aux8[1]: dwords. Lanes without a source read 0 or, without bound_ctrl, are not written.
const MicroOp* dpp_begin(Wave& wave, const MicroOp& op) {
  const std::uint64_t exec = wave.exec();
  const auto* lanes = reinterpret_cast<const std::uint8_t*>(&op) + op.src[1];
  std::uint64_t enabled;
  std::memcpy(&enabled, reinterpret_cast<const std::uint8_t*>(&op) + op.src[2], sizeof enabled);
  std::uint64_t readable = 0;
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const unsigned from = lanes[lane];
    readable |= std::uint64_t{from < kLanes && (exec >> (from & 63u) & 1u) != 0} << lane;
  }
  for (unsigned dword = 0; dword < op.aux8[1]; ++dword) {
    const std::uint32_t* source = row_at(wave, op.src[0]) + dword * kLanes;
    std::uint32_t* out = row_at(wave, op.dst) + dword * kLanes;
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      out[lane] = source[lanes[lane] & 63u] & (0u - static_cast<std::uint32_t>(readable >> lane & 1u));
    }
  }
  wave.saved_exec = exec;
  wave.set_exec(exec & enabled & (op.aux8[0] != 0 ? ~0ull : readable));
  return next(op);
}
const MicroOp* dpp_end(Wave& wave, const MicroOp& op) {
  wave.set_exec(wave.saved_exec);
  return next(op);
}

bool lower_dpp(Lowering& lowering, isa::Inst& inst, LowerFunction entry) {
  const isa::Operand source = inst.src[0];
  // v_cmpx would change EXEC in between; readlanes do not look at it.
  if (!source.is_vector() || !dpp_known(inst.dpp_ctrl) || !inst.dst.is_vector()) {
    return false;
  }
  MicroOp& op = lowering.emit_bare(dpp_begin);
  op.src[0] = lowering.vector_slot(source.reg);
  op.kind[0] = Kind::Vector;
  op.dst = lowering.temp_row(0);
  op.aux8[0] = inst.bound_ctrl ? 1 : 0;
  op.aux8[1] = source.dwords == 0 ? 1 : source.dwords;
  std::uint8_t lanes[kLanes];
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    lanes[lane] = static_cast<std::uint8_t>(dpp_source(inst.dpp_ctrl, static_cast<int>(lane)));
  }
  std::uint64_t words[kLanes / 8];
  std::memcpy(words, lanes, sizeof words);
  lowering.set_constant(op, 2, dpp_enabled(inst.row_mask, inst.bank_mask));
  lowering.set_constant(op, 1, words[0]);
  for (unsigned i = 1; i < kLanes / 8; ++i) {
    lowering.add_constant(words[i]);
  }
  inst.src[0] = Lowering::temp_operand(0, source.dwords);
  if (!entry(lowering)) {
    return false;
  }
  lowering.emit_bare(dpp_end);
  return true;
}

}  // namespace

bool lower_extended(Lowering& lowering, isa::Inst& inst, LowerFunction entry) {
  return inst.is_sdwa ? lower_sdwa(lowering, inst, entry) : lower_dpp(lowering, inst, entry);
}

void add_valu_cross(LowerTable& table) {
  table.set(Op::v_readfirstlane_b32, lower_read_first_lane);
  table.set(Op::v_readlane_b32, lower_read_lane);
  table.set(Op::v_writelane_b32, lower_write_lane);
  table.set(Op::v_mbcnt_lo_u32_b32, lower_masked_count<false>);
  table.set(Op::v_mbcnt_hi_u32_b32, lower_masked_count<true>);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
