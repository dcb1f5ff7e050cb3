// SPDX-License-Identifier: MIT
// MUBUF between memory and LDS, without registers: lane l's dword of LDS is at M0[15:0] + the instruction's offset + 4
// * l. Small elements become dwords there. Facts: CDNA 2 ISA chapter 9.1.9 ("memory buffer load to LDS").
#include "device/engine/mem_buffer.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

// Null: outside of LDS, the lane moves nothing.
KFDLAB_INLINE std::byte* lds_dword(const Wave& wave, const MicroOp& op, unsigned lane) {
  const std::uint32_t at = (wave.sgpr[isa::kM0] & 0xffffu) + static_cast<std::uint32_t>(op.imm) + 4 * lane;
  return wave.lds_size >= 4 && at <= wave.lds_size - 4 ? wave.lds + at : nullptr;
}

template <Element kE>
const MicroOp* load_to_lds(Wave& wave, const MicroOp& op) {
  const std::uint64_t lanes = wave.exec();
  if (lanes == 0) {
    return next(op);
  }
  BufferPlan<kE> plan;
  if (!plan_buffer<MemoryAccess::Read, kE>(wave, op, read_buffer(wave, op), lanes, plan)) {
    return fault(wave, op);
  }
  alignas(64) std::uint32_t values[kLanes] = {};
  load_lanes<kE>(values, plan.part[0].host, lanes);
  for_lanes(lanes, [&](unsigned l) {
    if (std::byte* to = lds_dword(wave, op, l)) {
      write_unaligned(to, values[l]);
    }
  });
  return next(op);
}

const MicroOp* store_from_lds(Wave& wave, const MicroOp& op) {
  const std::uint64_t lanes = wave.exec();
  if (lanes == 0) {
    return next(op);
  }
  BufferPlan<Element::B32> plan;
  if (!plan_buffer<MemoryAccess::Write, Element::B32>(wave, op, read_buffer(wave, op), lanes, plan)) {
    return fault(wave, op);
  }
  alignas(64) std::uint32_t values[kLanes] = {};
  for_lanes(lanes, [&](unsigned l) {
    if (const std::byte* from = lds_dword(wave, op, l)) {
      values[l] = read_unaligned<std::uint32_t>(from);
    }
  });
  store_lanes<Element::B32>(plan.part[0].host, values, plan.inside[0]);
  finish_stores<4>(plan.part[0]);
  return next(op);
}

bool lower_store_from_lds(Lowering& lowering) {
  if (!has_buffer_address(lowering.inst())) {
    return false;
  }
  lowering.emit(store_from_lds);
  return true;
}

}  // namespace

bool lower_buffer_to_lds(Lowering& lowering, Element element) {
  if (!has_buffer_address(lowering.inst())) {
    return false;
  }
  switch (element) {
    case Element::Ubyte:
      lowering.emit(load_to_lds<Element::Ubyte>);
      return true;
    case Element::Sbyte:
      lowering.emit(load_to_lds<Element::Sbyte>);
      return true;
    case Element::Ushort:
      lowering.emit(load_to_lds<Element::Ushort>);
      return true;
    case Element::Sshort:
      lowering.emit(load_to_lds<Element::Sshort>);
      return true;
    case Element::B32:
      lowering.emit(load_to_lds<Element::B32>);
      return true;
    default:
      return false;
  }
}

void add_buffer_lds(LowerTable& table) { table.set(isa::Op::buffer_store_lds_dword, lower_store_from_lds); }

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
