// SPDX-License-Identifier: MIT
// MemoryBench: one wave on a TestGpu, to run single memory instructions given as isa::Inst. Its registers and LDS lie
// between inaccessible pages.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "device/engine/lower.h"
#include "device/engine/wave.h"
#include "device/isa/inst.h"
#include "device/mmu/tlb.h"
#include "tests/unit/mmu/support/test_gpu.h"

namespace kfdlab::engine {

class MemoryBench {
 public:
  static constexpr unsigned kRows = 64;
  static constexpr unsigned kAccumOffset = 48;
  static constexpr std::uint32_t kLdsSize = 0x3000;
  static constexpr std::uint32_t kSharedHigh = 0x10000;
  static constexpr std::uint32_t kPrivateHigh = 0x20000;

  explicit MemoryBench(SimdLevel level);

  // Runs one instruction: Exit::None if it went through. Exit::Illegal also when it cannot be lowered.
  Exit run(const isa::Inst& inst);

  [[nodiscard]] Wave& wave() { return wave_; }
  [[nodiscard]] device::TestGpu& gpu() { return gpu_; }
  [[nodiscard]] device::Tlb& tlb() { return tlb_; }
  [[nodiscard]] std::uint32_t& vgpr(unsigned row, unsigned lane) { return wave_.row(row)[lane]; }
  [[nodiscard]] std::span<std::uint32_t> registers() {
    return {reinterpret_cast<std::uint32_t*>(wave_.vgpr), std::size_t{kRows} * kLanes};
  }
  [[nodiscard]] std::span<std::byte> lds() { return {wave_.lds, kLdsSize}; }
  // A 64-bit value into two rows.
  void set_pair(unsigned row, unsigned lane, std::uint64_t value) {
    vgpr(row, lane) = static_cast<std::uint32_t>(value);
    vgpr(row + 1, lane) = static_cast<std::uint32_t>(value >> 32);
  }

 private:
  LowerTable table_;
  device::TestGpu gpu_;
  device::Tlb tlb_{gpu_.spaces(), gpu_.walker()};
  device::GuardedMemory registers_;
  device::GuardedMemory lds_;
  Wave wave_;
};

// Operands.
[[nodiscard]] inline isa::Operand v(unsigned index, unsigned dwords = 1) {
  return {isa::Operand::Kind::Register, static_cast<std::uint8_t>(dwords),
          static_cast<std::uint16_t>(isa::kVgpr0 + index), 0};
}
[[nodiscard]] inline isa::Operand a(unsigned index, unsigned dwords = 1) {
  return {isa::Operand::Kind::Register, static_cast<std::uint8_t>(dwords),
          static_cast<std::uint16_t>(isa::kAgpr0 + index), 0};
}
[[nodiscard]] inline isa::Operand s(unsigned index, unsigned dwords = 1) {
  return {isa::Operand::Kind::Register, static_cast<std::uint8_t>(dwords), static_cast<std::uint16_t>(index), 0};
}
[[nodiscard]] inline isa::Operand constant(std::uint64_t value) { return {isa::Operand::Kind::Constant, 1, 0, value}; }

// Levels this host can run, for INSTANTIATE_TEST_SUITE_P.
[[nodiscard]] std::vector<SimdLevel> simd_levels();
[[nodiscard]] inline const char* simd_name(SimdLevel level) { return level == SimdLevel::Avx512 ? "Avx512" : "Avx2"; }

}  // namespace kfdlab::engine
