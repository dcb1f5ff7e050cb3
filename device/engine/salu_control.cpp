// SPDX-License-Identifier: MIT
// SOPP and the control part of SOP1 and SOPK: branches, calls, barriers, messages, traps, VGPR indexing.
// Facts: CDNA 2 ISA chapters 4 and 12.5.
#include <cstdint>

#include "device/engine/code_cache.h"
#include "device/engine/lower.h"
#include "device/engine/salu.h"
#include "device/engine/workgroup.h"

namespace kfdlab::engine {
namespace {

using isa::Op;

std::uint64_t read64(const Wave& wave, const MicroOp& op) {
  std::uint64_t value;
  std::memcpy(&value, scalar_source(wave, op, 0), sizeof value);
  return value;
}
void write64(Wave& wave, const MicroOp& op, std::uint64_t value) {
  std::memcpy(scalar_destination(wave, op.dst), &value, sizeof value);
}
std::uint64_t address_behind(const Wave& wave, const MicroOp& op) { return wave.block_pc + op.pc + op.size; }

// The op remembers the block it led to last (aux_pointer).
const MicroOp* go(Wave& wave, const MicroOp& op, std::uint64_t target) {
  const auto* block = static_cast<const Block*>(op.aux_pointer);
  if (block != nullptr && block->pc == target && block->verified == wave.code_epoch) [[likely]] {
    wave.budget += op.remaining - 1;
    return enter_block(wave, *block);
  }
  wave.link = &op;
  return jump(wave, op, target);
}
const MicroOp* branch(Wave& wave, const MicroOp& op) {
  return go(wave, op, address_behind(wave, op) + static_cast<std::uint64_t>(std::int64_t{op.imm} * 4));
}

bool scc0(const Wave& wave) { return wave.scc == 0; }
bool scc1(const Wave& wave) { return wave.scc != 0; }
bool vccz(const Wave& wave) { return wave.vcc() == 0; }
bool vccnz(const Wave& wave) { return wave.vcc() != 0; }
bool execz(const Wave& wave) { return wave.exec() == 0; }
bool execnz(const Wave& wave) { return wave.exec() != 0; }
bool never(const Wave&) { return false; }  // debugger flags

template <bool (*kCondition)(const Wave&)>
const MicroOp* branch_if(Wave& wave, const MicroOp& op) {
  return kCondition(wave) ? branch(wave, op) : next(op);
}
const MicroOp* setpc(Wave& wave, const MicroOp& op) { return go(wave, op, read64(wave, op)); }
const MicroOp* swappc(Wave& wave, const MicroOp& op) {
  const std::uint64_t target = read64(wave, op);
  write64(wave, op, address_behind(wave, op));
  return go(wave, op, target);
}
const MicroOp* getpc(Wave& wave, const MicroOp& op) {
  write64(wave, op, address_behind(wave, op));
  return next(op);
}
const MicroOp* call(Wave& wave, const MicroOp& op) {
  write64(wave, op, address_behind(wave, op));
  return branch(wave, op);
}
const MicroOp* end_program(Wave& wave, const MicroOp& op) { return leave_behind(wave, op, Exit::End); }
const MicroOp* sleep(Wave& wave, const MicroOp& op) { return leave_behind(wave, op, Exit::Yield); }
const MicroOp* barrier(Wave& wave, const MicroOp& op) {
  if (wave.group == nullptr || wave.group->waves_alive == 1) {
    return next(op);
  }
  return leave_behind(wave, op, Exit::Barrier);
}
// A halted wave waits for a debugger, which there is none of.
const MicroOp* set_halt(Wave& wave, const MicroOp& op) {
  return (op.imm & 1) != 0 ? stop_at(wave, op, Exit::Wait) : next(op);
}

// The handler finds the address of s_trap and its number in TTMP0 and TTMP1.
const MicroOp* trap(Wave& wave, const MicroOp& op) {
  wave.trap_id = static_cast<std::uint8_t>(op.imm);
  if (wave.tba == 0) {
    return stop_at(wave, op, Exit::Trap);
  }
  const std::uint64_t pc = wave.block_pc + op.pc;
  wave.sgpr[isa::kTtmp0] = static_cast<std::uint32_t>(pc);
  wave.sgpr[isa::kTtmp0 + 1] =
      (static_cast<std::uint32_t>(pc >> 32) & 0xffffu) | static_cast<std::uint32_t>(wave.trap_id) << 16;
  wave.in_trap = true;
  return jump(wave, op, wave.tba);
}
const MicroOp* return_from_trap(Wave& wave, const MicroOp& op) {
  wave.in_trap = false;
  return jump(wave, op, read64(wave, op) & 0xffffffffffffull);
}

const MicroOp* send_message(Wave& wave, const MicroOp& op) {
  constexpr int kInterrupt = 1;
  constexpr int kGetDoorbell = 10;
  const int message = op.imm & 0xf;
  if (wave.group == nullptr) {
    return next(op);
  }
  if (message == kInterrupt && wave.group->host != nullptr &&
      !wave.group->host->send_interrupt(wave.group->queue, wave.sgpr[isa::kM0])) {
    return stop_at(wave, op, Exit::Wait);
  }
  if (message == kGetDoorbell) {
    wave.sgpr[isa::kExecLo] = wave.group->doorbell & 0x7fffffffu;
  }
  return next(op);
}

// The message, then the end: nobody would wake a halted wave.
const MicroOp* send_message_and_halt(Wave& wave, const MicroOp& op) {
  const MicroOp* done = send_message(wave, op);
  return done == nullptr ? nullptr : leave_behind(wave, op, Exit::End);
}

// MODE and M0 decide what the code behind means: it is another block.
const MicroOp* gpr_index_on(Wave& wave, const MicroOp& op) {
  wave.mode |= kModeGprIndex;
  wave.sgpr[isa::kM0] = (wave.sgpr[isa::kM0] & ~0xf0ffu) | (*scalar_source(wave, op, 0) & 0xffu) | op.aux32[0] << 12;
  return jump(wave, op, address_behind(wave, op));
}
const MicroOp* gpr_index_off(Wave& wave, const MicroOp& op) {
  wave.mode &= ~kModeGprIndex;
  return jump(wave, op, address_behind(wave, op));
}
const MicroOp* gpr_index_mode(Wave& wave, const MicroOp& op) {
  wave.sgpr[isa::kM0] = (wave.sgpr[isa::kM0] & ~0xf000u) | (static_cast<std::uint32_t>(op.imm) & 0xfu) << 12;
  return jump(wave, op, address_behind(wave, op));
}
const MicroOp* gpr_index_idx(Wave& wave, const MicroOp& op) {
  wave.sgpr[isa::kM0] = (wave.sgpr[isa::kM0] & ~0xffu) | (*scalar_source(wave, op, 0) & 0xffu);
  return jump(wave, op, address_behind(wave, op));
}

// Forks: the smaller group of lanes runs on, the other is put on a stack in SGPRs, four for each entry: its EXEC, then
// its PC. MODE.CSP counts the entries.
constexpr unsigned kCspShift = 29;
std::uint32_t stack_depth(const Wave& wave) { return wave.mode >> kCspShift; }
void set_stack_depth(Wave& wave, std::uint32_t depth) {
  wave.mode = (wave.mode & ((1u << kCspShift) - 1)) | depth << kCspShift;
}
const MicroOp* fork(Wave& wave, const MicroOp& op, std::uint64_t mask, std::uint64_t target) {
  const std::uint64_t exec = wave.exec();
  const std::uint64_t pass = mask & exec;
  const std::uint64_t fail = ~mask & exec;
  if (pass == exec) {
    return go(wave, op, target);
  }
  const std::uint64_t behind = address_behind(wave, op);
  if (fail == exec) {
    return go(wave, op, behind);
  }
  const bool later_passes = __builtin_popcountll(fail) < __builtin_popcountll(pass);
  const std::uint32_t depth = stack_depth(wave);
  wave.set_u64(depth * 4, later_passes ? pass : fail);
  wave.set_u64(depth * 4 + 2, later_passes ? target : behind);
  set_stack_depth(wave, depth + 1);
  wave.set_exec(later_passes ? fail : pass);
  return go(wave, op, later_passes ? behind : target);
}
const MicroOp* fork_to_register(Wave& wave, const MicroOp& op) {
  std::uint64_t target;
  std::memcpy(&target, scalar_source(wave, op, 1), sizeof target);
  return fork(wave, op, read64(wave, op), target);
}
const MicroOp* fork_relative(Wave& wave, const MicroOp& op) {
  return fork(wave, op, read64(wave, op),
              address_behind(wave, op) + static_cast<std::uint64_t>(std::int64_t{op.imm} * 4));
}
const MicroOp* join_lanes(Wave& wave, const MicroOp& op) {
  const std::uint32_t depth = stack_depth(wave);
  if (depth == (*scalar_source(wave, op, 0) & 7u)) {
    return go(wave, op, address_behind(wave, op));
  }
  const std::uint32_t entry = (depth - 1) & 7u;
  set_stack_depth(wave, entry);
  const std::uint64_t target = wave.u64(entry * 4 + 2);
  wave.set_exec(wave.u64(entry * 4));
  return go(wave, op, target);
}

// MODE.VSKIP is part of the key of the code behind, where vector instructions then are nothing.
const MicroOp* set_vector_skip(Wave& wave, const MicroOp& op) {
  const std::uint32_t bit = *scalar_source(wave, op, 0) >> (*scalar_source(wave, op, 1) & 31u) & 1u;
  wave.mode = (wave.mode & ~kModeVskip) | (bit != 0 ? kModeVskip : 0);
  return jump(wave, op, address_behind(wave, op));
}

template <Handler kHandler>
bool last(Lowering& lowering) {
  lowering.emit(kHandler);
  lowering.end_block();
  return true;
}
template <Handler kHandler>
bool plain(Lowering& lowering) {
  lowering.emit(kHandler);
  return true;
}
// Waits and hints have no effect here: memory operations are done when they return. They still count as run.
bool nothing(Lowering&) { return true; }

bool lower_gpr_index_on(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  MicroOp& op = lowering.emit(gpr_index_on);
  // The enables are the second source field, taken as a number and not as a register.
  op.aux32[0] =
      inst.src[1].is_register() ? inst.src[1].reg & 0xfu : static_cast<std::uint32_t>(inst.src[1].value) & 0xfu;
  if (!inst.src[1].is_register() && !inst.src[1].is_constant()) {
    op.aux32[0] = static_cast<std::uint32_t>(inst.imm) & 0xfu;
  }
  lowering.end_block();
  return op.kind[0] == Kind::Scalar || op.kind[0] == Kind::Constant;
}

}  // namespace

void add_salu_control(LowerTable& table) {
  table.set(Op::s_branch, last<branch>);
  table.set(Op::s_cbranch_scc0, plain<branch_if<scc0>>);
  table.set(Op::s_cbranch_scc1, plain<branch_if<scc1>>);
  table.set(Op::s_cbranch_vccz, plain<branch_if<vccz>>);
  table.set(Op::s_cbranch_vccnz, plain<branch_if<vccnz>>);
  table.set(Op::s_cbranch_execz, plain<branch_if<execz>>);
  table.set(Op::s_cbranch_execnz, plain<branch_if<execnz>>);
  table.set(Op::s_cbranch_cdbgsys, plain<branch_if<never>>);
  table.set(Op::s_cbranch_cdbguser, plain<branch_if<never>>);
  table.set(Op::s_cbranch_cdbgsys_and_user, plain<branch_if<never>>);
  table.set(Op::s_cbranch_cdbgsys_or_user, plain<branch_if<never>>);
  table.set(Op::s_setpc_b64, last<setpc>);
  table.set(Op::s_swappc_b64, last<swappc>);
  table.set(Op::s_getpc_b64, plain<getpc>);
  table.set(Op::s_call_b64, last<call>);
  table.set(Op::s_endpgm, last<end_program>);
  table.set(Op::s_endpgm_saved, last<end_program>);
  table.set(Op::s_endpgm_ordered_ps_done, last<end_program>);
  table.set(Op::s_barrier, plain<barrier>);
  table.set(Op::s_sleep, plain<sleep>);
  table.set(Op::s_sethalt, plain<set_halt>);
  table.set(Op::s_trap, last<trap>);
  table.set(Op::s_rfe_b64, last<return_from_trap>);
  table.set(Op::s_rfe_restore_b64, last<return_from_trap>);
  table.set(Op::s_cbranch_g_fork, last<fork_to_register>);
  table.set(Op::s_cbranch_i_fork, last<fork_relative>);
  table.set(Op::s_cbranch_join, last<join_lanes>);
  table.set(Op::s_setvskip, last<set_vector_skip>);
  table.set(Op::s_sendmsg, plain<send_message>);
  table.set(Op::s_sendmsghalt, last<send_message_and_halt>);
  table.set(Op::s_set_gpr_idx_on, lower_gpr_index_on);
  table.set(Op::s_set_gpr_idx_off, last<gpr_index_off>);
  table.set(Op::s_set_gpr_idx_mode, last<gpr_index_mode>);
  table.set(Op::s_set_gpr_idx_idx, last<gpr_index_idx>);
  for (const Op op : {Op::s_nop, Op::s_waitcnt, Op::s_setprio, Op::s_icache_inv, Op::s_incperflevel, Op::s_decperflevel,
                      Op::s_ttracedata, Op::s_wakeup, Op::s_setkill}) {
    table.set(op, nothing);
  }
  add_salu_registers(table);
}

}  // namespace kfdlab::engine
