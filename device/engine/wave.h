// SPDX-License-Identifier: MIT
// Wave: the architectural state of 64 work-items that run in step, laid out for the handlers that change it. Plain
// data: one engine thread owns a wave while it runs it, and nobody else reads it then.
//
// Invariants:
//  - exec() and vcc() are sgpr[] themselves (no shadow copy), so any SALU or SMEM write to them just works.
//  - rows [0, vgpr_rows) of `vgpr` are the wave's allocation (architected VGPRs, then from accum_offset on the AGPRs)
//    and kTempRows rows behind belong to the engine. Lowering checked every register number against this, so handlers
//    never check.
//  - `pc` is exact only while the wave does not run; the address of a running instruction is block_pc + MicroOp::pc.
// Facts: CDNA 2 ISA chapters 3 and 4; LLVM AMDGPU usage (kernel descriptor, initial state).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "device/isa/inst.h"
#include "device/mmu/tlb.h"

namespace kfdlab::engine {

inline constexpr unsigned kLanes = 64;
inline constexpr unsigned kRowBytes = kLanes * sizeof(std::uint32_t);
inline constexpr unsigned kMaxVgprRows = 512;
// Rows behind the allocation: sources that SDWA, DPP and swizzles prepare, results before they are merged.
inline constexpr unsigned kTempRows = 16;
// Scalar temps of the engine, behind the wave's registers.
inline constexpr unsigned kScalarTemp = isa::kScalarRegisters;
inline constexpr unsigned kScalarFile = kScalarTemp + 16;

struct Workgroup;

// Why a handler left the run loop (it returned nullptr). `pc` is where the wave goes on, if it does.
enum class Exit : std::uint8_t {
  None,
  Lookup,   // pc is in another block: the run loop finds or makes it
  Yield,    // s_sleep, a spent budget: let others run, then go on at pc
  Barrier,  // waits for the other waves of the workgroup; pc is behind s_barrier
  Fault,    // `fault` says which access; pc is the faulting instruction, which has had no effect at all
  Wait,     // pc is the instruction itself, to be tried again after others ran (GWS, a busy message queue)
  End,      // s_endpgm
  Illegal,  // bytes at pc are no instruction, or one the engine does not have (`illegal_op`)
  Trap,     // s_trap with `trap_id` and no trap handler installed
  Killed,   // the queue or its VMID is being torn down
};

// MODE (hwreg 1) bits the engine acts on.
inline constexpr std::uint32_t kModeRoundShift = 0;   // 3:0, f32 in 1:0, f64 and f16 in 3:2
inline constexpr std::uint32_t kModeDenormShift = 4;  // 7:4, f32 in 5:4, f64 and f16 in 7:6
inline constexpr std::uint32_t kModeDx10Clamp = 1u << 8;
inline constexpr std::uint32_t kModeIeee = 1u << 9;
inline constexpr std::uint32_t kModeFp16Ovfl = 1u << 23;
inline constexpr std::uint32_t kModeGprIndex = 1u << 27;
inline constexpr std::uint32_t kModeVskip = 1u << 28;

struct alignas(64) Wave {
  // Indexed by isa::Operand::reg below kScalarRegisters: SGPRs, FLAT_SCRATCH 102, XNACK_MASK 104, VCC 106,
  // TTMPs 108, M0 124, EXEC 126.
  std::array<std::uint32_t, kScalarFile> sgpr{};

  std::byte* vgpr = nullptr;  // row r, lane l: u32 at vgpr + r * kRowBytes + l * 4; 64-byte aligned
  std::uint32_t vgpr_rows = 0;
  std::uint32_t accum_offset = 0;

  std::uint32_t scc = 0;  // 0 or 1
  std::uint32_t mode = 0;

  std::uint64_t pc = 0;        // GPU virtual address; see above
  std::uint64_t block_pc = 0;  // of the block that runs
  // Wave instructions this wave may still run before it must yield; blocks subtract their length at entry.
  std::int64_t budget = 0;
  std::uint32_t refund = 0;      // of the block that was left before its end
  const void* link = nullptr;    // the branch that led to Exit::Lookup, to be told the block found
  std::uint64_t code_epoch = 0;  // blocks verified in another epoch are compared with memory before they run
  std::uint64_t saved_exec = 0;  // while an instruction with DPP runs

  device::Tlb* tlb = nullptr;  // of the thread that runs the wave now
  device::Tlb::Key tlb_key = 0;
  Workgroup* group = nullptr;

  std::byte* lds = nullptr;    // of the workgroup; 16-byte aligned
  std::uint32_t lds_size = 0;  // bytes; reads behind give 0, writes are dropped
  std::uint32_t wave_in_group = 0;

  // Flat apertures: bits 63:32 of the base; an address whose high half equals one of them is LDS or private.
  std::uint32_t shared_aperture_hi = 0;
  std::uint32_t private_aperture_hi = 0;
  // Scratch of this wave: what the kernel got in its descriptor and FLAT_SCRATCH; bytes of each lane.
  std::uint64_t scratch_base = 0;
  std::uint32_t scratch_lane_bytes = 0;

  bool in_trap = false;           // between s_trap and s_rfe
  std::uint32_t trap_status = 0;  // TRAPSTS as s_getreg shows it
  std::uint32_t hw_id = 0;
  std::uint64_t tba = 0;  // trap handler; 0 when there is none
  std::uint64_t tma = 0;

  std::uint64_t gws_ticket = 0;  // of the ds_gws instruction the wave waits in; gws.h

  Exit exit = Exit::None;
  std::uint8_t trap_id = 0;
  isa::Op illegal_op = isa::Op::kCount;  // kCount: the bytes are no instruction at all
  device::MemoryFault fault;

  [[nodiscard]] std::uint64_t u64(unsigned index) const {
    std::uint64_t value;
    std::memcpy(&value, &sgpr[index], sizeof value);
    return value;
  }
  void set_u64(unsigned index, std::uint64_t value) { std::memcpy(&sgpr[index], &value, sizeof value); }
  [[nodiscard]] std::uint64_t exec() const { return u64(isa::kExecLo); }
  [[nodiscard]] std::uint64_t vcc() const { return u64(isa::kVccLo); }
  void set_exec(std::uint64_t value) { set_u64(isa::kExecLo, value); }
  void set_vcc(std::uint64_t value) { set_u64(isa::kVccLo, value); }

  [[nodiscard]] std::uint32_t* row(unsigned index) const {
    return reinterpret_cast<std::uint32_t*>(vgpr + std::size_t{index} * kRowBytes);
  }
};

}  // namespace kfdlab::engine
