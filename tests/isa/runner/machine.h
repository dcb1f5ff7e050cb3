// SPDX-License-Identifier: MIT
// One wave of the engine with memory, LDS and all 512 vector registers, for code that ends with s_endpgm. State goes in
// and comes out as a whole, so that whatever an instruction must not touch can be compared too.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "device/engine/code_cache.h"
#include "device/engine/lower.h"
#include "device/engine/wave.h"
#include "device/engine/workgroup.h"
#include "tests/unit/mmu/support/test_gpu.h"

namespace kfdlab::isa_cases {

inline constexpr unsigned kLanes = engine::kLanes;
inline constexpr unsigned kAccumulatorRow = 256;  // rows of AGPRs follow the 256 of VGPRs
inline constexpr std::uint64_t kCodeVa = 0x1'0000'0000;
inline constexpr std::uint64_t kMemoryVa = 0x2'0000'0000;
inline constexpr std::uint64_t kMemorySize = 64u << 10;
inline constexpr std::uint32_t kLdsSize = 64u << 10;

using Row = std::array<std::uint32_t, kLanes>;

struct State {
  std::array<std::uint32_t, isa::kScalarRegisters> scalar{};
  std::uint32_t scc = 0;
  std::uint32_t mode = 0;
  std::vector<Row> rows;           // VGPRs, AGPRs
  std::vector<std::uint32_t> lds;  // dwords
  std::vector<std::uint32_t> memory;

  // Everything holds a pattern of its place; EXEC is all lanes, SCC 0, MODE as HIP kernels begin with it: round to
  // nearest even, all denormals, IEEE and DX10 clamp.
  [[nodiscard]] static State pattern();
};

class Machine {
 public:
  Machine(engine::SimdLevel level, std::span<const std::byte> code);

  // Runs the code at `offset` to its end. An error says why it did not come to its end.
  [[nodiscard]] std::string run(std::uint64_t offset, State& state);

 private:
  void load(const State& state);
  void store(State& state) const;

  device::TestGpu gpu_;
  device::Tlb tlb_;
  engine::CodeCache cache_;
  engine::Workgroup group_;
  engine::Wave wave_;
  std::vector<std::byte> vgpr_;
  std::vector<std::byte> lds_;
  std::byte* rows_ = nullptr;  // in vgpr_, aligned
  std::byte* lds_base_ = nullptr;
};

}  // namespace kfdlab::isa_cases
