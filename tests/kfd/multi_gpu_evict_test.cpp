// SPDX-License-Identifier: MIT
// What happens to one GPU leaves the pages of the other alone; and what happens to the process that plays both.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <future>

#include "tests/kfd/multi_gpu_fixture.h"
#include "tests/support/device_port.h"
#include "tests/support/page_pipe.h"

namespace kfdlab {
namespace {

using Counters = kfdlab_test_counters;

class MultiGpuEvict : public MultiGpu {};

TEST_F(MultiGpuEvict, EvictionOfOneGpuLeavesTheOthersResidentsInTheirFrames) {
  const auto stays = on_gpu(1024, a());
  const auto leaves = on_gpu(1024, b());
  const std::vector<std::uint64_t> before = frames(*stays);
  mark();
  const auto evicted = device().evict(b());
  ASSERT_TRUE(evicted);
  EXPECT_EQ(evicted.value().moved, 1024u);
  EXPECT_EQ(places(*leaves), (Places{{kSvmSystem, 1024}}));
  EXPECT_EQ(frames(*stays), before);
  EXPECT_EQ(grown(b(), &Counters::pages_to_ram_evict), 1024u);
  EXPECT_EQ(grown(a(), &Counters::pages_to_ram_evict), 0u);
  EXPECT_EQ(grown(a(), &Counters::migrations), 0u);
  EXPECT_EQ(contents(*stays), "");
  EXPECT_EQ(contents(*leaves), "");
}

// Another process fills the other GPU again and again, and what was there before leaves for it.
TEST_F(MultiGpuEvict, FullNeighbourDisturbsNoResident) {
  constexpr std::size_t kLeft = 1024;
  const auto stays = on_gpu(1024, a());
  const std::vector<std::uint64_t> before = frames(*stays);
  const Counters counters = now(b());
  ASSERT_EQ(device().reserve(b(), counters.vram_size - counters.vram_held - kLeft * kPageSize), 0);
  mark();
  VramUser first(b(), kLeft, kSeed + 1);
  VramUser second(b(), kLeft, kSeed + 2);
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(first.to_vram().all_vram());
    EXPECT_EQ(places({first.frames().begin(), first.frames().end()}), (Places{{b(), kLeft}}));
    EXPECT_TRUE(second.to_vram().all_vram());
    EXPECT_TRUE(first.look().all_ram()) << "pushed out to RAM, not to the GPU that has room";
    EXPECT_EQ(frames(*stays), before);
    EXPECT_EQ(contents(*stays), "");
  }
  EXPECT_GE(grown(b(), &Counters::pages_to_ram_evict), 5 * kLeft);
  EXPECT_GT(grown(b(), &Counters::evictions), 0u);
  EXPECT_EQ(grown(a(), &Counters::evictions), 0u);
  EXPECT_EQ(grown(a(), &Counters::pages_to_ram_evict), 0u);
  EXPECT_EQ(grown(a(), &Counters::pages_to_vram), 0u);
  EXPECT_EQ(occupied(a()), 1024u);
}

TEST_F(MultiGpuEvict, PagesOnTheirWayToAFullGpuPushOutItsOwnAndNoneOfTheirs) {
  constexpr std::size_t kLeft = 1024;
  const Counters counters = now(b());
  ASSERT_EQ(device().reserve(b(), counters.vram_size - counters.vram_held - kLeft * kPageSize), 0);
  VramUser old(b(), kLeft, kSeed + 1);
  EXPECT_TRUE(old.to_vram().all_vram());
  const auto moves = on_gpu(kLeft, a());
  const auto stays = on_gpu(512, a());
  const std::vector<std::uint64_t> before = frames(*stays);
  mark();
  ASSERT_TRUE(prefetch(*moves, b()));
  EXPECT_EQ(places(*moves), (Places{{b(), kLeft}}));
  EXPECT_TRUE(old.look().all_ram());
  EXPECT_EQ(grown(b(), &Counters::pages_to_ram_evict), kLeft);
  EXPECT_EQ(grown(a(), &Counters::pages_to_peer), kLeft);
  EXPECT_EQ(frames(*stays), before);
  EXPECT_EQ(contents(*moves), "");
}

TEST_F(MultiGpuEvict, HeldPagesOfBothGpusSurviveTheEvictionOfBoth) {
  const auto first = on_gpu(32, a());
  const auto second = on_gpu(32, b());
  PagePipe pipe;
  ASSERT_TRUE(pipe.hold(first->pages(0, 8)));
  ASSERT_TRUE(pipe.hold(second->pages(0, 8)));
  for (const std::uint32_t gpu : {a(), b()}) {
    const auto evicted = device().evict(gpu);
    ASSERT_TRUE(evicted);
    EXPECT_EQ(evicted.value().moved, 24u);
    EXPECT_EQ(evicted.value().stayed, 8u);
  }
  EXPECT_EQ(places(*first), (Places{{a(), 8}, {kSvmSystem, 24}}));
  EXPECT_EQ(places(*second), (Places{{b(), 8}, {kSvmSystem, 24}}));
  EXPECT_EQ(contents(*first), "");
  EXPECT_EQ(contents(*second), "");
  EXPECT_EQ(pipe.drain().size(), 16 * kPageSize);
}

// One process plays all GPUs: when it dies, it dies for all.
class MultiGpuDeath : public MultiGpu {
 protected:
  void SetUp() override {
    KFDLAB_NEEDS_NODE(kDevicePort);
    MultiGpu::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    ASSERT_TRUE(port_.open()) << kDevicePort << ": " << std::strerror(errno);
    ASSERT_TRUE(all_serve());
  }
  void TearDown() override {
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    ask("resume");
    EXPECT_TRUE(eventually([&] { return all_serve(); })) << port_.ask("status");
  }
  void ask(const std::string& request) const {
    const std::string answer = port_.ask(request);
    ASSERT_TRUE(answer.starts_with("generation=")) << request << ": " << answer;
  }
  [[nodiscard]] int ping(std::uint32_t gpu) const {
    kfdlab_test_ping request{};
    request.gpu_id = gpu;
    return device().raw(KFDLAB_TEST_PING, &request);
  }
  [[nodiscard]] bool all_serve() const {
    return std::all_of(gpus().begin(), gpus().end(), [&](std::uint32_t gpu) { return ping(gpu) == 0; });
  }

 private:
  DevicePort port_;
};

TEST_F(MultiGpuDeath, EveryGpuServesTheNextGenerationAndKeepsItsPages) {
  std::vector<std::unique_ptr<Buffer>> buffers;
  std::vector<std::vector<std::uint64_t>> before;
  for (const std::uint32_t gpu : gpus()) {
    buffers.push_back(on_gpu(512, gpu));
    before.push_back(frames(*buffers.back()));
  }
  const std::uint32_t generation = now(a()).generation;
  ask("kill");
  ASSERT_TRUE(eventually([&] { return all_serve() && now(a()).generation == generation + 1; }));
  for (std::size_t i = 0; i < gpus().size(); ++i) {
    EXPECT_EQ(now(gpus()[i]).generation, generation + 1);
    EXPECT_EQ(frames(*buffers[i]), before[i]);
    EXPECT_EQ(contents(*buffers[i]), "");
  }
  mark();
  ASSERT_TRUE(prefetch(*buffers[0], b()));
  EXPECT_EQ(grown(b(), &Counters::bytes_copied_device), buffers[0]->size()) << "the successor knows the peer's VRAM";
  EXPECT_EQ(contents(*buffers[0]), "");
}

TEST_F(MultiGpuDeath, PagesMoveBetweenGpusWithoutADevice) {
  const auto buffer = on_gpu(1024, a());
  ask("hold");
  ask("kill");
  ASSERT_TRUE(eventually([&] { return ping(a()) == ENODEV && ping(b()) == ENODEV; }));
  mark();
  ASSERT_TRUE(prefetch(*buffer, b()));
  EXPECT_EQ(places(*buffer), (Places{{b(), 1024}}));
  EXPECT_EQ(grown(b(), &Counters::bytes_copied_cpu), buffer->size());
  EXPECT_EQ(grown(b(), &Counters::bytes_copied_device), 0u);
  EXPECT_EQ(contents(*buffer), "");
}

// Both rings find out that nothing goes on; the process is killed for the first that asks, and once.
TEST_F(MultiGpuDeath, StoppedDeviceIsResetOnceForAllGpus) {
  const std::chrono::milliseconds before = reset_timeout();
  ASSERT_TRUE(set_reset_timeout(std::chrono::seconds(1)));
  const std::uint32_t generation = now(a()).generation;
  Buffer first(1024);
  Buffer second(1024);
  fill(first);
  fill(second);
  ask("stop");
  auto other = std::async(std::launch::async, [&] { return move_to_vram(first.bytes(), a()); });
  EXPECT_EQ(move_to_vram(second.bytes(), b()), 0);
  EXPECT_EQ(other.get(), 0);
  EXPECT_TRUE(set_reset_timeout(before));
  ASSERT_TRUE(eventually([&] { return all_serve(); }));
  for (const std::uint32_t gpu : gpus()) {
    EXPECT_EQ(now(gpu).generation, generation + 1);
  }
  EXPECT_EQ(places(first), (Places{{a(), 1024}}));
  EXPECT_EQ(places(second), (Places{{b(), 1024}}));
  EXPECT_EQ(contents(first), "");
  EXPECT_EQ(contents(second), "");
}

TEST_F(MultiGpuDeath, KillInTheMiddleOfMovesBetweenGpusLosesNothing) {
  const auto buffer = on_gpu(8192, a());
  for (int round = 0; round < 3; ++round) {
    mark();
    auto mover = std::async(std::launch::async, [&] {
      return kfd().svm_prefetch(buffer->address(), buffer->size(), b()) == 0 &&
             kfd().svm_prefetch(buffer->address(), buffer->size(), a()) == 0;
    });
    EXPECT_TRUE(eventually([&] { return grown(a(), &Counters::pages_to_peer) != 0; }));
    ask("kill");
    EXPECT_TRUE(mover.get());
    EXPECT_EQ(places(*buffer), (Places{{a(), 8192}}));
    EXPECT_EQ(contents(*buffer), "") << "round " << round;
    EXPECT_EQ(occupied(b()), 0u);
    EXPECT_TRUE(eventually([&] { return all_serve(); }));
  }
}

}  // namespace
}  // namespace kfdlab
