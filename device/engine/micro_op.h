// SPDX-License-Identifier: MIT
// MicroOp: one instruction made ready to run: a handler and where its operands are, with everything that can be
// checked or computed from the bytes already done. Micro-ops of a block lie one behind the other; most instructions
// are one of them, some (SDWA, DPP) are a few.
//
// Contract of a handler: `const MicroOp* handler(Wave&, const MicroOp&)`
//  - ran, go on behind it:            return next(op);
//  - everything else returns nullptr with wave.exit and wave.pc set, by one of the helpers below:
//      stop_at(wave, op, Exit::Fault)    the instruction has had NO effect and will be run again (fault, wait, illegal)
//      leave_behind(wave, op, Exit::...) it is done; the wave goes on behind it (barrier, yield, end)
//      jump(wave, op, pc)                it is done; the wave goes on at `pc`
//  - A memory handler translates ALL active lanes first (wave.tlb with wave.tlb_key). If one misses it leaves the
//    MemoryFault in wave.fault and returns fault(wave, op), before it has written a register or a byte of memory: that
//    makes the retry legal. With EXEC = 0 a vector memory op does nothing and cannot fault.
//  - It holds no translated pointer when it returns.
//  - Lowering has checked: VGPR and AGPR tuples lie inside the wave's allocation, scalar tuples inside the scalar
//    file, alignment rules. A handler checks only what values decide (addresses, LDS offsets, M0).
//  - Handlers neither throw, allocate nor lock.
//
// Operands: Slot::at is a byte offset from a base that its kind names; scalar() and row() below resolve it.
//   Kind::Vector    from Wave::vgpr; `at` is row * kRowBytes (AGPRs already moved behind accum_offset)
//   Kind::Scalar    from the Wave itself (its sgpr array; tuples are consecutive dwords)
//   Kind::Constant  from the MicroOp itself: a 64-bit value, 8-byte aligned, in the block's constant pool
//                   Sources that are computed when read (VCCZ, EXECZ, SCC, apertures) look like Scalar: an op in front
//                   has put the value into a scalar temp behind the wave's registers.
//   Kind::None      absent or "off"
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/engine/wave.h"
#include "device/isa/inst.h"

namespace kfdlab::engine {

struct MicroOp;
using Handler = const MicroOp* (*)(Wave& wave, const MicroOp& op);

enum class Kind : std::uint8_t { None, Vector, Scalar, Constant };

struct alignas(64) MicroOp {
  Handler handler = nullptr;
  std::int32_t dst = 0;      // Vector or Scalar
  std::int32_t sdst = 0;     // always Scalar (VCC or an SGPR pair)
  std::int32_t src[3] = {};  // by kind[]
  std::int32_t src3 = 0;     // fourth source (MUBUF soffset)
  std::int32_t imm = 0;      // memory: byte offset; SOPK, SOPP: the immediate
  std::uint32_t pc = 0;      // bytes from wave.block_pc to this instruction
  Kind kind[4] = {};         // of src[0..2], src3
  std::uint8_t neg = 0;      // VOP3: as in isa::Inst
  std::uint8_t abs = 0;
  std::uint8_t omod = 0;
  std::uint8_t flags = 0;  // kFlag...
  std::uint16_t op = 0;    // isa::Op, for reports
  std::uint8_t size = 0;   // bytes of the instruction; the next one is at pc + size
  Kind dst_kind = Kind::None;
  std::uint16_t remaining = 0;  // instructions of the block from this one on, which were charged at its entry
  union {
    std::uint64_t aux = 0;  // private to the handler
    std::uint8_t aux8[8];
    std::uint16_t aux16[4];
    std::uint32_t aux32[2];
    const void* aux_pointer;  // something that lives as long as the block
  };

  [[nodiscard]] isa::Op opcode() const { return static_cast<isa::Op>(op); }
};
static_assert(sizeof(MicroOp) == 64, "one cache line");

inline constexpr std::uint8_t kFlagClamp = 1u << 0;
inline constexpr std::uint8_t kFlagGlc = 1u << 1;
inline constexpr std::uint8_t kFlagOffen = 1u << 2;
inline constexpr std::uint8_t kFlagIdxen = 1u << 3;
inline constexpr std::uint8_t kFlagLds = 1u << 4;
inline constexpr std::uint8_t kFlagGds = 1u << 5;

[[nodiscard]] inline const MicroOp* next(const MicroOp& op) { return &op + 1; }

// The dwords of a Scalar or Constant source.
[[nodiscard]] inline const std::uint32_t* scalar(const Wave& wave, const MicroOp& op, Kind kind, std::int32_t at) {
  const auto* base =
      kind == Kind::Constant ? reinterpret_cast<const std::byte*>(&op) : reinterpret_cast<const std::byte*>(&wave);
  return reinterpret_cast<const std::uint32_t*>(base + at);
}
[[nodiscard]] inline const std::uint32_t* scalar_source(const Wave& wave, const MicroOp& op, unsigned i) {
  return scalar(wave, op, op.kind[i], op.src[i]);
}
// 64 lanes of a Vector operand; dword d of a tuple is kLanes * d further.
[[nodiscard]] inline std::uint32_t* row_at(const Wave& wave, std::int32_t at) {
  return reinterpret_cast<std::uint32_t*>(wave.vgpr + at);
}
[[nodiscard]] inline std::uint32_t* scalar_destination(Wave& wave, std::int32_t at) {
  return reinterpret_cast<std::uint32_t*>(reinterpret_cast<std::byte*>(&wave) + at);
}

[[nodiscard]] inline const MicroOp* stop_at(Wave& wave, const MicroOp& op, Exit exit) {
  wave.pc = wave.block_pc + op.pc;
  wave.refund = op.remaining;
  wave.exit = exit;
  return nullptr;
}
[[nodiscard]] inline const MicroOp* leave_behind(Wave& wave, const MicroOp& op, Exit exit) {
  wave.pc = wave.block_pc + op.pc + op.size;
  wave.refund = op.remaining - 1u;
  wave.exit = exit;
  return nullptr;
}
[[nodiscard]] inline const MicroOp* jump(Wave& wave, const MicroOp& op, std::uint64_t pc) {
  wave.pc = pc;
  wave.refund = op.remaining - 1u;
  wave.exit = Exit::Lookup;
  return nullptr;
}
// Tlb::translate() has filled wave.fault.
[[nodiscard]] inline const MicroOp* fault(Wave& wave, const MicroOp& op) { return stop_at(wave, op, Exit::Fault); }

}  // namespace kfdlab::engine
