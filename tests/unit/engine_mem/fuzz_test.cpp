// SPDX-License-Identifier: MIT
// Whatever a decoder can hand over, with any registers and any page tables: the handlers stay inside the wave's
// registers, its LDS and mapped memory. Guard pages and sanitizers are the judges; the outcome is one of three.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "tests/unit/engine_mem/support/address_patterns.h"
#include "tests/unit/engine_mem/support/memory_bench.h"

namespace kfdlab::engine {
namespace {

using device::TestGpu;

isa::Encoding encoding_of(std::string_view name) {
  if (name.starts_with("ds_")) return isa::Encoding::Ds;
  if (name.starts_with("flat_")) return isa::Encoding::Flat;
  if (name.starts_with("global_")) return isa::Encoding::Global;
  if (name.starts_with("scratch_")) return isa::Encoding::Scratch;
  if (name.starts_with("buffer_")) return isa::Encoding::Mubuf;
  if (name.starts_with("tbuffer_")) return isa::Encoding::Mtbuf;
  if (name.starts_with("image_")) return isa::Encoding::Mimg;
  return isa::Encoding::Smem;
}

bool is_memory(std::string_view name) {
  for (const std::string_view prefix : {"ds_", "flat_", "global_", "scratch_", "buffer_", "tbuffer_", "image_", "s_load",
                                        "s_store", "s_buffer", "s_atomic", "s_dcache", "s_scratch", "s_atc"}) {
    if (name.starts_with(prefix)) return true;
  }
  return false;
}

class MemoryFuzz : public testing::TestWithParam<SimdLevel> {
 protected:
  MemoryFuzz() : bench_(GetParam()) {}

  std::uint64_t bits() { return static_cast<std::uint64_t>(random_()) << 32 | random_(); }
  unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }
  bool one_in(unsigned n) { return below(n) == 0; }

  isa::Operand operand() {
    const unsigned dwords = 1u << random_() % 5;
    switch (random_() % 10) {
      case 0:
        return {};
      case 1:
        return constant(bits());
      case 2:
      case 3:
        return s(below(140), dwords);
      case 4:
        return a(below(20), dwords);
      default:
        return v(below(one_in(10) ? 256 : 44), dwords);
    }
  }
  // Widths that suit most, or anything: what does not suit must not be lowered.
  isa::Inst make_inst(isa::Op op, std::string_view name) {
    isa::Inst inst;
    inst.op = op;
    inst.encoding = encoding_of(name);
    inst.size = 2;
    inst.dst = operand();
    for (isa::Operand& source : inst.src) source = operand();
    if (!one_in(4)) {
      inst.dst.dwords = inst.src[1].dwords = 4;
      inst.src[0].dwords = inst.src[2].dwords = 2;
    }
    if (inst.encoding == isa::Encoding::Smem) inst.src[0] = s(2 * below(60), 4);
    if (inst.encoding == isa::Encoding::Mubuf || inst.encoding == isa::Encoding::Mtbuf) {
      inst.src[2] = s(4 * below(30), 4);
      inst.format = static_cast<std::uint8_t>(below(128));
    }
    if (inst.encoding == isa::Encoding::Mimg) {
      inst.src[2] = s(4 * below(24), 8);
      inst.src[3] = s(4 * below(25), 4);
      inst.dmask = static_cast<std::uint8_t>(below(16));
      inst.a16 = one_in(4);
      inst.d16 = one_in(4);
    }
    inst.offset = static_cast<std::int32_t>(random_() % 0x10000) - (inst.encoding == isa::Encoding::Ds ? 0 : 0x8000);
    inst.offset1 = static_cast<std::uint8_t>(random_());
    inst.glc = one_in(2);
    inst.offen = one_in(2);
    inst.idxen = one_in(2);
    inst.lds = one_in(20);
    inst.gds = one_in(20);
    return inst;
  }

  void scramble_tables() {
    auto* const words = reinterpret_cast<std::uint64_t*>(bench_.gpu().vram().data());
    const std::uint64_t pages = 128;
    for (std::uint64_t i = 0; i < pages * 512; ++i) {
      words[i] = bits() % pages * 4096 | (bits() & (TestGpu::kReadWrite | AMDGPU_PDE_PTE | AMDGPU_PTE_FRAG_MASK)) |
                 (one_in(4) ? 0 : TestGpu::kReadWrite);
      if (one_in(8)) words[i] = (words[i] % (TestGpu::kRamSize * 2) + TestGpu::kRamBase) | TestGpu::kSystem;
    }
    bench_.gpu().spaces().set_root(TestGpu::kVmid, bits() % pages * 4096 | AMDGPU_PTE_VALID);
    bench_.tlb().catch_up();
  }
  void scramble_registers() {
    for (std::uint32_t& value : bench_.registers()) {
      value = one_in(2) ? static_cast<std::uint32_t>(random_()) : static_cast<std::uint32_t>(random_() % 0x4000);
    }
    for (std::uint32_t& value : bench_.wave().sgpr) {
      value = one_in(2) ? static_cast<std::uint32_t>(random_()) : static_cast<std::uint32_t>(random_() % 0x8000);
    }
    // High halves that can be mapped or are apertures.
    for (unsigned row = 1; row < MemoryBench::kRows; row += 2) {
      const std::uint32_t high = one_in(3) ? MemoryBench::kSharedHigh : one_in(3) ? MemoryBench::kPrivateHigh : 0x7f12;
      for (unsigned l = 0; l < kLanes; ++l) bench_.vgpr(row, l) = one_in(16) ? bench_.vgpr(row, l) : high;
    }
    for (unsigned i = 1; i < isa::kM0; i += 2) bench_.wave().sgpr[i] &= one_in(4) ? ~0u : 0xffffu;
    bench_.wave().set_exec(random_lanes(random_));
  }

  std::mt19937 random_{99};
  MemoryBench bench_;
};

TEST_P(MemoryFuzz, AnyInstructionOnAnyTablesStaysInside) {
  std::vector<std::pair<isa::Op, std::string_view>> ops;
#define KFDLAB_MNEMONIC(name) \
  if (is_memory(#name)) ops.emplace_back(isa::Op::name, #name);
#include "device/isa/mnemonics.inc"
#undef KFDLAB_MNEMONIC
  unsigned outcomes[3] = {};
  for (unsigned round = 0; round < 10; ++round) {
    scramble_tables();
    for (unsigned i = 0; i < 1000; ++i) {
      if (i % 4 == 0) scramble_registers();
      const auto& [op, name] = ops[random_() % ops.size()];
      const Exit exit = bench_.run(make_inst(op, name));
      ASSERT_TRUE(exit == Exit::None || exit == Exit::Fault || exit == Exit::Illegal) << name;
      ++outcomes[exit == Exit::None ? 0 : exit == Exit::Fault ? 1 : 2];
    }
  }
  for (const unsigned count : outcomes) {
    EXPECT_GT(count, 200u);
  }
}

INSTANTIATE_TEST_SUITE_P(Simd, MemoryFuzz, testing::ValuesIn(simd_levels()),
                         [](const auto& level) { return simd_name(level.param); });

}  // namespace
}  // namespace kfdlab::engine
