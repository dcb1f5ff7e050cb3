// SPDX-License-Identifier: MIT
#include "tests/unit/engine/support/wave_rig.h"

#include <array>
#include <cstring>

namespace kfdlab::engine {

using device::TestGpu;

WaveRig::WaveRig(SimdLevel level)
    : tlb_(gpu_.spaces(), gpu_.walker()),
      code_(std::make_unique<CodeCache>(lower_table(level), 8u << 20)),
      registers_((2 * kRows + kTempRows + 1) * kRowBytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(registers_.data());
  wave_.vgpr = registers_.data() + (64 - address % 64) % 64;
  wave_.vgpr_rows = 2 * kRows;
  wave_.accum_offset = kRows;
  wave_.mode = kHipMode;
  wave_.lds = lds_;
  wave_.lds_size = sizeof lds_ - 64;
  wave_.tlb = &tlb_;
  wave_.tlb_key = device::Tlb::key(TestGpu::kVmid);
  wave_.set_exec(~0ull);
  std::memset(lds_, 0, sizeof lds_);
  gpu_.map_range(kCode, (TestGpu::kRamBase + kCodeOffset) | TestGpu::kReadWrite | TestGpu::kSystem, kCodeBytes);
  gpu_.map_range(kData, (TestGpu::kRamBase + kDataOffset) | TestGpu::kReadWrite | TestGpu::kSystem, kDataBytes);
}

std::uint64_t WaveRig::v64(unsigned reg, unsigned lane) {
  return v(reg, lane) | std::uint64_t{v(reg + 1, lane)} << 32;
}
void WaveRig::set_v(unsigned reg, const std::function<std::uint32_t(unsigned)>& value) {
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    v(reg, lane) = value(lane);
  }
}
void WaveRig::set_v64(unsigned reg, const std::function<std::uint64_t(unsigned)>& value) {
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const std::uint64_t both = value(lane);
    v(reg, lane) = static_cast<std::uint32_t>(both);
    v(reg + 1, lane) = static_cast<std::uint32_t>(both >> 32);
  }
}

void WaveRig::load(const std::vector<std::uint32_t>& words) {
  std::memcpy(gpu_.ram().data() + kCodeOffset, words.data(), std::min<std::size_t>(words.size() * 4, kCodeBytes));
  wave_.pc = kCode;
  code_->next_epoch();
}

Exit WaveRig::run(std::int64_t budget) {
  wave_.budget = budget;
  wave_.exit = Exit::None;
  run_wave(wave_, *code_);
  executed_ = budget - wave_.budget;
  return wave_.exit;
}

std::vector<SimdLevel> simd_levels() {
  std::vector<SimdLevel> levels;
  if (host_simd_level() >= SimdLevel::Avx2) {
    levels.push_back(SimdLevel::Avx2);
  }
  if (host_simd_level() >= SimdLevel::Avx512) {
    levels.push_back(SimdLevel::Avx512);
  }
  return levels;
}
std::string simd_name(SimdLevel level) { return level == SimdLevel::Avx512 ? "Avx512" : "Avx2"; }

namespace {

std::uint64_t hash(std::uint64_t i) {
  i = (i ^ i >> 30) * 0xbf58476d1ce4e5b9ull;
  i = (i ^ i >> 27) * 0x94d049bb133111ebull;
  return i ^ i >> 31;
}

}  // namespace

std::uint32_t interesting32(unsigned i) {
  static constexpr std::array<std::uint32_t, 28> kValues = {
      0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7fa00001, 0xffc12345, 0x00000001,
      0x807fffff, 0x00800000, 0x7f7fffff, 0xff7fffff, 0x3effffff, 0x4b000001, 0xcb000001, 0x4f000000, 0xcf000000, 0x4f800000,
      0x7fffffff, 0xffffffff, 0x00007fff, 0x00008000, 0xffff8000, 0x00ffffff, 0x3fc00000, 0xc0200000};
  return i < kValues.size() ? kValues[i] : static_cast<std::uint32_t>(hash(i));
}
std::uint64_t interesting64(unsigned i) {
  static constexpr std::array<std::uint64_t, 24> kValues = {
      0x0000000000000000, 0x8000000000000000, 0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000,
      0xfff0000000000000, 0x7ff8000000000000, 0x7ff4000000000001, 0xfff8123456789abc, 0x0000000000000001,
      0x800fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff, 0xffefffffffffffff, 0x41dfffffffc00000,
      0xc1e0000000000000, 0x41efffffffe00000, 0x41f0000000000000, 0x3fe0000000000000, 0x7fffffffffffffff,
      0xffffffffffffffff, 0x00000000ffffffff, 0x4330000000000001, 0x3fdfffffffffffff};
  return i < kValues.size() ? kValues[i] : hash(i + 1000);
}

}  // namespace kfdlab::engine
