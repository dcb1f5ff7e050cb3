// SPDX-License-Identifier: MIT
// GLOBAL and FLAT loads and stores. A whole wave that moves one run inside a page is a handful of vector moves behind
// one look-up; everything else goes through a Plan. Cache policy bits mean nothing here: all memory is coherent.
#include "device/engine/mem_address.h"
#include "device/engine/mem_tables.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

// One function for all address modes: this is the slower way anyhow.
[[gnu::noinline]] void addresses_of(AddressMode mode, const Wave& wave, const MicroOp& op, std::uint64_t* address) {
  if (mode == AddressMode::GlobalSaddr) {
    lane_addresses<AddressMode::GlobalSaddr>(wave, op, address);
  } else {
    lane_addresses<AddressMode::Global>(wave, op, address);
  }
}

template <Element kE>
[[gnu::noinline]] const MicroOp* load_scattered(AddressMode mode, Wave& wave, const MicroOp& op, std::uint64_t lanes) {
  alignas(64) std::uint64_t address[kLanes];
  addresses_of(mode, wave, op, address);
  std::uint32_t* const to = row_at(wave, op.dst);
  if (mode == AddressMode::Flat) {
    const FlatLanes flat = split_apertures(wave, address, lanes);
    if ((flat.shared | flat.scratch) != 0) {
      MixedPlan<kE> plan;
      if (!plan_mixed<MemoryAccess::Read, kE>(wave, address, lanes, flat, plan)) {
        return fault(wave, op);
      }
      load_mixed<kE>(to, plan);
      return next(op);
    }
  }
  Plan plan;
  if (!plan_lanes<MemoryAccess::Read, bytes_of(kE)>(wave, address, lanes, plan)) {
    return fault(wave, op);
  }
  load_lanes<kE>(to, plan.host, lanes);
  return next(op);
}

template <Element kE, AddressMode kMode>
const MicroOp* load_element(Wave& wave, const MicroOp& op) {
  constexpr unsigned kBytes = bytes_of(kE);
  const std::uint64_t lanes = wave.exec();
  if (lanes == 0) {
    return next(op);
  }
  std::uint64_t address;
  if (find_run<kMode>(wave, op, lanes, kBytes, address)) {
    const unsigned first = first_lane(lanes);
    std::byte* host;
    switch (plan_run<MemoryAccess::Read>(wave, address, (last_lane(lanes) - first + 1) * kBytes, host)) {
      case RunOutcome::Ok:
        load_run<kE>(row_at(wave, op.dst), host - first * kBytes, lanes);
        return next(op);
      case RunOutcome::Fault:
        return fault(wave, op);
      case RunOutcome::Crosses:
        break;
    }
  }
  return load_scattered<kE>(kMode, wave, op, lanes);
}

template <Element kE>
[[gnu::noinline]] const MicroOp* store_scattered(AddressMode mode, Wave& wave, const MicroOp& op, std::uint64_t lanes) {
  alignas(64) std::uint64_t address[kLanes];
  addresses_of(mode, wave, op, address);
  const std::uint32_t* const from = row_at(wave, op.src[1]);
  if (mode == AddressMode::Flat) {
    const FlatLanes flat = split_apertures(wave, address, lanes);
    if ((flat.shared | flat.scratch) != 0) {
      MixedPlan<kE> plan;
      if (!plan_mixed<MemoryAccess::Write, kE>(wave, address, lanes, flat, plan)) {
        return fault(wave, op);
      }
      store_mixed<kE>(plan, from);
      return next(op);
    }
  }
  Plan plan;
  if (!plan_lanes<MemoryAccess::Write, bytes_of(kE)>(wave, address, lanes, plan)) {
    return fault(wave, op);
  }
  store_lanes<kE>(plan.host, from, lanes);
  finish_stores<bytes_of(kE)>(plan);
  return next(op);
}

template <Element kE, AddressMode kMode>
const MicroOp* store_element(Wave& wave, const MicroOp& op) {
  constexpr unsigned kBytes = bytes_of(kE);
  const std::uint64_t lanes = wave.exec();
  if (lanes == 0) {
    return next(op);
  }
  std::uint64_t address;
  if (find_run<kMode>(wave, op, lanes, kBytes, address)) {
    const unsigned first = first_lane(lanes);
    std::byte* host;
    switch (plan_run<MemoryAccess::Write>(wave, address, (last_lane(lanes) - first + 1) * kBytes, host)) {
      case RunOutcome::Ok:
        store_run<kE>(host - first * kBytes, row_at(wave, op.src[1]), lanes);
        return next(op);
      case RunOutcome::Fault:
        return fault(wave, op);
      case RunOutcome::Crosses:
        break;
    }
  }
  return store_scattered<kE>(kMode, wave, op, lanes);
}

bool has_saddr(const isa::Inst& inst) { return inst.src[2].is_register() && !inst.src[2].is_vector(); }

// What every form here needs of the decoder: registers where registers belong. Anything else is not lowered.
template <Element kE>
bool is_well_formed(const isa::Inst& inst, bool is_store) {
  return is_tuple(inst.src[0], has_saddr(inst) ? 1 : 2) && is_tuple(is_store ? inst.src[1] : inst.dst, dwords_of(kE)) &&
         !inst.lds;
}

template <Element kE, bool kStore>
bool lower_global(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  if (inst.encoding != isa::Encoding::Global || !is_well_formed<kE>(inst, kStore)) {
    return false;
  }
  const bool saddr = has_saddr(inst);
  constexpr auto kAny = AddressMode::Global;
  constexpr auto kBased = AddressMode::GlobalSaddr;
  if constexpr (kStore) {
    lowering.emit(saddr ? store_element<kE, kBased> : store_element<kE, kAny>);
  } else {
    lowering.emit(saddr ? load_element<kE, kBased> : load_element<kE, kAny>);
  }
  return true;
}

template <Element kE, bool kStore>
bool lower_flat(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  if (inst.encoding != isa::Encoding::Flat || has_saddr(inst) || !is_well_formed<kE>(inst, kStore)) {
    return false;
  }
  if constexpr (kStore) {
    lowering.emit(store_element<kE, AddressMode::Flat>);
  } else {
    lowering.emit(load_element<kE, AddressMode::Flat>);
  }
  return true;
}

}  // namespace

void add_global(LowerTable& table) {
  using isa::Op;
#define KFDLAB_LOAD(name, element)                                          \
  table.set(Op::global_load_##name, lower_global<Element::element, false>); \
  table.set(Op::flat_load_##name, lower_flat<Element::element, false>)
#define KFDLAB_STORE(name, element)                                         \
  table.set(Op::global_store_##name, lower_global<Element::element, true>); \
  table.set(Op::flat_store_##name, lower_flat<Element::element, true>)
  KFDLAB_LOAD(ubyte, Ubyte);
  KFDLAB_LOAD(sbyte, Sbyte);
  KFDLAB_LOAD(ushort, Ushort);
  KFDLAB_LOAD(sshort, Sshort);
  KFDLAB_LOAD(ubyte_d16, UbyteLo);
  KFDLAB_LOAD(ubyte_d16_hi, UbyteHi);
  KFDLAB_LOAD(sbyte_d16, SbyteLo);
  KFDLAB_LOAD(sbyte_d16_hi, SbyteHi);
  KFDLAB_LOAD(short_d16, UshortLo);
  KFDLAB_LOAD(short_d16_hi, UshortHi);
  KFDLAB_LOAD(dword, B32);
  KFDLAB_LOAD(dwordx2, B64);
  KFDLAB_LOAD(dwordx3, B96);
  KFDLAB_LOAD(dwordx4, B128);
  KFDLAB_STORE(byte, Ubyte);
  KFDLAB_STORE(byte_d16_hi, UbyteHi);
  KFDLAB_STORE(short, Ushort);
  KFDLAB_STORE(short_d16_hi, UshortHi);
  KFDLAB_STORE(dword, B32);
  KFDLAB_STORE(dwordx2, B64);
  KFDLAB_STORE(dwordx3, B96);
  KFDLAB_STORE(dwordx4, B128);
#undef KFDLAB_LOAD
#undef KFDLAB_STORE
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
