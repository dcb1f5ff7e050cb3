// SPDX-License-Identifier: MIT
// Scalar memory: loads, and the stores and atomics that trap handlers use. Through the same TLB as everything else;
// scalar caches do not exist, so cache control does nothing. Addresses are aligned down to a dword.
// Facts: CDNA 2 ISA chapter 7; s_buffer_* use the descriptor's base, stride and records.
#include "device/engine/mem_atomic.h"
#include "device/engine/mem_plan.h"
#include "device/engine/mem_tables.h"
#include "device/engine/micro_op.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

// Register and immediate offset together.
KFDLAB_INLINE std::uint64_t scalar_offset(const Wave& wave, const MicroOp& op) {
  const std::uint64_t reg = op.kind[2] == Kind::None ? 0 : *scalar_source(wave, op, 2);
  return reg + static_cast<std::uint64_t>(static_cast<std::int64_t>(op.imm));
}

KFDLAB_INLINE std::uint64_t scalar_address(const Wave& wave, const MicroOp& op) {
  const auto base = read_unaligned<std::uint64_t>(scalar_source(wave, op, 0));
  return ((base & ~3ull) + scalar_offset(wave, op)) & ~3ull;
}

// Host addresses of `dwords` dwords, which lie in at most two pages.
struct ScalarRun {
  std::byte* head = nullptr;
  std::byte* tail = nullptr;
  unsigned head_bytes = 0;
};

template <MemoryAccess kAccess>
KFDLAB_INLINE bool plan_scalar(Wave& wave, std::uint64_t address, unsigned bytes, ScalarRun& run) {
  run.head = wave.tlb->translate<kAccess>(wave.tlb_key, address, wave.fault);
  if (run.head == nullptr) {
    return false;
  }
  const auto room = static_cast<unsigned>(Tlb::kPageSize - (address & Tlb::kPageMask));
  run.head_bytes = room < bytes ? room : bytes;
  if (run.head_bytes != bytes) {
    run.tail = wave.tlb->translate<kAccess>(wave.tlb_key, address + room, wave.fault);
    return run.tail != nullptr;
  }
  return true;
}

template <unsigned kDwords>
const MicroOp* load_scalar(Wave& wave, const MicroOp& op) {
  ScalarRun run;
  if (!plan_scalar<MemoryAccess::Read>(wave, scalar_address(wave, op), 4 * kDwords, run)) {
    return fault(wave, op);
  }
  std::uint32_t* const to = scalar_destination(wave, op.dst);
  if (run.tail == nullptr) [[likely]] {
    std::memcpy(to, run.head, 4 * kDwords);
  } else {
    std::memcpy(to, run.head, run.head_bytes);
    std::memcpy(reinterpret_cast<std::byte*>(to) + run.head_bytes, run.tail, 4 * kDwords - run.head_bytes);
  }
  return next(op);
}

template <unsigned kDwords>
const MicroOp* store_scalar(Wave& wave, const MicroOp& op) {
  ScalarRun run;
  if (!plan_scalar<MemoryAccess::Write>(wave, scalar_address(wave, op), 4 * kDwords, run)) {
    return fault(wave, op);
  }
  const auto* const from = reinterpret_cast<const std::byte*>(scalar_source(wave, op, 1));
  std::memcpy(run.head, from, run.head_bytes);
  if (run.tail != nullptr) {
    std::memcpy(run.tail, from + run.head_bytes, 4 * kDwords - run.head_bytes);
  }
  return next(op);
}

// Dwords behind the end of the buffer read 0.
template <unsigned kDwords>
const MicroOp* load_scalar_buffer(Wave& wave, const MicroOp& op) {
  std::uint32_t words[4];
  std::memcpy(words, scalar_source(wave, op, 0), sizeof words);
  const std::uint64_t base = words[0] | std::uint64_t{words[1] & 0xffffu} << 32;
  const std::uint64_t stride = words[1] >> 16 & 0x3fffu;
  const std::uint64_t size = stride == 0 ? words[2] : stride * words[2];
  const std::uint64_t offset = scalar_offset(wave, op) & ~3ull;
  const std::uint64_t left = offset < size ? (size - offset) / 4 : 0;
  const unsigned dwords = left < kDwords ? static_cast<unsigned>(left) : kDwords;
  std::uint32_t value[kDwords] = {};
  if (dwords != 0) {
    ScalarRun run;
    if (!plan_scalar<MemoryAccess::Read>(wave, (base + offset) & ~3ull, 4 * dwords, run)) {
      return fault(wave, op);
    }
    std::memcpy(value, run.head, run.head_bytes);
    if (run.tail != nullptr) {
      std::memcpy(reinterpret_cast<std::byte*>(value) + run.head_bytes, run.tail, 4 * dwords - run.head_bytes);
    }
  }
  std::memcpy(scalar_destination(wave, op.dst), value, sizeof value);
  return next(op);
}

// Data (and behind it the value to compare with) in src[1], which gets the old value with GLC.
template <Atomic kOp, typename T>
const MicroOp* atomic_scalar(Wave& wave, const MicroOp& op) {
  const std::uint64_t address = scalar_address(wave, op) & ~std::uint64_t{sizeof(T) - 1};
  std::byte* const host = wave.tlb->translate<MemoryAccess::Write>(wave.tlb_key, address, wave.fault);
  if (host == nullptr) {
    return fault(wave, op);
  }
  T operands[2] = {};
  std::memcpy(operands, scalar_source(wave, op, 1), sizeof(T) * (has_extra(kOp) ? 2 : 1));
  const T old = apply_shared<kOp>(reinterpret_cast<T*>(host), operands[0], operands[1]);
  if ((op.flags & kFlagGlc) != 0) {
    std::memcpy(scalar_destination(wave, op.src[1]), &old, sizeof old);
  }
  return next(op);
}

const MicroOp* control_cache(Wave&, const MicroOp& op) { return next(op); }

bool is_scalar(const isa::Operand& operand, unsigned dwords) {
  return operand.is_register() && operand.reg + dwords <= isa::kScalarRegisters;
}
bool has_scalar_offset(const isa::Inst& inst) { return !inst.src[2].is_vector(); }

template <Handler kHandler, unsigned kDwords, unsigned kBaseDwords>
bool lower_load(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  if (!is_scalar(inst.src[0], kBaseDwords) || !is_scalar(inst.dst, kDwords) || !has_scalar_offset(inst)) {
    return false;
  }
  lowering.emit(kHandler);
  return true;
}

template <Handler kHandler, unsigned kDwords>
bool lower_store(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  if (!is_scalar(inst.src[0], 2) || !is_scalar(inst.src[1], kDwords) || !has_scalar_offset(inst)) {
    return false;
  }
  lowering.emit(kHandler);
  return true;
}

template <Atomic kOp, typename T>
bool lower_atomic(Lowering& lowering) {
  return lower_store<atomic_scalar<kOp, T>, sizeof(T) / 4 * (has_extra(kOp) ? 2 : 1)>(lowering);
}

bool lower_cache(Lowering& lowering) {
  lowering.emit_bare(control_cache);
  return true;
}

void add_scalar_atomics(LowerTable& table) {
  using isa::Op;
#define KFDLAB_ATOMIC(name, op)                                            \
  table.set(Op::s_atomic_##name, lower_atomic<Atomic::op, std::uint32_t>); \
  table.set(Op::s_atomic_##name##_x2, lower_atomic<Atomic::op, std::uint64_t>)
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
}

}  // namespace

void add_scalar_memory(LowerTable& table) {
  using isa::Op;
  table.set(Op::s_load_dword, lower_load<load_scalar<1>, 1, 2>);
  table.set(Op::s_load_dwordx2, lower_load<load_scalar<2>, 2, 2>);
  table.set(Op::s_load_dwordx4, lower_load<load_scalar<4>, 4, 2>);
  table.set(Op::s_load_dwordx8, lower_load<load_scalar<8>, 8, 2>);
  table.set(Op::s_load_dwordx16, lower_load<load_scalar<16>, 16, 2>);
  table.set(Op::s_buffer_load_dword, lower_load<load_scalar_buffer<1>, 1, 4>);
  table.set(Op::s_buffer_load_dwordx2, lower_load<load_scalar_buffer<2>, 2, 4>);
  table.set(Op::s_buffer_load_dwordx4, lower_load<load_scalar_buffer<4>, 4, 4>);
  table.set(Op::s_buffer_load_dwordx8, lower_load<load_scalar_buffer<8>, 8, 4>);
  table.set(Op::s_buffer_load_dwordx16, lower_load<load_scalar_buffer<16>, 16, 4>);
  table.set(Op::s_store_dword, lower_store<store_scalar<1>, 1>);
  table.set(Op::s_store_dwordx2, lower_store<store_scalar<2>, 2>);
  table.set(Op::s_store_dwordx4, lower_store<store_scalar<4>, 4>);
  add_scalar_atomics(table);
  for (const Op op : {Op::s_dcache_inv, Op::s_dcache_inv_vol, Op::s_dcache_wb, Op::s_dcache_wb_vol,
                      Op::s_dcache_discard, Op::s_dcache_discard_x2}) {
    table.set(op, lower_cache);
  }
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
