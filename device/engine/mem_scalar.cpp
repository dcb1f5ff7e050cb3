// SPDX-License-Identifier: MIT
// Scalar memory: loads, and the stores and atomics that trap handlers use. Through the same TLB as everything else;
// scalar caches do not exist, so cache control does nothing. Addresses are aligned down to a dword.
// Facts: CDNA 2 ISA chapter 7; s_buffer_* use the descriptor's base, stride and records: dwords behind the end read 0
// and are not written. s_scratch_* count their register offset in units of 64 bytes, the step of a lane's scratch.
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
KFDLAB_INLINE std::uint64_t scalar_scratch_address(const Wave& wave, const MicroOp& op) {
  const auto base = read_unaligned<std::uint64_t>(scalar_source(wave, op, 0));
  const std::uint64_t reg = op.kind[2] == Kind::None ? 0 : *scalar_source(wave, op, 2);
  return ((base & ~3ull) + reg * 64 + static_cast<std::uint64_t>(static_cast<std::int64_t>(op.imm))) & ~3ull;
}

// What a descriptor makes of the offset: where, and how many of the wanted dwords lie inside.
struct ScalarBuffer {
  std::uint64_t address;
  unsigned dwords;
};
KFDLAB_INLINE ScalarBuffer scalar_buffer(const Wave& wave, const MicroOp& op, unsigned wanted) {
  std::uint32_t words[4];
  std::memcpy(words, scalar_source(wave, op, 0), sizeof words);
  const std::uint64_t base = words[0] | std::uint64_t{words[1] & 0xffffu} << 32;
  const std::uint64_t stride = words[1] >> 16 & 0x3fffu;
  const std::uint64_t size = stride == 0 ? words[2] : stride * words[2];
  const std::uint64_t offset = scalar_offset(wave, op) & ~3ull;
  const std::uint64_t left = offset < size ? (size - offset) / 4 : 0;
  return {(base + offset) & ~3ull, left < wanted ? static_cast<unsigned>(left) : wanted};
}

enum class Space : std::uint8_t { Memory, Buffer, Scratch };
template <Space kSpace>
KFDLAB_INLINE ScalarBuffer scalar_place(const Wave& wave, const MicroOp& op, unsigned dwords) {
  if constexpr (kSpace == Space::Buffer) {
    return scalar_buffer(wave, op, dwords);
  } else if constexpr (kSpace == Space::Scratch) {
    return {scalar_scratch_address(wave, op), dwords};
  } else {
    return {scalar_address(wave, op), dwords};
  }
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

template <Space kSpace, unsigned kDwords>
const MicroOp* load_scalar(Wave& wave, const MicroOp& op) {
  const ScalarBuffer place = scalar_place<kSpace>(wave, op, kDwords);
  std::uint32_t* const to = scalar_destination(wave, op.dst);
  if (kSpace == Space::Buffer && place.dwords == 0) {
    std::memset(to, 0, 4 * kDwords);
    return next(op);
  }
  ScalarRun run;
  if (!plan_scalar<MemoryAccess::Read>(wave, place.address, 4 * place.dwords, run)) {
    return fault(wave, op);
  }
  if (run.tail == nullptr && place.dwords == kDwords) [[likely]] {
    std::memcpy(to, run.head, 4 * kDwords);
    return next(op);
  }
  std::uint32_t value[kDwords] = {};
  std::memcpy(value, run.head, run.head_bytes);
  if (run.tail != nullptr) {
    std::memcpy(reinterpret_cast<std::byte*>(value) + run.head_bytes, run.tail, 4 * place.dwords - run.head_bytes);
  }
  std::memcpy(to, value, sizeof value);
  return next(op);
}

template <Space kSpace, unsigned kDwords>
const MicroOp* store_scalar(Wave& wave, const MicroOp& op) {
  const ScalarBuffer place = scalar_place<kSpace>(wave, op, kDwords);
  if (kSpace == Space::Buffer && place.dwords == 0) {
    return next(op);
  }
  ScalarRun run;
  if (!plan_scalar<MemoryAccess::Write>(wave, place.address, 4 * place.dwords, run)) {
    return fault(wave, op);
  }
  const auto* const from = reinterpret_cast<const std::byte*>(scalar_source(wave, op, 1));
  std::memcpy(run.head, from, run.head_bytes);
  if (run.tail != nullptr) {
    std::memcpy(run.tail, from + run.head_bytes, 4 * place.dwords - run.head_bytes);
  }
  return next(op);
}

// Data (and behind it the value to compare with) in src[1], which gets the old value with GLC.
template <Space kSpace, Atomic kOp, typename T>
const MicroOp* atomic_scalar(Wave& wave, const MicroOp& op) {
  const ScalarBuffer place = scalar_place<kSpace>(wave, op, sizeof(T) / 4);
  T old = 0;
  if (place.dwords == sizeof(T) / 4) {
    const std::uint64_t address = place.address & ~std::uint64_t{sizeof(T) - 1};
    std::byte* const host = wave.tlb->translate<MemoryAccess::Write>(wave.tlb_key, address, wave.fault);
    if (host == nullptr) {
      return fault(wave, op);
    }
    T operands[2] = {};
    std::memcpy(operands, scalar_source(wave, op, 1), sizeof(T) * (has_extra(kOp) ? 2 : 1));
    old = apply_shared<kOp>(reinterpret_cast<T*>(host), operands[0], operands[1]);
  }
  if ((op.flags & kFlagGlc) != 0) {
    std::memcpy(scalar_destination(wave, op.src[1]), &old, sizeof old);
  }
  return next(op);
}

// Probes ask for a translation ahead of its use, which nobody sees.
const MicroOp* control_cache(Wave&, const MicroOp& op) { return next(op); }

bool is_scalar(const isa::Operand& operand, unsigned dwords) {
  return operand.is_register() && operand.reg + dwords <= isa::kScalarRegisters;
}
bool has_scalar_offset(const isa::Inst& inst) { return !inst.src[2].is_vector(); }

constexpr unsigned base_dwords(Space space) { return space == Space::Buffer ? 4 : 2; }

template <Space kSpace, unsigned kDwords>
bool lower_load(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  if (!is_scalar(inst.src[0], base_dwords(kSpace)) || !is_scalar(inst.dst, kDwords) || !has_scalar_offset(inst)) {
    return false;
  }
  lowering.emit(load_scalar<kSpace, kDwords>);
  return true;
}

bool lower_write(Lowering& lowering, Handler handler, Space space, unsigned dwords) {
  const isa::Inst& inst = lowering.inst();
  if (!is_scalar(inst.src[0], base_dwords(space)) || !is_scalar(inst.src[1], dwords) || !has_scalar_offset(inst)) {
    return false;
  }
  lowering.emit(handler);
  return true;
}
template <Space kSpace, unsigned kDwords>
bool lower_store(Lowering& lowering) {
  return lower_write(lowering, store_scalar<kSpace, kDwords>, kSpace, kDwords);
}
template <Space kSpace, Atomic kOp, typename T>
bool lower_atomic(Lowering& lowering) {
  return lower_write(lowering, atomic_scalar<kSpace, kOp, T>, kSpace, sizeof(T) / 4 * (has_extra(kOp) ? 2 : 1));
}

bool lower_cache(Lowering& lowering) {
  lowering.emit_bare(control_cache);
  return true;
}

void add_scalar_atomics(LowerTable& table) {
  using isa::Op;
#define KFDLAB_ATOMIC(name, op)                                                                  \
  table.set(Op::s_atomic_##name, lower_atomic<Space::Memory, Atomic::op, std::uint32_t>);        \
  table.set(Op::s_atomic_##name##_x2, lower_atomic<Space::Memory, Atomic::op, std::uint64_t>);   \
  table.set(Op::s_buffer_atomic_##name, lower_atomic<Space::Buffer, Atomic::op, std::uint32_t>); \
  table.set(Op::s_buffer_atomic_##name##_x2, lower_atomic<Space::Buffer, Atomic::op, std::uint64_t>)
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
  table.set(Op::s_load_dword, lower_load<Space::Memory, 1>);
  table.set(Op::s_load_dwordx2, lower_load<Space::Memory, 2>);
  table.set(Op::s_load_dwordx4, lower_load<Space::Memory, 4>);
  table.set(Op::s_load_dwordx8, lower_load<Space::Memory, 8>);
  table.set(Op::s_load_dwordx16, lower_load<Space::Memory, 16>);
  table.set(Op::s_buffer_load_dword, lower_load<Space::Buffer, 1>);
  table.set(Op::s_buffer_load_dwordx2, lower_load<Space::Buffer, 2>);
  table.set(Op::s_buffer_load_dwordx4, lower_load<Space::Buffer, 4>);
  table.set(Op::s_buffer_load_dwordx8, lower_load<Space::Buffer, 8>);
  table.set(Op::s_buffer_load_dwordx16, lower_load<Space::Buffer, 16>);
  table.set(Op::s_scratch_load_dword, lower_load<Space::Scratch, 1>);
  table.set(Op::s_scratch_load_dwordx2, lower_load<Space::Scratch, 2>);
  table.set(Op::s_scratch_load_dwordx4, lower_load<Space::Scratch, 4>);
  table.set(Op::s_store_dword, lower_store<Space::Memory, 1>);
  table.set(Op::s_store_dwordx2, lower_store<Space::Memory, 2>);
  table.set(Op::s_store_dwordx4, lower_store<Space::Memory, 4>);
  table.set(Op::s_buffer_store_dword, lower_store<Space::Buffer, 1>);
  table.set(Op::s_buffer_store_dwordx2, lower_store<Space::Buffer, 2>);
  table.set(Op::s_buffer_store_dwordx4, lower_store<Space::Buffer, 4>);
  table.set(Op::s_scratch_store_dword, lower_store<Space::Scratch, 1>);
  table.set(Op::s_scratch_store_dwordx2, lower_store<Space::Scratch, 2>);
  table.set(Op::s_scratch_store_dwordx4, lower_store<Space::Scratch, 4>);
  add_scalar_atomics(table);
  for (const Op op : {Op::s_dcache_inv, Op::s_dcache_inv_vol, Op::s_dcache_wb, Op::s_dcache_wb_vol,
                      Op::s_dcache_discard, Op::s_dcache_discard_x2, Op::s_atc_probe, Op::s_atc_probe_buffer}) {
    table.set(op, lower_cache);
  }
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
