// SPDX-License-Identifier: MIT
// DS_GWS_*: a wave meets the Gws of its queue.
#include "device/engine/gws.h"

#include "device/engine/lower.h"
#include "device/engine/workgroup.h"

namespace kfdlab::engine {
namespace {

// The resource's number is M0[21:16] + offset; values are the first active lane's.
template <isa::Op kOp>
const MicroOp* sync_waves(Wave& wave, const MicroOp& op) {
  Gws* const gws = wave.group != nullptr ? wave.group->gws : nullptr;
  if (gws == nullptr) {
    wave.illegal_op = op.opcode();
    return stop_at(wave, op, Exit::Illegal);
  }
  const std::uint64_t lanes = wave.exec();
  const unsigned resource = (wave.sgpr[isa::kM0] >> 16 & 0x3fu) + static_cast<unsigned>(op.imm);
  const std::uint32_t value =
      op.kind[1] == Kind::Vector ? row_at(wave, op.src[1])[lanes == 0 ? 0 : __builtin_ctzll(lanes)] : 0;
  bool go_on = true;
  switch (kOp) {
    case isa::Op::ds_gws_init:
      gws->init(resource, value);
      break;
    case isa::Op::ds_gws_barrier:
      go_on = gws->barrier(resource, value, wave.gws_ticket);
      break;
    case isa::Op::ds_gws_sema_v:
      gws->give(resource, 1);
      break;
    case isa::Op::ds_gws_sema_br:
      gws->give(resource, value);
      break;
    case isa::Op::ds_gws_sema_p:
      go_on = gws->take(resource, wave.gws_ticket);
      break;
    default:
      gws->release_all(resource);
      break;
  }
  return go_on ? next(op) : stop_at(wave, op, Exit::Wait);
}

template <isa::Op kOp>
bool lower_sync(Lowering& lowering) {
  lowering.emit(sync_waves<kOp>);
  return true;
}

}  // namespace

void add_global_sync(LowerTable& table) {
  using isa::Op;
  table.set(Op::ds_gws_init, lower_sync<Op::ds_gws_init>);
  table.set(Op::ds_gws_barrier, lower_sync<Op::ds_gws_barrier>);
  table.set(Op::ds_gws_sema_v, lower_sync<Op::ds_gws_sema_v>);
  table.set(Op::ds_gws_sema_br, lower_sync<Op::ds_gws_sema_br>);
  table.set(Op::ds_gws_sema_p, lower_sync<Op::ds_gws_sema_p>);
  table.set(Op::ds_gws_sema_release_all, lower_sync<Op::ds_gws_sema_release_all>);
}

}  // namespace kfdlab::engine
