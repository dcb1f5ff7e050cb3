// SPDX-License-Identifier: MIT
// Atomics towards others: CPU threads of the guest and other engine threads.
#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <cstring>
#include <thread>

#include "tests/unit/engine_mem/support/memory_bench.h"

namespace kfdlab::engine {
namespace {

using device::TestGpu;

constexpr std::uint64_t kVa = 0x7f0000000000;

isa::Inst atomic_inst(isa::Op op, bool returns, unsigned dwords = 1) {
  isa::Inst inst;
  inst.op = op;
  inst.encoding = isa::Encoding::Global;
  inst.size = 2;
  inst.src[0] = v(2, 2);
  inst.src[1] = v(10, dwords);
  inst.glc = returns;
  if (returns) inst.dst = v(20, dwords);
  return inst;
}

class AtomicTest : public testing::TestWithParam<SimdLevel> {
 protected:
  AtomicTest() : bench_(GetParam()) {
    bench_.gpu().map(kVa, 0x3000 | TestGpu::kReadWrite);
    for (unsigned l = 0; l < kLanes; ++l) bench_.set_pair(2, l, kVa + 0x40);
  }
  template <typename T>
  T& word() {
    return *reinterpret_cast<T*>(bench_.gpu().vram().data() + 0x3040);
  }
  MemoryBench bench_;
};

// A thread that does to `word` what the wave does, until told to stop.
template <typename Step>
class OtherSide {
 public:
  explicit OtherSide(Step step)
      : thread_([this, step] {
          while (!stop_) {
            step();
            ++steps_;
          }
        }) {}
  std::uint64_t stop() {
    stop_ = true;
    thread_.join();
    return steps_;
  }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> steps_{0};
  std::thread thread_;
};

TEST_P(AtomicTest, NoAddIsLostBesideACpuThread) {
  for (const bool returns : {false, true}) {
    word<std::uint32_t>() = 0;
    for (unsigned l = 0; l < kLanes; ++l) bench_.vgpr(10, l) = l;
    OtherSide other([&] { std::atomic_ref(word<std::uint32_t>()).fetch_add(1); });
    std::uint32_t waves = 0;
    while (waves < 2000 || (other.steps() < 1000 && waves < 10'000'000)) {
      ASSERT_EQ(bench_.run(atomic_inst(isa::Op::global_atomic_add, returns)), Exit::None);
      ++waves;
    }
    const std::uint64_t steps = other.stop();
    EXPECT_EQ(word<std::uint32_t>(), static_cast<std::uint32_t>(waves * (63 * 64 / 2) + steps));
  }
}

TEST_P(AtomicTest, NoFloatAddIsLostBesideACpuThread) {
  word<double>() = 0;
  for (unsigned l = 0; l < kLanes; ++l) bench_.set_pair(10, l, std::bit_cast<std::uint64_t>(1.0 * l));
  OtherSide other([&] {
    std::atomic_ref<double> sum(word<double>());
    double old = sum.load();
    while (!sum.compare_exchange_weak(old, old + 1.0)) {
    }
  });
  std::uint64_t waves = 0;
  while (waves < 2000 || (other.steps() < 1000 && waves < 10'000'000)) {
    ASSERT_EQ(bench_.run(atomic_inst(isa::Op::global_atomic_add_f64, false, 2)), Exit::None);
    ++waves;
  }
  const std::uint64_t steps = other.stop();
  EXPECT_EQ(word<double>(), static_cast<double>(waves * (63 * 64 / 2) + steps));
}

TEST_P(AtomicTest, TicketsOfOneWaveAreAllDifferent) {
  word<std::uint32_t>() = 1000;
  for (unsigned l = 0; l < kLanes; ++l) bench_.vgpr(10, l) = 1;
  ASSERT_EQ(bench_.run(atomic_inst(isa::Op::global_atomic_add, true)), Exit::None);
  std::uint64_t seen = 0;
  for (unsigned l = 0; l < kLanes; ++l) seen |= 1ull << (bench_.vgpr(20, l) - 1000);
  EXPECT_EQ(seen, ~0ull);
  EXPECT_EQ(word<std::uint32_t>(), 1064u);
}

TEST_P(AtomicTest, CombinedOperationsGiveWhatSingleOnesGive) {
  const auto data = [](unsigned l) { return (l * 2654435761u) | 1u; };
  struct Case {
    isa::Op op;
    std::uint32_t (*apply)(std::uint32_t, std::uint32_t);
  };
  const Case cases[] = {
      {isa::Op::global_atomic_sub, [](std::uint32_t a, std::uint32_t b) { return a - b; }},
      {isa::Op::global_atomic_xor, [](std::uint32_t a, std::uint32_t b) { return a ^ b; }},
      {isa::Op::global_atomic_umax, [](std::uint32_t a, std::uint32_t b) { return a > b ? a : b; }},
      {isa::Op::global_atomic_inc, [](std::uint32_t a, std::uint32_t b) { return a >= b ? 0 : a + 1; }},
      {isa::Op::global_atomic_swap, [](std::uint32_t, std::uint32_t b) { return b; }},
  };
  for (const Case& one : cases) {
    std::uint32_t expected = word<std::uint32_t>() = 77;
    for (unsigned l = 0; l < kLanes; ++l) {
      bench_.vgpr(10, l) = data(l);
      expected = one.apply(expected, data(l));
    }
    ASSERT_EQ(bench_.run(atomic_inst(one.op, false)), Exit::None);
    EXPECT_EQ(word<std::uint32_t>(), expected) << isa::name(one.op);
  }
}

TEST_P(AtomicTest, FaultBeforeTheFirstOperation) {
  word<std::uint32_t>() = 5;
  for (unsigned l = 0; l < kLanes; ++l) bench_.vgpr(10, l) = 1;
  bench_.set_pair(2, 63, kVa + 0x2000);
  EXPECT_EQ(bench_.run(atomic_inst(isa::Op::global_atomic_add, true)), Exit::Fault);
  EXPECT_EQ(bench_.wave().fault.access, device::MemoryAccess::Write);
  EXPECT_EQ(word<std::uint32_t>(), 5u);
  bench_.gpu().map(kVa + 0x2000, 0x8000 | TestGpu::kReadWrite);
  EXPECT_EQ(bench_.run(atomic_inst(isa::Op::global_atomic_add, true)), Exit::None);
  EXPECT_EQ(word<std::uint32_t>(), 5u + 63u);
}

INSTANTIATE_TEST_SUITE_P(Simd, AtomicTest, testing::ValuesIn(simd_levels()),
                         [](const auto& level) { return simd_name(level.param); });

}  // namespace
}  // namespace kfdlab::engine
