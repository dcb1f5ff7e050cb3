// SPDX-License-Identifier: MIT
// Any instruction with any registers and values: it runs, or stops with a reason, touches nothing outside the wave, and
// does the same on both instruction sets.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <string_view>

#include "device/isa/op_table.h"
#include "tests/unit/engine/support/wave_rig.h"
#include "tests/unit/isa/random_inst.h"

namespace kfdlab::engine {
namespace {

// A small allocation, so that many registers are outside, or the whole file.
constexpr unsigned kSmallArchRows = 48;
constexpr unsigned kSmallRows = 80;

// What differs between runs for good reasons.
bool depends_on_time(isa::Op op) {
  return op == isa::Op::s_memtime || op == isa::Op::s_memrealtime;
}

class RandomCode {
 public:
  explicit RandomCode(SimdLevel level) : rig_(level) {}

  // Fills everything the instruction may see from `seed`, runs it, returns why it stopped.
  Exit run(const std::vector<std::uint32_t>& words, unsigned seed) {
    isa::Random source(seed);
    const auto random = [&] { return static_cast<std::uint32_t>(source()); };
    Wave& wave = rig_.wave();
    for (unsigned reg = 0; reg < isa::kScalarRegisters; ++reg) {
      wave.sgpr[reg] = interesting32(random() % 200);
    }
    for (unsigned reg = 0; reg < isa::kVccLo; reg += 4) {
      wave.set_u64(reg, WaveRig::kData + random() % 4096 * 4);  // every second pair is an address
    }
    rows_ = seed % 4 == 0 ? kSmallRows : 2 * WaveRig::kRows;
    for (unsigned row = 0; row < WaveRig::kRows * 2 + kTempRows; ++row) {
      for (unsigned lane = 0; lane < kLanes; ++lane) {
        rig_.v(row, lane) = row < rows_ ? interesting32(random() % 300) : kCanary;
      }
    }
    std::memset(rig_.data(), static_cast<int>(seed), WaveRig::kDataBytes);
    std::memset(wave.lds, static_cast<int>(seed + 1), wave.lds_size);
    wave.vgpr_rows = rows_;
    wave.accum_offset = rows_ == kSmallRows ? kSmallArchRows : WaveRig::kRows;
    wave.mode = WaveRig::kHipMode ^ (random() % 4 == 0 ? random() & 0x3ffu : 0);
    wave.scc = random() & 1;
    wave.set_exec(random() % 4 == 0 ? 0 : std::uint64_t{random()} << 32 | random());
    wave.sgpr[isa::kM0] = random() % 3 == 0 ? random() : random() % 4096;
    wave.shared_aperture_hi = 0x20000000;
    wave.private_aperture_hi = 0x10000000;
    wave.scratch_base = WaveRig::kData;
    wave.scratch_lane_bytes = 64;
    wave.tba = 0;
    wave.fault = {};
    wave.illegal_op = isa::Op::kCount;
    wave.in_trap = false;
    std::vector<std::uint32_t> code = words;
    code.push_back(0xbf810000);  // s_endpgm
    rig_.load(code);
    return rig_.run(300);
  }

  [[nodiscard]] bool canaries_live() {
    for (unsigned row = rows_ + kTempRows; row < WaveRig::kRows * 2 + kTempRows; ++row) {
      for (unsigned lane = 0; lane < kLanes; ++lane) {
        if (rig_.v(row, lane) != kCanary) return false;
      }
    }
    return true;
  }
  WaveRig& rig() { return rig_; }
  [[nodiscard]] unsigned rows() const { return rows_; }

 private:
  static constexpr std::uint32_t kCanary = 0xdeadc0de;
  WaveRig rig_;
  unsigned rows_ = 0;
};

// Where the two differ, or nothing.
std::string difference(RandomCode& one, RandomCode& other) {
  Wave& a = one.rig().wave();
  Wave& b = other.rig().wave();
  if (a.pc != b.pc || a.scc != b.scc || a.mode != b.mode) {
    return "pc, scc or mode";
  }
  for (unsigned reg = 0; reg < isa::kScalarRegisters; ++reg) {
    if (a.sgpr[reg] != b.sgpr[reg]) return "s" + std::to_string(reg);
  }
  for (unsigned row = 0; row < one.rows(); ++row) {
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      if (one.rig().v(row, lane) != other.rig().v(row, lane)) {
        return "v" + std::to_string(row) + " lane " + std::to_string(lane);
      }
    }
  }
  if (std::memcmp(one.rig().data(), other.rig().data(), WaveRig::kDataBytes) != 0) {
    return "memory";
  }
  return std::memcmp(a.lds, b.lds, a.lds_size) != 0 ? "LDS" : "";
}

TEST(RandomCode, EveryOpcodeStaysInsideTheWaveAndInstructionSetsAgree) {
  const std::vector<SimdLevel> levels = simd_levels();
  if (levels.empty()) {
    GTEST_SKIP() << "this CPU has neither AVX2 nor AVX-512";
  }
  RandomCode first(levels.front());
  RandomCode last(levels.back());
  isa::Random random(20261123);
  std::array<unsigned, 16> exits{};
  unsigned shown = 0;
  for (const isa::OpRow& row : isa::op_rows()) {
    if (depends_on_time(row.op)) {
      continue;
    }
    for (const isa::Form form : {isa::Form::Plain, isa::Form::Sdwa, isa::Form::Dpp}) {
      for (unsigned i = 0; isa::has_form(row, form) && i < 3; ++i) {
        const std::vector<std::uint32_t> words = isa::random_instruction(row, form, random);
        const auto seed = static_cast<unsigned>(random());
        const Exit exit = first.run(words, seed);
        ++exits[static_cast<unsigned>(exit)];
        EXPECT_TRUE(exit != Exit::None && exit != Exit::Lookup) << isa::name(row.op);
        ASSERT_TRUE(first.canaries_live()) << isa::name(row.op) << std::hex << " " << words[0] << " " << words[1];
        const Exit other = last.run(words, seed);
        ASSERT_TRUE(last.canaries_live()) << isa::name(row.op) << std::hex << " " << words[0] << " " << words[1];
        const std::string where = exit != other ? "exit" : difference(first, last);
        EXPECT_EQ(where, "") << isa::name(row.op) << " " << isa::name(row.encoding) << std::hex << " " << words[0] << " "
                             << words[1] << " seed " << seed;
        shown += where.empty() ? 0 : 1;
        ASSERT_LT(shown, 30u) << "and more";
      }
    }
  }
  EXPECT_GT(exits[static_cast<unsigned>(Exit::End)], 2000u);
}

TEST(RandomCode, RandomWordsDoToo) {
  const std::vector<SimdLevel> levels = simd_levels();
  if (levels.empty()) {
    GTEST_SKIP() << "this CPU has neither AVX2 nor AVX-512";
  }
  RandomCode rig(levels.back());
  isa::Random random(7);
  for (unsigned i = 0; i < 3000; ++i) {
    std::vector<std::uint32_t> words(12);
    std::generate(words.begin(), words.end(), [&] { return static_cast<std::uint32_t>(random()); });
    const Exit exit = rig.run(words, i);
    EXPECT_TRUE(exit != Exit::None && exit != Exit::Lookup);
    ASSERT_TRUE(rig.canaries_live()) << i;
  }
}

}  // namespace
}  // namespace kfdlab::engine
