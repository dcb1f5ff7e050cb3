// SPDX-License-Identifier: MIT
// Long-term pins of memory that kernels use: the pages leave VRAM before they are held, the kernel's next access works
// on RAM, and pin holder, CPU and kernel see the same bytes.
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <vector>

#include "common/fd.h"
#include "tests/hip/hip_fixture.h"
#include "tests/support/gup_client.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kSeed = 0x91;
constexpr std::size_t kPages = 64;

class HipPin : public HipTest {
 protected:
  void SetUp() override {
    auto client = GupClient::open();
    KFDLAB_NEEDS(client.ok(), "the pin module is not loaded");
    client_ = client.take();
    HipTest::SetUp();
  }
  [[nodiscard]] int pin(const HipMemory& memory, GupHold* hold) const {
    return client_->hold({KFDLAB_GUP_FAST, KFDLAB_GUP_PIN | KFDLAB_GUP_LONGTERM | KFDLAB_GUP_WRITE}, memory.data(),
                         memory.npages(), hold);
  }
  hipError_t reseed(const HipMemory& memory, std::uint64_t from) const {
    return launch_reseed(memory.data(), memory.words(), memory.address(), from, from + 1, wrong(), nullptr);
  }

 private:
  std::optional<GupClient> client_;
};

TEST_F(HipPin, APinTakesPagesOutOfVramAndTheNextKernelUsesThemInRam) {
  const HipMemory memory = HipMemory::managed(kPages * kPage);
  fill_pattern(memory.bytes(), kSeed);
  HIP_OK(prefetch(memory, kGpu));
  HIP_OK(reseed(memory, kSeed));
  EXPECT_EQ(kernel_errors(), "");
  EXPECT_EQ(census(memory), all_vram(kPages));
  const auto before = counters();
  {
    GupHold hold;
    ASSERT_EQ(pin(memory, &hold), 0);
    EXPECT_EQ(hold.npages(), kPages);
    EXPECT_EQ(hold.vram(), 0u);
    EXPECT_EQ(census(memory), all_ram(kPages));
    EXPECT_EQ(counters().pages_left_by_pin - before.pages_left_by_pin, kPages);
    HIP_OK(reseed(memory, kSeed + 1));
    EXPECT_EQ(kernel_errors(), "");
    EXPECT_EQ(census(memory), all_ram(kPages)) << "a held page does not move";
    std::vector<std::byte> seen(memory.size());
    ASSERT_EQ(hold.read(0, seen), 0);
    EXPECT_EQ(pattern_error(seen, memory.address(), kSeed + 2), "") << "the holder sees what the kernel wrote";
    fill_pattern(seen, memory.address(), kSeed + 3);
    ASSERT_EQ(hold.write(0, seen), 0);
    HIP_OK(reseed(memory, kSeed + 3));
    EXPECT_EQ(kernel_errors(), "") << "the kernel sees what the holder wrote";
  }
  EXPECT_EQ(pattern_error(memory.bytes(), kSeed + 4), "");
  HIP_OK(prefetch(memory, kGpu));
  EXPECT_EQ(census(memory), all_vram(kPages)) << "free again, they move again";
  HIP_OK(reseed(memory, kSeed + 4));
  EXPECT_EQ(kernel_errors(), "");
}

TEST_F(HipPin, APinUnderARunningKernelLosesNothing) {
  const HipMemory memory = HipMemory::managed(kPages * kPage);
  const HipMemory flags = HipMemory::host(kPage, hipHostMallocCoherent);
  auto* rounds = flags.as<std::uint32_t>();
  auto* stop = rounds + 16;
  *rounds = 0;
  *stop = 0;
  const auto makes_progress = [&] {
    const std::uint32_t now = std::atomic_ref(*rounds).load();
    return eventually([&] { return std::atomic_ref(*rounds).load() > now + 2; }, std::chrono::seconds(10));
  };
  fill_pattern(memory.bytes(), kSeed);
  HIP_OK(prefetch(memory, kGpu));
  HIP_OK(launch_reseed_until(memory.data(), memory.words(), kSeed, stop, wrong(), rounds, nullptr));
  EXPECT_TRUE(makes_progress());
  for (int turn = 0; turn < 3; ++turn) {
    GupHold hold;
    EXPECT_EQ(pin(memory, &hold), 0);
    EXPECT_EQ(hold.vram(), 0u);
    EXPECT_EQ(census(memory), all_ram(kPages));
    EXPECT_TRUE(makes_progress()) << "turn " << turn;
    EXPECT_EQ(census(memory), all_ram(kPages));
  }
  std::atomic_ref(*stop).store(1);
  EXPECT_EQ(kernel_errors(), "");
  EXPECT_EQ(pattern_error(memory.bytes(), kSeed + *rounds), "");
}

TEST_F(HipPin, BuffersRegisteredWithIoUringLeaveVramAndAreSharedWithKernels) {
  io_uring_params params{};
  const Fd ring(static_cast<int>(::syscall(SYS_io_uring_setup, 4, &params)));
  ASSERT_TRUE(ring.valid());
  const HipMemory memory = HipMemory::managed(kPages * kPage);
  fill_pattern(memory.bytes(), kSeed);
  HIP_OK(prefetch(memory, kGpu));
  EXPECT_EQ(census(memory), all_vram(kPages));
  iovec buffer{memory.data(), memory.size()};
  ASSERT_EQ(::syscall(SYS_io_uring_register, ring.get(), IORING_REGISTER_BUFFERS, &buffer, 1), 0);
  EXPECT_EQ(census(memory), all_ram(kPages));
  HIP_OK(reseed(memory, kSeed));
  EXPECT_EQ(kernel_errors(), "");
  EXPECT_EQ(census(memory), all_ram(kPages));
  ASSERT_EQ(::syscall(SYS_io_uring_register, ring.get(), IORING_UNREGISTER_BUFFERS, nullptr, 0), 0);
  EXPECT_EQ(pattern_error(memory.bytes(), kSeed + 1), "");
}

}  // namespace
}  // namespace kfdlab
