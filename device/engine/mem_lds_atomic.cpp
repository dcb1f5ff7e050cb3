// SPDX-License-Identifier: MIT
// DS atomics, in ascending order of lanes. Out of range: no operation, and 0 is returned.
#include "device/engine/mem_atomic.h"
#include "device/engine/mem_plan.h"
#include "device/engine/mem_tables.h"
#include "device/engine/micro_op.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

// DS compares with data0 and writes data1; the others use data0 and, as extra, data1.
constexpr bool compares(Atomic op) { return op == Atomic::Cmpswap || op == Atomic::CmpswapF; }

template <Atomic kOp, typename T, bool kReturn>
const MicroOp* atomic_lds(Wave& wave, const MicroOp& op) {
  const std::uint64_t lanes = wave.exec();
  if (lanes == 0) {
    return next(op);
  }
  alignas(64) std::uint32_t row[kLanes];
  const std::uint32_t* const addresses = row_at(wave, op.src[0]);
  const auto offset = static_cast<std::uint32_t>(op.imm);
  for (unsigned l = 0; l < kLanes; ++l) {
    row[l] = (addresses[l] + offset) & ~std::uint32_t{sizeof(T) - 1};
  }
  alignas(64) std::uint64_t host[kLanes];
  std::uint64_t inside = 0;
  if (wave.lds_size >= sizeof(T)) {
    const auto limit = static_cast<std::uint32_t>(wave.lds_size - sizeof(T));
    inside = lanes & add_offsets(host, row, 0, limit, wave.lds, kZeros);
  }
  const std::uint32_t* const data0 = row_at(wave, op.src[1]);
  const std::uint32_t* const data1 = has_extra(kOp) ? row_at(wave, op.src[2]) : nullptr;
  const AtomicData<T> source = compares(kOp) ? AtomicData<T>{data1, data0} : AtomicData<T>{data0, data1};
  std::uint32_t* const to = kReturn ? row_at(wave, op.dst) : nullptr;
  if (to != nullptr) {
    for_lanes(lanes & ~inside, [&](unsigned l) { write_lane<T>(to, l, 0); });
  }
  run_local<kOp, T>(host, source, to, inside);
  return next(op);
}

template <Atomic kOp, typename T, bool kReturn>
bool lower_atomic(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  constexpr unsigned kDwords = sizeof(T) / 4;
  if (!inst.src[0].is_vector() || !is_tuple(inst.src[1], kDwords) ||
      (has_extra(kOp) && !is_tuple(inst.src[2], kDwords)) || (kReturn && !is_tuple(inst.dst, kDwords)) || inst.gds) {
    return false;
  }
  lowering.emit(atomic_lds<kOp, T, kReturn>);
  return true;
}

}  // namespace

void add_lds_atomics(LowerTable& table) {
  using isa::Op;
#define KFDLAB_ATOMIC(name, type32, type64, op)                                           \
  table.set(Op::ds_##name##_##type32, lower_atomic<Atomic::op, std::uint32_t, false>);    \
  table.set(Op::ds_##name##_rtn_##type32, lower_atomic<Atomic::op, std::uint32_t, true>); \
  table.set(Op::ds_##name##_##type64, lower_atomic<Atomic::op, std::uint64_t, false>);    \
  table.set(Op::ds_##name##_rtn_##type64, lower_atomic<Atomic::op, std::uint64_t, true>)
  KFDLAB_ATOMIC(add, u32, u64, Add);
  KFDLAB_ATOMIC(sub, u32, u64, Sub);
  KFDLAB_ATOMIC(rsub, u32, u64, Rsub);
  KFDLAB_ATOMIC(inc, u32, u64, Inc);
  KFDLAB_ATOMIC(dec, u32, u64, Dec);
  KFDLAB_ATOMIC(min, i32, i64, Smin);
  KFDLAB_ATOMIC(max, i32, i64, Smax);
  KFDLAB_ATOMIC(min, u32, u64, Umin);
  KFDLAB_ATOMIC(max, u32, u64, Umax);
  KFDLAB_ATOMIC(and, b32, b64, And);
  KFDLAB_ATOMIC(or, b32, b64, Or);
  KFDLAB_ATOMIC(xor, b32, b64, Xor);
  KFDLAB_ATOMIC(mskor, b32, b64, Mskor);
  KFDLAB_ATOMIC(cmpst, b32, b64, Cmpswap);
  KFDLAB_ATOMIC(cmpst, f32, f64, CmpswapF);
  KFDLAB_ATOMIC(add, f32, f64, AddF);
  KFDLAB_ATOMIC(min, f32, f64, MinF);
  KFDLAB_ATOMIC(max, f32, f64, MaxF);
#undef KFDLAB_ATOMIC
  table.set(Op::ds_wrxchg_rtn_b32, lower_atomic<Atomic::Swap, std::uint32_t, true>);
  table.set(Op::ds_wrxchg_rtn_b64, lower_atomic<Atomic::Swap, std::uint64_t, true>);
  table.set(Op::ds_wrap_rtn_b32, lower_atomic<Atomic::Wrap, std::uint32_t, true>);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
