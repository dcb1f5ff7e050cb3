// SPDX-License-Identifier: MIT
// Lowering of one instruction: checks operands against the wave's shape and turns them into slots.
#include "device/engine/lower.h"

#include <cstdlib>
#include <cstring>
#include <string_view>

namespace kfdlab::engine {
namespace {

using isa::Inst;
using isa::Operand;

constexpr std::int32_t kScalarBase = offsetof(Wave, sgpr);

// Operand number of the engine's own rows, behind all AGPRs.
constexpr std::uint16_t kTempOperand = 1024;

const MicroOp* leave_illegal(Wave& wave, const MicroOp& op) {
  wave.illegal_op = op.opcode();
  return stop_at(wave, op, Exit::Illegal);
}

// src[0] is the number of a register whose value is computed; dst the scalar temp (two dwords) it goes to.
const MicroOp* read_special(Wave& wave, const MicroOp& op) {
  std::uint64_t value = 0;
  switch (op.imm) {
    case isa::kSharedBase:
    case isa::kSharedLimit:
      value = std::uint64_t{wave.shared_aperture_hi} << 32;
      break;
    case isa::kPrivateBase:
    case isa::kPrivateLimit:
      value = std::uint64_t{wave.private_aperture_hi} << 32;
      break;
    case isa::kVccz:
      value = wave.vcc() == 0;
      break;
    case isa::kExecz:
      value = wave.exec() == 0;
      break;
    case isa::kScc:
      value = wave.scc;
      break;
    default:
      break;  // POPS and LDS_DIRECT read as 0: nothing of a compute queue sets them
  }
  if (op.aux8[0] == 1 && op.imm >= isa::kSharedBase && op.imm <= isa::kPrivateLimit) {
    value >>= 32;  // a 32-bit read shows the high half
  }
  std::uint32_t* to = scalar_destination(wave, op.dst);
  std::memcpy(to, &value, sizeof value);
  return next(op);
}

bool is_wave_sync(isa::Op op) {
  using isa::Op;
  return op == Op::ds_gws_init || op == Op::ds_gws_barrier || op == Op::ds_gws_sema_v || op == Op::ds_gws_sema_br ||
         op == Op::ds_gws_sema_p || op == Op::ds_gws_sema_release_all;
}

bool is_special(const Operand& operand) {
  return operand.is_register() && operand.reg >= isa::kScalarRegisters && operand.reg < isa::kVgpr0;
}

}  // namespace

std::int32_t Lowering::temp_row(unsigned i) const {
  return static_cast<std::int32_t>((key_.vgpr_rows + i) * kRowBytes);
}

Operand Lowering::temp_operand(unsigned i, std::uint8_t dwords) {
  return Operand{Operand::Kind::Register, dwords, static_cast<std::uint16_t>(kTempOperand + i), 0};
}

std::int32_t Lowering::vector_slot(std::uint16_t reg) const {
  if (reg >= kTempOperand) {
    return temp_row(reg - kTempOperand);
  }
  const unsigned row = reg >= isa::kAgpr0 ? key_.accum_offset + (reg - isa::kAgpr0) : reg - isa::kVgpr0;
  return static_cast<std::int32_t>(row * kRowBytes);
}

bool Lowering::operand_fits(const Operand& operand) const {
  if (!operand.is_register()) {
    return true;
  }
  const unsigned reg = operand.reg;
  const unsigned dwords = operand.dwords == 0 ? 1 : operand.dwords;
  if (reg >= kTempOperand) {
    return reg + dwords <= kTempOperand + kTempRows;
  }
  if (reg >= isa::kAgpr0) {
    return key_.accum_offset + (reg - isa::kAgpr0) + dwords <= key_.vgpr_rows;
  }
  if (reg >= isa::kVgpr0) {
    // Up to the whole allocation: beyond accum_offset they are the AGPRs by another name.
    return reg - isa::kVgpr0 + dwords <= key_.vgpr_rows;
  }
  return reg >= isa::kScalarRegisters || reg + dwords <= isa::kScalarRegisters;
}

bool Lowering::operands_fit() const {
  bool fit = operand_fits(inst_->dst) && operand_fits(inst_->sdst);
  for (const Operand& source : inst_->src) {
    fit = fit && operand_fits(source);
  }
  // A computed value is no destination.
  return fit && !is_special(inst_->dst) && !is_special(inst_->sdst);
}

MicroOp& Lowering::emit_bare(Handler handler) {
  MicroOp& op = ops_.emplace_back();
  op.handler = handler;
  op.pc = pc_;
  if (inst_ != nullptr) {
    op.op = static_cast<std::uint16_t>(inst_->op);
    op.size = static_cast<std::uint8_t>(inst_->size * 4);
  }
  return op;
}

void Lowering::set_constant(MicroOp& op, unsigned source, std::uint64_t value) {
  (source < 3 ? op.src[source] : op.src3) = static_cast<std::int32_t>(constants_.size());
  op.kind[source] = Kind::Constant;
  constants_.push_back(value);
}

void Lowering::assign(MicroOp& op, unsigned source, const Operand& operand) {
  std::int32_t& slot = source < 3 ? op.src[source] : op.src3;
  if (operand.is_constant()) {
    set_constant(op, source, operand.value);
  } else if (operand.is_vector()) {
    slot = vector_slot(operand.reg);
    op.kind[source] = Kind::Vector;
  } else if (operand.is_register()) {
    const unsigned reg = is_special(operand) ? kScalarTemp + source * 2 : operand.reg;
    slot = kScalarBase + static_cast<std::int32_t>(reg * 4);
    op.kind[source] = Kind::Scalar;
  }
}

MicroOp& Lowering::emit(Handler handler) {
  for (unsigned i = 0; i < inst_->src.size(); ++i) {
    if (is_special(inst_->src[i])) {
      MicroOp& read = emit_bare(read_special);
      read.imm = inst_->src[i].reg;
      read.aux8[0] = inst_->src[i].dwords;
      read.dst = kScalarBase + static_cast<std::int32_t>((kScalarTemp + i * 2) * 4);
    }
  }
  MicroOp& op = emit_bare(handler);
  for (unsigned i = 0; i < inst_->src.size(); ++i) {
    assign(op, i, inst_->src[i]);
  }
  if (inst_->dst.is_vector()) {
    op.dst = vector_slot(inst_->dst.reg);
    op.dst_kind = Kind::Vector;
  } else if (inst_->dst.is_register()) {
    op.dst = kScalarBase + inst_->dst.reg * 4;
    op.dst_kind = Kind::Scalar;
  }
  op.sdst = kScalarBase + (inst_->sdst.is_register() ? inst_->sdst.reg : isa::kVccLo) * 4;
  op.imm = inst_->encoding <= isa::Encoding::Sopp ? inst_->imm : inst_->offset;
  op.neg = inst_->neg;
  op.abs = inst_->abs;
  op.omod = inst_->omod;
  op.flags = static_cast<std::uint8_t>((inst_->clamp ? kFlagClamp : 0) | (inst_->glc ? kFlagGlc : 0) |
                                       (inst_->offen ? kFlagOffen : 0) | (inst_->idxen ? kFlagIdxen : 0) |
                                       (inst_->lds ? kFlagLds : 0) | (inst_->gds ? kFlagGds : 0));
  return op;
}

void Lowering::emit_illegal(isa::Op name) {
  emit_bare(leave_illegal).op = static_cast<std::uint16_t>(name);
  end_block();
}

void Lowering::undecodable(std::uint32_t pc) {
  inst_ = nullptr;
  pc_ = pc;
  emit_illegal(isa::Op::kCount);
}

void Lowering::emit_tail(Handler handler, std::uint32_t pc) {
  inst_ = nullptr;
  pc_ = pc;
  emit_bare(handler);
}

// M0 gives an offset for VGPRs while MODE.gpr_idx_en: bits 7:0, added for the operands that bits 15:12 name.
bool Lowering::apply_gpr_index(Inst& inst) const {
  if ((key_.mode & kModeGprIndex) == 0 || inst.encoding < isa::Encoding::Vop1 || inst.encoding > isa::Encoding::Vop3p) {
    return true;
  }
  const unsigned index = key_.gpr_index & 0xffu;
  const unsigned enable = (key_.gpr_index >> 12) & 0xfu;
  const auto shift = [&](Operand& operand, unsigned bit) {
    if (operand.is_vector() && operand.reg < isa::kAgpr0 && (enable >> bit & 1u) != 0) {
      operand.reg = static_cast<std::uint16_t>(operand.reg + index);
      return operand.reg < isa::kAgpr0;
    }
    return true;
  };
  return shift(inst.src[0], 0) && shift(inst.src[1], 1) && shift(inst.src[2], 2) && shift(inst.dst, 3);
}

bool Lowering::run(const Inst& inst, std::uint32_t pc) {
  Inst changed = inst;
  inst_ = &changed;
  pc_ = pc;
  if ((key_.mode & kModeVskip) != 0 && inst.encoding >= isa::Encoding::Vop1) {
    inst_ = nullptr;
    return true;
  }
  const std::size_t first = ops_.size();
  const std::size_t first_constant = constants_.size();
  const LowerFunction function = table_.find(inst.op);
  bool done = function != nullptr && apply_gpr_index(changed) && operands_fit();
  if (done && (inst.is_sdwa || inst.is_dpp)) {
    done = table_.lower_extended != nullptr && table_.lower_extended(*this, changed, function);
  } else if (done && inst.gds && !is_wave_sync(inst.op)) {
    done = table_.lower_gds != nullptr && table_.lower_gds(*this);
  } else if (done) {
    done = function(*this);
  }
  if (!done) {
    ops_.resize(first);
    constants_.resize(first_constant);
    emit_illegal(inst.op);
  }
  inst_ = nullptr;
  return done;
}

SimdLevel host_simd_level() {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
                    __builtin_cpu_supports("f16c") != 0 && __builtin_cpu_supports("bmi2") != 0;
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
                      __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
                      __builtin_cpu_supports("avx512cd") != 0;
  if (!avx2) {
    return SimdLevel::None;
  }
  const char* wish = std::getenv("KFDLAB_SIMD");
  return avx512 && (wish == nullptr || std::string_view(wish) != "avx2") ? SimdLevel::Avx512 : SimdLevel::Avx2;
}

const LowerTable& lower_table(SimdLevel level) {
  if (level == SimdLevel::Avx512) {
    static const LowerTable table = [] {
      LowerTable filled;
      add_salu(filled);
      avx512::add_valu(filled);
      avx512::add_memory(filled);
      return filled;
    }();
    return table;
  }
  static const LowerTable table = [] {
    LowerTable filled;
    add_salu(filled);
    avx2::add_valu(filled);
    avx2::add_memory(filled);
    return filled;
  }();
  return table;
}

}  // namespace kfdlab::engine
