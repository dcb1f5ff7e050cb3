// SPDX-License-Identifier: MIT
// Turns of workgroups: what is short is done soon, whatever runs for ever beside it. Counted in instructions and not in
// time, which other programs of this machine would make longer.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <future>
#include <set>

#include "device/engine/lower.h"
#include "tests/unit/engine/support/assembler.h"
#include "tests/unit/engine/support/engine_rig.h"

namespace kfdlab::engine {
namespace {

constexpr const char* kForever = R"(
  loop:
    v_add_u32 v1, v1, v0
    v_xor_b32 v2, v1, v0
    s_branch loop)";
constexpr const char* kShort = "v_mov_b32 v1, 0\n s_endpgm";
constexpr const char* kWaitsForever = R"(
  loop:
    s_sleep 1
    s_branch loop)";

class ProgressTest : public testing::Test {
 protected:
  static constexpr unsigned kThreads = 2;
  static constexpr std::uint64_t kQuantum = 200'000;
  // A turn of each thread that has begun, and a few short ones.
  static constexpr std::uint64_t kSoon = kThreads * (kQuantum + 20 * 20'000);

  void SetUp() override {
    if (host_simd_level() == SimdLevel::None) {
      GTEST_SKIP() << "this CPU has neither AVX2 nor AVX-512";
    }
    rig_ = std::make_unique<EngineRig>(EngineOptions{.threads = kThreads, .compute_units = 2, .quantum = kQuantum});
  }
  // Workgroups of four waves that run `code` on a queue of their own.
  Dispatch prepare(const std::vector<std::uint32_t>& code, QueueId queue, std::uint32_t groups) {
    const std::uint64_t at = EngineRig::kCode + queue * 4096;
    if (loaded_.insert(queue).second) {
      rig_->load(code, at);
    }
    Dispatch dispatch = rig_->linear(256 * groups, 256);
    dispatch.queue = queue;
    dispatch.entry = at;
    return dispatch;
  }
  void start(const std::vector<std::uint32_t>& code, QueueId queue, std::uint32_t groups) {
    static_cast<void>(rig_->launch(prepare(code, queue, groups)));
  }
  // Instructions that all have run until a short kernel is done, as its last wave sees it: when this thread gets to run
  // again does not count.
  std::uint64_t cost_of_short(const std::vector<std::uint32_t>& code, std::uint32_t groups) {
    Engine& engine = rig_->engine();
    const Dispatch dispatch = prepare(code, 1, groups);
    std::promise<std::uint64_t> done;
    std::future<std::uint64_t> after = done.get_future();
    const std::uint64_t before = engine.counters().instructions;
    engine.launch(dispatch, [&](const Outcome& outcome) {
      done.set_value(outcome.verdict == Verdict::Done ? engine.counters().instructions : 0);
    });
    if (after.wait_for(std::chrono::seconds(20)) != std::future_status::ready) {
      engine.kill_queue(1);  // its completion uses what is on this stack
    }
    const std::uint64_t now = after.get();
    EXPECT_NE(now, 0u) << "the short kernel did not end";
    return now - before;
  }
  // Of several runs: this thread may lose its CPU between two of its lines.
  std::uint64_t median_cost(const std::vector<std::uint32_t>& code, std::uint32_t groups) {
    std::array<std::uint64_t, 11> costs{};
    for (std::uint64_t& cost : costs) {
      cost = cost_of_short(code, groups);
    }
    std::nth_element(costs.begin(), costs.begin() + costs.size() / 2, costs.end());
    return costs[costs.size() / 2];
  }
  void wait_for_instructions(std::uint64_t count) {
    while (rig_->engine().counters().instructions < count) {
    }
  }
  std::unique_ptr<EngineRig> rig_;
  std::set<QueueId> loaded_;
};

TEST_F(ProgressTest, ShortKernelBesideEndlessOnesIsDoneWithinAFewTurns) {
  KFDLAB_ASSEMBLE_OR_SKIP(forever, kForever);
  KFDLAB_ASSEMBLE_OR_SKIP(little, kShort);
  // More than all compute units hold.
  start(forever, 7, 100);
  start(forever, 8, 100);
  wait_for_instructions(4 * kThreads * kQuantum);
  EXPECT_LT(median_cost(little, 1), kSoon);
  rig_->engine().kill_queue(7);
  rig_->engine().kill_queue(8);
  EXPECT_TRUE(rig_->engine().idle());
}

TEST_F(ProgressTest, EveryWorkgroupOfAKernelGetsInThoughNothingHasRoom) {
  KFDLAB_ASSEMBLE_OR_SKIP(forever, kForever);
  KFDLAB_ASSEMBLE_OR_SKIP(little, kShort);
  start(forever, 7, 1000);
  wait_for_instructions(40 * kThreads * kQuantum);
  static_cast<void>(cost_of_short(little, 500));
  rig_->engine().kill_queue(7);
}

TEST_F(ProgressTest, WorkgroupsThatSleepForEverKeepNobodyFromRunning) {
  KFDLAB_ASSEMBLE_OR_SKIP(sleeping, kWaitsForever);
  KFDLAB_ASSEMBLE_OR_SKIP(little, kShort);
  start(sleeping, 7, 100);
  EXPECT_LT(median_cost(little, 3), kSoon);
  rig_->engine().kill_queue(7);
}

}  // namespace
}  // namespace kfdlab::engine
