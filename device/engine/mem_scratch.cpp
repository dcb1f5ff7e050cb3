// SPDX-License-Identifier: MIT
// SCRATCH_* loads and stores: the private aperture's memory with offsets instead of addresses. Compilers for gfx90a
// use MUBUF instead, so this is the general way only.
#include "device/engine/mem_address.h"
#include "device/engine/mem_tables.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

// Offset of each lane: vaddr or saddr, either or none, + the immediate, modulo 2^32.
void scratch_offsets(const Wave& wave, const MicroOp& op, std::uint64_t* offset) {
  const auto immediate = static_cast<std::uint32_t>(op.imm);
  const std::uint32_t base = immediate + (op.kind[2] == Kind::None ? 0 : *scalar_source(wave, op, 2));
  for (unsigned l = 0; l < kLanes; ++l) {
    offset[l] = base + (op.kind[0] == Kind::Vector ? row_at(wave, op.src[0])[l] : 0);
  }
}

template <Element kE, bool kStore>
const MicroOp* move_scratch(Wave& wave, const MicroOp& op) {
  const std::uint64_t lanes = wave.exec();
  if (lanes == 0) {
    return next(op);
  }
  alignas(64) std::uint64_t offset[kLanes];
  scratch_offsets(wave, op, offset);
  MixedPlan<kE> plan;
  constexpr auto kAccess = kStore ? MemoryAccess::Write : MemoryAccess::Read;
  if (!plan_mixed<kAccess, kE>(wave, offset, lanes, FlatLanes{.shared = 0, .scratch = lanes}, plan)) {
    return fault(wave, op);
  }
  if constexpr (kStore) {
    store_mixed<kE>(plan, row_at(wave, op.src[1]));
  } else {
    load_mixed<kE>(row_at(wave, op.dst), plan);
  }
  return next(op);
}

template <Element kE, bool kStore>
bool lower_scratch(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  const bool vector = inst.src[0].is_vector();
  if (inst.encoding != isa::Encoding::Scratch || !is_tuple(kStore ? inst.src[1] : inst.dst, dwords_of(kE)) ||
      (inst.src[0].is_register() && !vector) || inst.src[2].is_vector() || inst.lds) {
    return false;
  }
  lowering.emit(move_scratch<kE, kStore>);
  return true;
}

}  // namespace

void add_scratch(LowerTable& table) {
  using isa::Op;
  table.set(Op::scratch_load_ubyte, lower_scratch<Element::Ubyte, false>);
  table.set(Op::scratch_load_sbyte, lower_scratch<Element::Sbyte, false>);
  table.set(Op::scratch_load_ushort, lower_scratch<Element::Ushort, false>);
  table.set(Op::scratch_load_sshort, lower_scratch<Element::Sshort, false>);
  table.set(Op::scratch_load_ubyte_d16, lower_scratch<Element::UbyteLo, false>);
  table.set(Op::scratch_load_ubyte_d16_hi, lower_scratch<Element::UbyteHi, false>);
  table.set(Op::scratch_load_sbyte_d16, lower_scratch<Element::SbyteLo, false>);
  table.set(Op::scratch_load_sbyte_d16_hi, lower_scratch<Element::SbyteHi, false>);
  table.set(Op::scratch_load_short_d16, lower_scratch<Element::UshortLo, false>);
  table.set(Op::scratch_load_short_d16_hi, lower_scratch<Element::UshortHi, false>);
  table.set(Op::scratch_load_dword, lower_scratch<Element::B32, false>);
  table.set(Op::scratch_load_dwordx2, lower_scratch<Element::B64, false>);
  table.set(Op::scratch_load_dwordx3, lower_scratch<Element::B96, false>);
  table.set(Op::scratch_load_dwordx4, lower_scratch<Element::B128, false>);
  table.set(Op::scratch_store_byte, lower_scratch<Element::Ubyte, true>);
  table.set(Op::scratch_store_byte_d16_hi, lower_scratch<Element::UbyteHi, true>);
  table.set(Op::scratch_store_short, lower_scratch<Element::Ushort, true>);
  table.set(Op::scratch_store_short_d16_hi, lower_scratch<Element::UshortHi, true>);
  table.set(Op::scratch_store_dword, lower_scratch<Element::B32, true>);
  table.set(Op::scratch_store_dwordx2, lower_scratch<Element::B64, true>);
  table.set(Op::scratch_store_dwordx3, lower_scratch<Element::B96, true>);
  table.set(Op::scratch_store_dwordx4, lower_scratch<Element::B128, true>);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
