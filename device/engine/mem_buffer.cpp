// SPDX-License-Identifier: MIT
// MUBUF loads and stores, which are how code reaches scratch, and cache control.
#include "device/engine/mem_buffer.h"

#include "device/engine/mem_tables.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

template <Element kE>
[[gnu::noinline]] const MicroOp* load_scattered(Wave& wave, const MicroOp& op, const Buffer& buffer,
                                                std::uint64_t lanes) {
  BufferPlan<kE> plan;
  if (!plan_buffer<MemoryAccess::Read, kE>(wave, op, buffer, lanes, plan)) {
    return fault(wave, op);
  }
  std::uint32_t* const to = row_at(wave, op.dst);
  for (unsigned d = 0; d < BufferPlan<kE>::kParts; ++d) {
    load_lanes<BufferPlan<kE>::kPart>(to + d * kLanes, plan.part[d].host, lanes);
  }
  return next(op);
}

template <Element kE>
const MicroOp* load_buffer(Wave& wave, const MicroOp& op) {
  const std::uint64_t lanes = wave.exec();
  if (lanes == 0) {
    return next(op);
  }
  const Buffer buffer = read_buffer(wave, op);
  std::byte* host[dwords_of(kE)];
  bool faulted;
  if (!plan_scratch<MemoryAccess::Read, kE>(wave, op, buffer, lanes, host, faulted)) {
    return faulted ? fault(wave, op) : load_scattered<kE>(wave, op, buffer, lanes);
  }
  std::uint32_t* const to = row_at(wave, op.dst);
  if constexpr (bytes_of(kE) < 4) {
    alignas(64) std::uint32_t values[kLanes] = {};
    for_lanes(lanes, [&](unsigned l) { values[l] = read_small<kE>(host[0] + 4 * l); });
    merge_row<kE>(to, values, lanes);
  } else {
    for (unsigned d = 0; d < dwords_of(kE); ++d) {
      load_row(to + d * kLanes, host[d], lanes);
    }
  }
  return next(op);
}

template <Element kE>
[[gnu::noinline]] const MicroOp* store_scattered(Wave& wave, const MicroOp& op, const Buffer& buffer,
                                                 std::uint64_t lanes) {
  BufferPlan<kE> plan;
  if (!plan_buffer<MemoryAccess::Write, kE>(wave, op, buffer, lanes, plan)) {
    return fault(wave, op);
  }
  const std::uint32_t* const from = row_at(wave, op.src[1]);
  for (unsigned d = 0; d < BufferPlan<kE>::kParts; ++d) {
    store_lanes<BufferPlan<kE>::kPart>(plan.part[d].host, from + d * kLanes, plan.inside[d]);
    finish_stores<BufferPlan<kE>::kPartBytes>(plan.part[d]);
  }
  return next(op);
}

template <Element kE>
const MicroOp* store_buffer(Wave& wave, const MicroOp& op) {
  const std::uint64_t lanes = wave.exec();
  if (lanes == 0) {
    return next(op);
  }
  const Buffer buffer = read_buffer(wave, op);
  std::byte* host[dwords_of(kE)];
  bool faulted;
  if (!plan_scratch<MemoryAccess::Write, kE>(wave, op, buffer, lanes, host, faulted)) {
    return faulted ? fault(wave, op) : store_scattered<kE>(wave, op, buffer, lanes);
  }
  const std::uint32_t* const from = row_at(wave, op.src[1]);
  if constexpr (bytes_of(kE) < 4) {
    for_lanes(lanes, [&](unsigned l) { write_small<kE>(host[0] + 4 * l, from[l]); });
  } else {
    for (unsigned d = 0; d < dwords_of(kE); ++d) {
      store_row(host[d], from + d * kLanes, lanes);
    }
  }
  return next(op);
}

template <Element kE, bool kStore>
bool lower_buffer(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  if (!kStore && inst.lds) {
    return lower_buffer_to_lds(lowering, kE);
  }
  if (!is_buffer_form(inst, kStore ? inst.src[1] : inst.dst, dwords_of(kE))) {
    return false;
  }
  if constexpr (kStore) {
    lowering.emit(store_buffer<kE>);
  } else {
    lowering.emit(load_buffer<kE>);
  }
  return true;
}

// Writing back: x86 keeps the order of stores, so only the compiler must not move any.
const MicroOp* write_back(Wave&, const MicroOp& op) {
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  return next(op);
}

// Invalidating is the end of an acquire or of a sequentially consistent fence: no later load may pass earlier stores.
const MicroOp* invalidate(Wave&, const MicroOp& op) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  return next(op);
}

template <Handler kHandler>
bool lower_cache(Lowering& lowering) {
  lowering.emit_bare(kHandler);
  return true;
}

}  // namespace

void add_buffer(LowerTable& table) {
  using isa::Op;
  table.set(Op::buffer_load_ubyte, lower_buffer<Element::Ubyte, false>);
  table.set(Op::buffer_load_sbyte, lower_buffer<Element::Sbyte, false>);
  table.set(Op::buffer_load_ushort, lower_buffer<Element::Ushort, false>);
  table.set(Op::buffer_load_sshort, lower_buffer<Element::Sshort, false>);
  table.set(Op::buffer_load_ubyte_d16, lower_buffer<Element::UbyteLo, false>);
  table.set(Op::buffer_load_ubyte_d16_hi, lower_buffer<Element::UbyteHi, false>);
  table.set(Op::buffer_load_sbyte_d16, lower_buffer<Element::SbyteLo, false>);
  table.set(Op::buffer_load_sbyte_d16_hi, lower_buffer<Element::SbyteHi, false>);
  table.set(Op::buffer_load_short_d16, lower_buffer<Element::UshortLo, false>);
  table.set(Op::buffer_load_short_d16_hi, lower_buffer<Element::UshortHi, false>);
  table.set(Op::buffer_load_dword, lower_buffer<Element::B32, false>);
  table.set(Op::buffer_load_dwordx2, lower_buffer<Element::B64, false>);
  table.set(Op::buffer_load_dwordx3, lower_buffer<Element::B96, false>);
  table.set(Op::buffer_load_dwordx4, lower_buffer<Element::B128, false>);
  table.set(Op::buffer_store_byte, lower_buffer<Element::Ubyte, true>);
  table.set(Op::buffer_store_byte_d16_hi, lower_buffer<Element::UbyteHi, true>);
  table.set(Op::buffer_store_short, lower_buffer<Element::Ushort, true>);
  table.set(Op::buffer_store_short_d16_hi, lower_buffer<Element::UshortHi, true>);
  table.set(Op::buffer_store_dword, lower_buffer<Element::B32, true>);
  table.set(Op::buffer_store_dwordx2, lower_buffer<Element::B64, true>);
  table.set(Op::buffer_store_dwordx3, lower_buffer<Element::B96, true>);
  table.set(Op::buffer_store_dwordx4, lower_buffer<Element::B128, true>);
  table.set(Op::buffer_wbl2, lower_cache<write_back>);
  table.set(Op::buffer_invl2, lower_cache<invalidate>);
  table.set(Op::buffer_wbinvl1, lower_cache<invalidate>);
  table.set(Op::buffer_wbinvl1_vol, lower_cache<invalidate>);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
