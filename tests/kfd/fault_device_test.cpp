// SPDX-License-Identifier: MIT
// The device process dies, stops or is away while VRAM is being taken back: copies go on by CPU, nothing is lost.
#include <chrono>
#include <cstring>

#include "tests/kfd/evict_fixture.h"
#include "tests/support/device_port.h"

namespace kfdlab {
namespace {

using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kResetTimeout = seconds(1);
constexpr std::chrono::milliseconds kReapTime = seconds(5);

class FaultDevice : public Evict {
 protected:
  void SetUp() override {
    KFDLAB_NEEDS_NODE(kDevicePort);
    Evict::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    default_timeout_ = reset_timeout();
    ASSERT_TRUE(set_reset_timeout(kResetTimeout));
    ASSERT_TRUE(port_.open()) << kDevicePort << ": " << std::strerror(errno);
    ASSERT_TRUE(serving()) << port_.ask("status");
  }
  void TearDown() override {
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    EXPECT_TRUE(set_reset_timeout(default_timeout_));
    (void)port_.ask("cont");  // refused when there is no process, which is as good
    ask("resume");
    EXPECT_TRUE(eventually([&] { return serving(); }, kReapTime)) << port_.ask("status");
  }
  void ask(const std::string& request) const {
    const std::string answer = port_.ask(request);
    ASSERT_TRUE(answer.starts_with("generation=")) << request << ": " << answer;
  }
  [[nodiscard]] bool serving() const {
    kfdlab_test_ping request{};
    request.gpu_id = gpu();
    return device().raw(KFDLAB_TEST_PING, &request) == 0;
  }

 private:
  DevicePort port_;
  std::chrono::milliseconds default_timeout_{};
};

TEST_F(FaultDevice, KilledDuringEvictionsLosesNothingAndWorkGoesOn) {
  VramUser first(gpu(), kLeft, kSeed);
  VramUser second(gpu(), kLeft, kSeed + 1);
  constexpr unsigned kRounds = 6;
  ASSERT_TRUE(first.start_sums(kLeft / 2, kRounds));
  ASSERT_TRUE(second.start_sums(kLeft / 2, kRounds));
  const std::uint32_t generation = counters().generation;
  const std::uint64_t before = pages_evicted();
  EXPECT_TRUE(eventually([&] { return pages_evicted() > before; }));
  ask("kill");
  const VramView one = first.finish();
  const VramView two = second.finish();
  EXPECT_TRUE(one.fine()) << testing::PrintToString(one);
  EXPECT_TRUE(two.fine()) << testing::PrintToString(two);
  EXPECT_EQ(one.sum, kRounds * pattern_sum(first.address(), kLeft * kPageSize, kSeed));
  EXPECT_EQ(two.sum, kRounds * pattern_sum(second.address(), kLeft * kPageSize, kSeed + 1));
  EXPECT_TRUE(eventually([&] { return serving(); }, kReapTime));
  EXPECT_GT(counters().generation, generation);
  EXPECT_TRUE(second.to_vram().all_vram());
  EXPECT_TRUE(first.look().all_ram());
}

TEST_F(FaultDevice, StoppedDuringAnEvictionIsReplacedInBoundedTime) {
  VramUser owner(gpu(), kLeft, kSeed);
  VramUser other(gpu(), kLeft, kSeed + 1);
  ASSERT_TRUE(owner.to_vram().all_vram());
  const auto before = counters();
  ask("stop");
  const auto begin = Clock::now();
  const VramView view = other.to_vram();
  EXPECT_LT(Clock::now() - begin, 2 * kResetTimeout + kReapTime * patience());
  EXPECT_TRUE(view.all_vram()) << testing::PrintToString(view);
  EXPECT_EQ(pages_evicted(), kLeft);
  EXPECT_TRUE(owner.look().all_ram());
  EXPECT_GT(counters().bytes_copied_cpu, before.bytes_copied_cpu);
  EXPECT_GE(counters().device_resets, before.device_resets + 1);
}

TEST_F(FaultDevice, EvictionByPressureWithoutADeviceCopiesByCpu) {
  VramUser owner(gpu(), kLeft, kSeed);
  VramUser other(gpu(), kLeft, kSeed + 1);
  ASSERT_TRUE(owner.to_vram().all_vram());
  ask("hold");
  ask("kill");
  ASSERT_TRUE(eventually([&] { return !serving(); }));
  const auto before = counters();
  const VramView view = other.to_vram();
  EXPECT_TRUE(view.all_vram()) << testing::PrintToString(view);
  EXPECT_TRUE(owner.look().all_ram());
  const auto after = counters();
  EXPECT_EQ(after.bytes_copied_cpu - before.bytes_copied_cpu, 2 * kLeft * kPageSize) << "out and in";
  EXPECT_EQ(after.bytes_copied_device, before.bytes_copied_device);
  EXPECT_EQ(after.evictions - before.evictions, kLeft / 512);
  ask("resume");
  EXPECT_TRUE(eventually([&] { return serving(); }, kReapTime));
  EXPECT_TRUE(owner.to_vram().all_vram());
  EXPECT_TRUE(other.look().all_ram());
}

}  // namespace
}  // namespace kfdlab
