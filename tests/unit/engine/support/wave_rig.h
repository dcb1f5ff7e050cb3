// SPDX-License-Identifier: MIT
// WaveRig: one wave with its registers, code and two pages of data, run by the run loop without threads or scheduler.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "device/engine/code_cache.h"
#include "device/engine/lower.h"
#include "device/engine/wave.h"
#include "tests/unit/mmu/support/test_gpu.h"

namespace kfdlab::engine {

class WaveRig {
 public:
  static constexpr std::uint64_t kCode = 0x400000;  // GPU VA, one page to begin with
  static constexpr std::uint64_t kData = 0x600000;
  static constexpr std::uint64_t kDataBytes = 64u << 10;
  static constexpr unsigned kRows = 256;   // VGPRs; as many AGPRs behind
  // HIP's usual MODE: all denormals, round to nearest, DX10_CLAMP, IEEE.
  static constexpr std::uint32_t kHipMode = 0xf0u | kModeDx10Clamp | kModeIeee;

  explicit WaveRig(SimdLevel level);

  [[nodiscard]] Wave& wave() { return wave_; }
  [[nodiscard]] device::TestGpu& gpu() { return gpu_; }
  [[nodiscard]] CodeCache& code() { return *code_; }
  [[nodiscard]] std::uint32_t& v(unsigned reg, unsigned lane) { return wave_.row(reg)[lane]; }
  [[nodiscard]] std::uint64_t v64(unsigned reg, unsigned lane);
  void set_v(unsigned reg, const std::function<std::uint32_t(unsigned lane)>& value);
  void set_v64(unsigned reg, const std::function<std::uint64_t(unsigned lane)>& value);
  [[nodiscard]] std::uint32_t& s(unsigned reg) { return wave_.sgpr[reg]; }
  [[nodiscard]] std::uint8_t* data() { return reinterpret_cast<std::uint8_t*>(gpu_.ram().data()) + kDataOffset; }

  // Puts the words at kCode and the PC there.
  void load(const std::vector<std::uint32_t>& words);
  // Runs from the PC on; as many instructions as executed() says then.
  Exit run(std::int64_t budget = 100'000);
  [[nodiscard]] std::int64_t executed() const { return executed_; }

 private:
  static constexpr std::uint64_t kCodeOffset = 0;
  static constexpr std::uint64_t kCodeBytes = 256u << 10;
  static constexpr std::uint64_t kDataOffset = kCodeBytes;

  device::TestGpu gpu_;
  device::Tlb tlb_;
  std::unique_ptr<CodeCache> code_;
  std::vector<std::byte> registers_;
  alignas(64) std::byte lds_[8192];
  Wave wave_;
  std::int64_t executed_ = 0;
};

// Levels this host can run, for INSTANTIATE_TEST_SUITE_P.
[[nodiscard]] std::vector<SimdLevel> simd_levels();
[[nodiscard]] std::string simd_name(SimdLevel level);

// Values at which arithmetic tends to go wrong, then a hash of i.
[[nodiscard]] std::uint32_t interesting32(unsigned i);
[[nodiscard]] std::uint64_t interesting64(unsigned i);

}  // namespace kfdlab::engine
