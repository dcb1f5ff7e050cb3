// SPDX-License-Identifier: MIT
// Hardware registers (s_getreg, s_setreg) and clocks. Facts: CDNA 2 ISA chapters 3.4-3.6 and 12.2; LLVM AMDGPU usage
// for the numbers of registers.
#include <time.h>

#include <cstdint>

#include "device/engine/lower.h"
#include "device/engine/salu.h"
#include "device/engine/workgroup.h"

namespace kfdlab::engine {
namespace {

using isa::Op;

enum HwRegister : std::uint32_t {
  kHwMode = 1,
  kHwStatus = 2,
  kHwTrapStatus = 3,
  kHwId = 4,
  kHwGprAlloc = 5,
  kHwLdsAlloc = 6,
  kHwIbStatus = 7,
  kHwShMemBases = 15,
  kHwTbaLo = 16,
  kHwTbaHi = 17,
  kHwTmaLo = 18,
  kHwTmaHi = 19,
};

// The 16-bit field: register 5:0, first bit 10:6, bits minus one 15:11.
struct Field {
  std::uint32_t id;
  std::uint32_t shift;
  std::uint32_t mask;  // not shifted
};
Field field_of(std::int32_t imm) {
  const auto bits = static_cast<std::uint32_t>(imm);
  const std::uint32_t size = (bits >> 11 & 0x1fu) + 1;
  return {bits & 0x3fu, bits >> 6 & 0x1fu, size == 32 ? ~0u : (1u << size) - 1};
}

std::uint32_t status_of(const Wave& wave) {
  std::uint32_t status = wave.scc | 1u << 16;  // VALID
  status |= wave.in_trap ? 1u << 5 : 0;        // PRIV
  status |= wave.tba != 0 ? 1u << 6 : 0;       // TRAP_EN
  status |= wave.exec() == 0 ? 1u << 9 : 0;
  status |= wave.vcc() == 0 ? 1u << 10 : 0;
  status |= wave.group != nullptr ? 1u << 11 : 0;  // IN_TG
  return status;
}

std::uint32_t read_register(const Wave& wave, std::uint32_t id) {
  switch (id) {
    case kHwMode:
      return wave.mode;
    case kHwStatus:
      return status_of(wave);
    case kHwTrapStatus:
      return wave.trap_status;
    case kHwId:
      return wave.hw_id;
    case kHwGprAlloc:
      return (wave.vgpr_rows / 8 - 1) << 8;
    case kHwLdsAlloc:
      return (wave.lds_size / 512) << 12;
    case kHwShMemBases:
      return wave.private_aperture_hi >> 16 | (wave.shared_aperture_hi & 0xffff0000u);
    case kHwTbaLo:
      return static_cast<std::uint32_t>(wave.tba);
    case kHwTbaHi:
      return static_cast<std::uint32_t>(wave.tba >> 32);
    case kHwTmaLo:
      return static_cast<std::uint32_t>(wave.tma);
    case kHwTmaHi:
      return static_cast<std::uint32_t>(wave.tma >> 32);
    default:
      return 0;
  }
}

void write_register(Wave& wave, const Field& field, std::uint32_t value) {
  const std::uint32_t mask = field.mask << field.shift;
  const std::uint32_t bits = value << field.shift & mask;
  switch (field.id) {
    case kHwMode:
      wave.mode = (wave.mode & ~mask) | bits;
      break;
    case kHwTrapStatus:
      wave.trap_status = (wave.trap_status & ~mask) | bits;
      break;
    case kHwStatus:
      if (wave.in_trap && (mask & 1u) != 0) {
        wave.scc = bits & 1u;
      }
      break;
    default:
      break;  // read only, or nothing here depends on it
  }
}

const MicroOp* getreg(Wave& wave, const MicroOp& op) {
  const Field field = field_of(op.imm);
  *scalar_destination(wave, op.dst) = read_register(wave, field.id) >> field.shift & field.mask;
  return next(op);
}
// MODE is part of the key of the code behind.
const MicroOp* setreg(Wave& wave, const MicroOp& op) {
  write_register(wave, field_of(op.imm), *scalar_source(wave, op, 0));
  return jump(wave, op, wave.block_pc + op.pc + op.size);
}

bool lower_getreg(Lowering& lowering) { return lowering.emit(getreg).dst_kind == Kind::Scalar; }
// The source register may come as destination, the literal of s_setreg_imm32 as a source.
bool lower_setreg(Lowering& lowering) {
  MicroOp& op = lowering.emit(setreg);
  if (op.kind[0] == Kind::None && op.dst_kind == Kind::Scalar) {
    op.src[0] = op.dst;
    op.kind[0] = Kind::Scalar;
  }
  lowering.end_block();
  return op.kind[0] == Kind::Scalar || op.kind[0] == Kind::Constant;
}

std::uint64_t nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

// kDivisor: nanoseconds of a tick; s_memrealtime counts the 100 MHz reference, s_memtime a core clock of 1 GHz.
template <std::uint64_t kDivisor>
const MicroOp* read_clock(Wave& wave, const MicroOp& op) {
  const std::uint64_t ticks = nanoseconds() / kDivisor;
  std::memcpy(scalar_destination(wave, op.dst), &ticks, sizeof ticks);
  return next(op);
}
template <std::uint64_t kDivisor>
bool lower_clock(Lowering& lowering) {
  return lowering.emit(read_clock<kDivisor>).dst_kind == Kind::Scalar;
}

}  // namespace

void add_salu_registers(LowerTable& table) {
  table.set(Op::s_getreg_b32, lower_getreg);
  table.set(Op::s_setreg_b32, lower_setreg);
  table.set(Op::s_setreg_imm32_b32, lower_setreg);
  table.set(Op::s_memtime, lower_clock<1>);
  table.set(Op::s_memrealtime, lower_clock<10>);
}

}  // namespace kfdlab::engine
