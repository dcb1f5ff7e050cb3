// SPDX-License-Identifier: MIT
// MUBUF atomics. Lanes out of range are dropped and get 0 back.
#include "device/engine/mem_atomic.h"
#include "device/engine/mem_buffer.h"
#include "device/engine/mem_tables.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

template <Atomic kOp, typename T>
const MicroOp* atomic_buffer(Wave& wave, const MicroOp& op) {
  const std::uint64_t lanes = wave.exec();
  if (lanes == 0) {
    return next(op);
  }
  const Buffer buffer = read_buffer(wave, op);
  const BufferLane lane(wave, op);
  alignas(64) std::uint64_t address[kLanes];
  std::uint64_t inside = 0;
  for_lanes(lanes, [&](unsigned l) {
    if (place_in_buffer(buffer, lane.index(buffer, l), lane.offset(l), sizeof(T), address[l])) {
      address[l] &= ~std::uint64_t{sizeof(T) - 1};
      inside |= 1ull << l;
    }
  });
  Plan plan;
  if (!plan_lanes<MemoryAccess::Write, sizeof(T)>(wave, address, inside, plan)) {
    return fault(wave, op);
  }
  const std::uint32_t* const data = row_at(wave, op.src[1]);
  const AtomicData<T> source{data, has_extra(kOp) ? data + kLanes * (sizeof(T) / 4) : nullptr};
  std::uint32_t* const to = (op.flags & kFlagGlc) != 0 ? row_at(wave, op.dst) : nullptr;
  if (to != nullptr) {
    for_lanes(lanes & ~inside, [&](unsigned l) { write_lane<T>(to, l, 0); });
  }
  run_shared<kOp, T>(plan.host, source, to, inside);
  return next(op);
}

template <Atomic kOp, typename T>
bool lower_atomic(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  constexpr unsigned kDwords = sizeof(T) / 4;
  if (!is_buffer_form(inst, inst.src[1], has_extra(kOp) ? 2 * kDwords : kDwords) ||
      (inst.glc && !is_tuple(inst.dst, kDwords))) {
    return false;
  }
  lowering.emit(atomic_buffer<kOp, T>);
  return true;
}

}  // namespace

void add_buffer_atomics(LowerTable& table) {
  using isa::Op;
#define KFDLAB_ATOMIC(name, op)                                                 \
  table.set(Op::buffer_atomic_##name, lower_atomic<Atomic::op, std::uint32_t>); \
  table.set(Op::buffer_atomic_##name##_x2, lower_atomic<Atomic::op, std::uint64_t>)
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
  table.set(Op::buffer_atomic_add_f32, lower_atomic<Atomic::AddF, std::uint32_t>);
  table.set(Op::buffer_atomic_pk_add_f16, lower_atomic<Atomic::PkAddF16, std::uint32_t>);
  table.set(Op::buffer_atomic_add_f64, lower_atomic<Atomic::AddF, std::uint64_t>);
  table.set(Op::buffer_atomic_min_f64, lower_atomic<Atomic::MinF, std::uint64_t>);
  table.set(Op::buffer_atomic_max_f64, lower_atomic<Atomic::MaxF, std::uint64_t>);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
