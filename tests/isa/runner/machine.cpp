// SPDX-License-Identifier: MIT
#include "tests/isa/runner/machine.h"

#include <fmt/format.h>

#include <cstring>
#include <memory>

namespace kfdlab::isa_cases {
namespace {

using device::TestGpu;
using engine::Exit;
using engine::kRowBytes;

constexpr unsigned kRows = engine::kMaxVgprRows;
constexpr std::uint32_t kHipMode = 0x3f0;
constexpr std::uint64_t kRamPage = TestGpu::kRamBase;
constexpr unsigned kMaxTurns = 1000;

std::byte* aligned(std::vector<std::byte>& bytes, std::size_t alignment, std::size_t size) {
  void* start = bytes.data();
  std::size_t space = bytes.size();
  return static_cast<std::byte*>(std::align(alignment, size, start, space));
}

// The wave has memory of its own; its workgroup is only there to be one.
engine::Shape one_wave() {
  engine::Shape shape;
  shape.waves = 1;
  shape.vgpr_rows = 8;
  shape.accum_offset = 8;
  return shape;
}

std::string exit_text(const engine::Wave& wave) {
  switch (wave.exit) {
    case Exit::Illegal:
      return fmt::format("illegal instruction {}", isa::name(wave.illegal_op));
    case Exit::Fault:
      return fmt::format("memory fault at page 0x{:x}", wave.fault.page);
    default:
      return fmt::format("left with exit {}", static_cast<int>(wave.exit));
  }
}

}  // namespace

State State::pattern() {
  State state;
  for (std::uint32_t i = 0; i < state.scalar.size(); i++) state.scalar[i] = 0x5c000000 + i * 0x10101;
  state.scalar[isa::kExecLo] = ~0u;
  state.scalar[isa::kExecLo + 1] = ~0u;
  state.mode = kHipMode;
  state.rows.resize(kRows);
  for (std::uint32_t row = 0; row < kRows; row++) {
    for (std::uint32_t lane = 0; lane < kLanes; lane++) state.rows[row][lane] = 0xa0000000 + row * 0x100 + lane;
  }
  state.lds.resize(kLdsSize / 4);
  for (std::uint32_t i = 0; i < state.lds.size(); i++) state.lds[i] = 0x1d000000 + i;
  state.memory.resize(kMemorySize / 4);
  for (std::uint32_t i = 0; i < state.memory.size(); i++) state.memory[i] = 0xd0000000 + i;
  return state;
}

Machine::Machine(engine::SimdLevel level, std::span<const std::byte> code)
    : tlb_(gpu_.spaces(), gpu_.walker()),
      cache_(engine::lower_table(level), std::size_t{64} << 20),
      group_(one_wave()),
      vgpr_((kRows + engine::kTempRows) * kRowBytes + 64),
      lds_(kLdsSize + 64) {
  std::memcpy(gpu_.vram().data(), code.data(), code.size());
  gpu_.map_range(kCodeVa, TestGpu::kReadWrite, (code.size() + 4095) / 4096 * 4096);
  gpu_.map_range(kMemoryVa, kRamPage | TestGpu::kSystem | TestGpu::kReadWrite, kMemorySize);
  rows_ = aligned(vgpr_, 64, (kRows + engine::kTempRows) * kRowBytes);
  lds_base_ = aligned(lds_, 64, kLdsSize);
}

void Machine::load(const State& state) {
  wave_ = {};
  std::copy(state.scalar.begin(), state.scalar.end(), wave_.sgpr.begin());
  wave_.vgpr = rows_;
  wave_.vgpr_rows = kRows;
  wave_.accum_offset = kAccumulatorRow;
  wave_.scc = state.scc;
  wave_.mode = state.mode;
  wave_.tlb = &tlb_;
  wave_.tlb_key = device::Tlb::key(TestGpu::kVmid);
  wave_.group = &group_;
  wave_.lds = lds_base_;
  wave_.lds_size = kLdsSize;
  group_.waves_alive = 1;
  group_.waves_at_barrier = 0;
  std::memcpy(rows_, state.rows.data(), kRows * kRowBytes);
  std::memcpy(lds_base_, state.lds.data(), kLdsSize);
  std::memcpy(gpu_.ram().data(), state.memory.data(), kMemorySize);
}

void Machine::store(State& state) const {
  std::copy_n(wave_.sgpr.begin(), state.scalar.size(), state.scalar.begin());
  state.scc = wave_.scc;
  state.mode = wave_.mode;
  std::memcpy(state.rows.data(), rows_, kRows * kRowBytes);
  std::memcpy(state.lds.data(), lds_base_, kLdsSize);
  std::memcpy(state.memory.data(), gpu_.ram().data(), kMemorySize);
}

std::string Machine::run(std::uint64_t offset, State& state) {
  load(state);
  wave_.pc = kCodeVa + offset;
  for (unsigned turn = 0; turn < kMaxTurns; turn++) {
    wave_.budget = 10'000;
    wave_.exit = Exit::None;
    engine::run_wave(wave_, cache_);
    if (wave_.exit == Exit::End) {
      store(state);
      return "";
    }
    if (wave_.exit != Exit::Yield && wave_.exit != Exit::Barrier) return exit_text(wave_);
  }
  return "does not end";
}

}  // namespace kfdlab::isa_cases
