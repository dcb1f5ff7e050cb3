// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "tests/unit/engine_mem/support/memory_bench.h"

namespace kfdlab::engine {
namespace {

using device::TestGpu;

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kVa = 0x7f0000000000;

class ScalarMemoryTest : public testing::TestWithParam<SimdLevel> {
 protected:
  ScalarMemoryTest() : bench_(GetParam()) {
    bench_.gpu().map(kVa, 0x5000 | TestGpu::kReadWrite);
    bench_.gpu().map(kVa + kPage, 0x2000 | TestGpu::kReadWrite);
    bench_.gpu().map(kVa + 3 * kPage, 0x3000 | TestGpu::kReadOnly);
    for (std::size_t i = 0; i < 0x6000; i += 4) {
      const auto bits = static_cast<std::uint32_t>(random_());
      std::memcpy(bench_.gpu().vram().data() + i, &bits, 4);
    }
  }
  std::uint32_t dword(std::uint64_t va) {
    const device::Translation found = bench_.gpu().walker().walk(bench_.gpu().root(), va);
    std::uint32_t value;
    std::memcpy(&value, found.host + (va - found.start), 4);
    return value;
  }
  static isa::Inst load(isa::Op op, unsigned dwords) {
    isa::Inst inst;
    inst.op = op;
    inst.encoding = isa::Encoding::Smem;
    inst.size = 2;
    inst.dst = s(16, dwords);
    inst.src[0] = s(4, 2);
    return inst;
  }

  std::mt19937 random_{3};
  MemoryBench bench_;
};

constexpr std::pair<isa::Op, unsigned> kLoads[] = {{isa::Op::s_load_dword, 1},
                                                   {isa::Op::s_load_dwordx2, 2},
                                                   {isa::Op::s_load_dwordx4, 4},
                                                   {isa::Op::s_load_dwordx8, 8},
                                                   {isa::Op::s_load_dwordx16, 16}};

TEST_P(ScalarMemoryTest, LoadsOfEverySizeAlsoAcrossPages) {
  for (const auto& [op, dwords] : kLoads) {
    for (const std::uint64_t at : {kVa, kVa + 0x123, kVa + kPage - 4, kVa + kPage - 4 * dwords, kVa + kPage - 32}) {
      isa::Inst inst = load(op, dwords);
      inst.offset = -64;
      inst.src[2] = s(30);
      bench_.wave().sgpr[30] = 96;
      bench_.wave().set_u64(4, at - 32);
      bench_.wave().set_exec(0);  // scalar code does not look at it
      ASSERT_EQ(bench_.run(inst), Exit::None);
      for (unsigned d = 0; d < dwords; ++d) {
        if (at / 4 * 4 + 4 * d >= kVa + 2 * kPage) break;
        ASSERT_EQ(bench_.wave().sgpr[16 + d], dword((at & ~3ull) + 4 * d)) << dwords << " " << d;
      }
    }
  }
}

TEST_P(ScalarMemoryTest, DestinationMayHoldTheBase) {
  isa::Inst inst = load(isa::Op::s_load_dwordx4, 4);
  inst.dst = s(4, 4);
  bench_.wave().set_u64(4, kVa + 0x40);
  ASSERT_EQ(bench_.run(inst), Exit::None);
  EXPECT_EQ(bench_.wave().sgpr[4], dword(kVa + 0x40));
  EXPECT_EQ(bench_.wave().sgpr[7], dword(kVa + 0x4c));
}

TEST_P(ScalarMemoryTest, FaultInTheSecondPageHasNoEffect) {
  isa::Inst inst = load(isa::Op::s_load_dwordx16, 16);
  bench_.wave().set_u64(4, kVa + 2 * kPage - 32);
  const auto before = bench_.wave().sgpr;
  EXPECT_EQ(bench_.run(inst), Exit::Fault);
  EXPECT_EQ(bench_.wave().sgpr, before);
  EXPECT_EQ(bench_.wave().fault.page, kVa + 2 * kPage);
  inst = load(isa::Op::s_store_dwordx2, 2);
  inst.dst = {};
  inst.src[1] = s(16, 2);
  bench_.wave().set_u64(4, kVa + 3 * kPage);
  EXPECT_EQ(bench_.run(inst), Exit::Fault);
  EXPECT_EQ(bench_.wave().fault.reason, device::MemoryFault::Reason::Permission);
}

TEST_P(ScalarMemoryTest, StoresAndAtomics) {
  isa::Inst inst = load(isa::Op::s_store_dwordx4, 4);
  inst.dst = {};
  inst.src[1] = s(16, 4);
  for (unsigned i = 0; i < 4; ++i) bench_.wave().sgpr[16 + i] = 1000 + i;
  bench_.wave().set_u64(4, kVa + kPage - 8);
  EXPECT_EQ(bench_.run(inst), Exit::None);
  for (unsigned i = 0; i < 4; ++i) EXPECT_EQ(dword(kVa + kPage - 8 + 4 * i), 1000 + i);

  inst.op = isa::Op::s_atomic_add;
  inst.src[1] = s(16);
  inst.glc = true;
  bench_.wave().sgpr[16] = 5;
  EXPECT_EQ(bench_.run(inst), Exit::None);
  EXPECT_EQ(bench_.wave().sgpr[16], 1000u);
  EXPECT_EQ(dword(kVa + kPage - 8), 1005u);

  inst.op = isa::Op::s_atomic_cmpswap;
  inst.src[1] = s(16, 2);
  bench_.wave().sgpr[16] = 77;
  bench_.wave().sgpr[17] = 1005;
  EXPECT_EQ(bench_.run(inst), Exit::None);
  EXPECT_EQ(dword(kVa + kPage - 8), 77u);
}

TEST_P(ScalarMemoryTest, BufferLoadsReadZeroBehindTheEnd) {
  bench_.wave().sgpr[4] = static_cast<std::uint32_t>(kVa);
  bench_.wave().sgpr[5] = static_cast<std::uint32_t>(kVa >> 32);
  bench_.wave().sgpr[6] = 24;
  isa::Inst inst = load(isa::Op::s_buffer_load_dwordx4, 4);
  inst.src[0] = s(4, 4);
  inst.offset = 16;
  EXPECT_EQ(bench_.run(inst), Exit::None);
  EXPECT_EQ(bench_.wave().sgpr[16], dword(kVa + 16));
  EXPECT_EQ(bench_.wave().sgpr[17], dword(kVa + 20));
  EXPECT_EQ(bench_.wave().sgpr[18], 0u);
  EXPECT_EQ(bench_.wave().sgpr[19], 0u);
}

INSTANTIATE_TEST_SUITE_P(Simd, ScalarMemoryTest, testing::ValuesIn(simd_levels()),
                         [](const auto& level) { return simd_name(level.param); });

}  // namespace
}  // namespace kfdlab::engine
