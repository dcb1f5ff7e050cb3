// SPDX-License-Identifier: MIT
// More managed memory than VRAM, and evictions under running kernels: nothing is lost, and what does not fit is in RAM.
#include <algorithm>
#include <atomic>
#include <fstream>
#include <string>

#include "tests/hip/hip_fixture.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kSeed = 0x05;
constexpr std::size_t kVram = 32 * kMiB;

// Reads the debugfs file that evicts all of a GPU's buffers. False: it could not be read.
bool evict_vram(unsigned minor) {
  std::ifstream file("/sys/kernel/debug/dri/" + std::to_string(minor) + "/amdgpu_evict_vram");
  std::string line;
  return static_cast<bool>(std::getline(file, line)) && line == "0";
}

unsigned render_minor() {
  std::ifstream file("/sys/devices/virtual/kfd/kfd/topology/nodes/1/properties");
  std::string name;
  for (std::uint64_t value = 0; file >> name >> value;) {
    if (name == "drm_render_minor") {
      return static_cast<unsigned>(value);
    }
  }
  return 0;
}

// A kernel that reseeds some words over and over until it is told to end.
class HipPressure : public HipTest {
 protected:
  void SetUp() override {
    HipTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) {
      flags_.emplace(HipMemory::host(kPage, hipHostMallocCoherent));
      std::fill_n(flags_->as<std::uint32_t>(), kPage / 4, 0u);
    }
  }
  void TearDown() override {
    if (flags_) {
      std::atomic_ref(*stop()).store(1);
    }
    HipTest::TearDown();
    flags_.reset();
  }
  [[nodiscard]] std::uint32_t* rounds() const { return flags_->as<std::uint32_t>(); }
  [[nodiscard]] std::uint32_t* stop() const { return rounds() + 16; }
  [[nodiscard]] bool makes_progress() const {
    const std::uint32_t now = std::atomic_ref(*rounds()).load();
    return eventually([&] { return std::atomic_ref(*rounds()).load() > now + 2; }, std::chrono::seconds(10));
  }
  [[nodiscard]] std::uint64_t finish() const {
    std::atomic_ref(*stop()).store(1);
    EXPECT_EQ(kernel_errors(), "");
    return *rounds();
  }

 private:
  std::optional<HipMemory> flags_;
};

// Few granules: with XNACK workgroups at different places keep taking VRAM from each other.
TEST_F(HipPressure, TwiceTheVramOfManagedMemoryKeepsEveryWord) {
  constexpr std::size_t kLeft = 8 * kMiB;
  constexpr std::size_t kBytes = 2 * kLeft;
  ASSERT_NO_FATAL_FAILURE(leave_vram(kLeft));
  const auto before = counters();
  const HipMemory memory = HipMemory::managed(kBytes);
  HIP_OK(launch_fill(memory.data(), memory.words(), memory.address(), kSeed, nullptr));
  for (std::uint64_t turn = 0; turn < 3; ++turn) {
    HIP_OK(launch_reseed(memory.data(), memory.words(), memory.address(), kSeed + turn, kSeed + turn + 1, wrong(),
                         nullptr));
    ASSERT_EQ(kernel_errors(), "") << "turn " << turn;
    const int place = turn % 2 == 0 ? kGpu : hipCpuDeviceId;
    HIP_OK(prefetch(memory, place));
    const PageCensus now = census(memory);
    EXPECT_EQ(now.none, 0u);
    EXPECT_LE(now.vram, kLeft / kPage);
    if (place == kGpu) {
      EXPECT_GT(now.vram, kLeft / kPage / 2) << "VRAM is used as far as it goes";
    } else {
      EXPECT_EQ(now, all_ram(kBytes / kPage));
    }
  }
  EXPECT_EQ(pattern_error(memory.bytes(), kSeed + 3), "");
  EXPECT_GT(counters().evictions + counters().no_vram, before.evictions + before.no_vram);
}

TEST_F(HipPressure, DeviceMemoryPushesManagedPagesOut) {
  ASSERT_NO_FATAL_FAILURE(leave_vram(kVram));
  const HipMemory memory = HipMemory::managed(kVram / 2);
  fill_pattern(memory.bytes(), kSeed);
  HIP_OK(prefetch(memory, kGpu));
  EXPECT_EQ(census(memory), all_vram(memory.npages()));
  {
    const HipMemory vram = HipMemory::vram(kVram * 3 / 4);
    ASSERT_NE(vram.data(), nullptr);
    EXPECT_LE(census(memory).vram, kVram / 4 / kPage);
    HIP_OK(launch_fill(vram.data(), vram.words(), vram.address(), kSeed, nullptr));
    HIP_OK(launch_reseed(memory.data(), memory.words(), memory.address(), kSeed, kSeed + 1, wrong(), nullptr));
    HIP_OK(launch_check(vram.data(), vram.words(), vram.address(), kSeed, wrong(), nullptr));
    EXPECT_EQ(kernel_errors(), "");
  }
  EXPECT_EQ(pattern_error(memory.bytes(), kSeed + 1), "");
}

TEST_F(HipPressure, EvictionUnderARunningKernelLosesNothing) {
  const HipMemory memory = HipMemory::managed(64 * kPage);
  const HipMemory vram = HipMemory::vram(64 * kPage);
  fill_pattern(memory.bytes(), kSeed);
  HIP_OK(prefetch(memory, kGpu));
  HIP_OK(launch_fill(vram.data(), vram.words(), vram.address(), kSeed, nullptr));
  HIP_OK(launch_reseed_until(memory.data(), memory.words(), kSeed, stop(), wrong(), rounds(), nullptr));
  ASSERT_TRUE(makes_progress());
  const unsigned minor = render_minor();
  const auto before = counters();
  for (int turn = 0; turn < 5; ++turn) {
    ASSERT_TRUE(evict_vram(minor));
    ASSERT_TRUE(makes_progress()) << "turn " << turn;
  }
  EXPECT_GT(counters().pages_to_ram_evict, before.pages_to_ram_evict);
  const std::uint64_t done = finish();
  EXPECT_EQ(pattern_error(memory.bytes(), kSeed + done), "");
  HIP_OK(launch_check(vram.data(), vram.words(), vram.address(), kSeed, wrong(), nullptr));
  EXPECT_EQ(kernel_errors(), "") << "memory of hipMalloc() came back from its eviction";
}

TEST_F(HipPressure, PrefetchesUnderARunningKernelLoseNothing) {
  const HipMemory memory = HipMemory::managed(64 * kPage);
  const HipStream mover;
  fill_pattern(memory.bytes(), kSeed);
  HIP_OK(launch_reseed_until(memory.data(), memory.words(), kSeed, stop(), wrong(), rounds(), nullptr));
  for (int turn = 0; turn < 6; ++turn) {
    const int place = turn % 2 == 0 ? kGpu : hipCpuDeviceId;
    HIP_OK(hipMemPrefetchAsync(memory.data(), memory.size(), place, mover));
    HIP_OK(hipStreamSynchronize(mover));
    ASSERT_TRUE(makes_progress()) << "turn " << turn;
  }
  const std::uint64_t done = finish();
  EXPECT_EQ(pattern_error(memory.bytes(), kSeed + done), "");
}

}  // namespace
}  // namespace kfdlab
