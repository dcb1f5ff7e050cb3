// SPDX-License-Identifier: MIT
// GLOBAL and FLAT atomics. Translation is for writing, of all lanes, before the first operation: an atomic is never
// done twice.
#include "device/engine/mem_address.h"
#include "device/engine/mem_atomic.h"
#include "device/engine/mem_tables.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

// Lanes in apertures. `lanes` loses those out of LDS, whose operation is dropped. False: fault.
bool place_apertures(Wave& wave, std::uint64_t* address, const FlatLanes& flat, unsigned bytes, std::uint64_t& lanes,
                     Plan& plan) {
  for_lanes(flat.shared, [&](unsigned l) {
    const std::byte* const host = lds_address(wave, static_cast<std::uint32_t>(address[l]), bytes);
    plan.host[l] = reinterpret_cast<std::uint64_t>(host);
    if (host == nullptr) {
      lanes &= ~(1ull << l);
    }
  });
  if (flat.scratch != 0 && bytes == 8) {
    // The two dwords of a private 64-bit value are 256 bytes apart: hardware cannot do this either.
    const unsigned lane = first_lane(flat.scratch);
    wave.fault = {.page = address[lane] & ~Tlb::kPageMask,
                  .vmid = Tlb::vmid_of(wave.tlb_key),
                  .access = MemoryAccess::Write,
                  .reason = device::MemoryFault::Reason::Permission,
                  .no_retry = true};
    return false;
  }
  for_lanes(flat.scratch,
            [&](unsigned l) { address[l] = scratch_address(wave, static_cast<std::uint32_t>(address[l]), l, bytes); });
  return true;
}

// aux8[0] of the micro-ops here.
void set_mode(MicroOp& op, AddressMode mode) { op.aux8[0] = static_cast<std::uint8_t>(mode); }

// The places of all active lanes; `lanes` are those that have one. False: fault.
template <unsigned kBytes>
[[gnu::noinline]] bool plan_atomic(Wave& wave, const MicroOp& op, std::uint64_t& lanes, Plan& plan) {
  alignas(64) std::uint64_t address[kLanes];
  const auto mode = static_cast<AddressMode>(op.aux8[0]);
  if (mode == AddressMode::GlobalSaddr) {
    lane_addresses<AddressMode::GlobalSaddr>(wave, op, address);
  } else {
    lane_addresses<AddressMode::Global>(wave, op, address);
  }
  for (std::uint64_t& at : address) {
    at &= ~std::uint64_t{kBytes - 1};
  }
  std::uint64_t in_memory = lanes;
  if (mode == AddressMode::Flat) {
    const FlatLanes flat = split_apertures(wave, address, lanes);
    in_memory &= ~flat.shared;
    if ((flat.shared | flat.scratch) != 0 && !place_apertures(wave, address, flat, kBytes, lanes, plan)) {
      return false;
    }
  }
  return plan_lanes<MemoryAccess::Write, kBytes>(wave, address, in_memory, plan);
}

template <Atomic kOp, typename T>
const MicroOp* atomic_element(Wave& wave, const MicroOp& op) {
  const std::uint64_t active = wave.exec();
  if (active == 0) {
    return next(op);
  }
  Plan plan;
  std::uint64_t lanes = active;
  if (!plan_atomic<sizeof(T)>(wave, op, lanes, plan)) {
    return fault(wave, op);
  }
  const std::uint32_t* const data = row_at(wave, op.src[1]);
  const AtomicData<T> source{data, has_extra(kOp) ? data + kLanes * (sizeof(T) / 4) : nullptr};
  std::uint32_t* const to = (op.flags & kFlagGlc) != 0 ? row_at(wave, op.dst) : nullptr;
  if (to != nullptr) {
    for_lanes(active & ~lanes, [&](unsigned l) { write_lane<T>(to, l, 0); });
  }
  run_shared<kOp, T>(plan.host, source, to, lanes);
  return next(op);
}

bool has_saddr(const isa::Inst& inst) { return inst.src[2].is_register() && !inst.src[2].is_vector(); }

// With GLC the old value is returned, to a register that must be there.
template <Atomic kOp, typename T>
bool is_well_formed(const isa::Inst& inst) {
  constexpr unsigned kDwords = sizeof(T) / 4;
  return is_tuple(inst.src[0], has_saddr(inst) ? 1 : 2) &&
         is_tuple(inst.src[1], has_extra(kOp) ? 2 * kDwords : kDwords) && (!inst.glc || is_tuple(inst.dst, kDwords));
}

template <Atomic kOp, typename T>
bool lower_global(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  const bool saddr = has_saddr(inst);
  if (inst.encoding != isa::Encoding::Global || !is_well_formed<kOp, T>(inst)) {
    return false;
  }
  set_mode(lowering.emit(atomic_element<kOp, T>), saddr ? AddressMode::GlobalSaddr : AddressMode::Global);
  return true;
}

template <Atomic kOp, typename T>
bool lower_flat(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  if (inst.encoding != isa::Encoding::Flat || has_saddr(inst) || !is_well_formed<kOp, T>(inst)) {
    return false;
  }
  set_mode(lowering.emit(atomic_element<kOp, T>), AddressMode::Flat);
  return true;
}

}  // namespace

void add_global_atomics(LowerTable& table) {
  using isa::Op;
#define KFDLAB_ATOMIC(name, op)                                                      \
  table.set(Op::global_atomic_##name, lower_global<Atomic::op, std::uint32_t>);      \
  table.set(Op::flat_atomic_##name, lower_flat<Atomic::op, std::uint32_t>);          \
  table.set(Op::global_atomic_##name##_x2, lower_global<Atomic::op, std::uint64_t>); \
  table.set(Op::flat_atomic_##name##_x2, lower_flat<Atomic::op, std::uint64_t>)
  KFDLAB_ATOMIC(swap, Swap);
  KFDLAB_ATOMIC(cmpswap, Cmpswap);
  KFDLAB_ATOMIC(add, Add);
  KFDLAB_ATOMIC(sub, Sub);
  KFDLAB_ATOMIC(smin, Smin);
  KFDLAB_ATOMIC(umin, Umin);
  KFDLAB_ATOMIC(smax, Smax);
  KFDLAB_ATOMIC(umax, Umax);
  KFDLAB_ATOMIC(and, And);
  KFDLAB_ATOMIC(or, Or);
  KFDLAB_ATOMIC(xor, Xor);
  KFDLAB_ATOMIC(inc, Inc);
  KFDLAB_ATOMIC(dec, Dec);
#undef KFDLAB_ATOMIC
  table.set(Op::global_atomic_add_f32, lower_global<Atomic::AddF, std::uint32_t>);
  table.set(Op::global_atomic_pk_add_f16, lower_global<Atomic::PkAddF16, std::uint32_t>);
  table.set(Op::global_atomic_add_f64, lower_global<Atomic::AddF, std::uint64_t>);
  table.set(Op::global_atomic_min_f64, lower_global<Atomic::MinF, std::uint64_t>);
  table.set(Op::global_atomic_max_f64, lower_global<Atomic::MaxF, std::uint64_t>);
  table.set(Op::flat_atomic_add_f64, lower_flat<Atomic::AddF, std::uint64_t>);
  table.set(Op::flat_atomic_min_f64, lower_flat<Atomic::MinF, std::uint64_t>);
  table.set(Op::flat_atomic_max_f64, lower_flat<Atomic::MaxF, std::uint64_t>);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
