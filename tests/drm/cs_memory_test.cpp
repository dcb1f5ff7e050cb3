// SPDX-License-Identifier: MIT
// The memory that submissions name: what has no pages yet gets them, and what is in use is not in anybody's way.
#include <chrono>
#include <cstring>
#include <future>
#include <optional>

#include "tests/drm/cs_fixture.h"
#include "tests/drm/pending_fence.h"
#include "tests/support/counters.h"
#include "tests/support/needs.h"
#include "tests/support/pages.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kSeed = 0xc5e;
constexpr std::uint64_t kSize = 4 << 20;

class CsMemory : public CsTest {
 protected:
  void SetUp() override {
    CsTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    Result<TestDevice> device = TestDevice::open();
    KFDLAB_NEEDS(device.ok(), "only our test ioctls tell where an object's pages are");
    device_.emplace(device.take());
  }
  // Leaves `bytes` of VRAM free until the test ends.
  void shrink_vram(std::uint64_t bytes) {
    const std::uint64_t free = gpu().vram_bytes - info_number(AMDGPU_INFO_VRAM_USAGE);
    ASSERT_EQ(device_->reserve(gpu().gpu_id, free - bytes), 0);
  }
  // The page of the first byte.
  [[nodiscard]] bool in_vram(std::span<const std::byte> memory) const {
    (void)*static_cast<const volatile std::byte*>(memory.data());
    const auto pages = device_->pages(memory.data(), 1);
    EXPECT_TRUE(pages.ok());
    return pages.ok() && (pages.value().front().flags & KFDLAB_PAGE_VRAM) != 0;
  }

 private:
  std::optional<TestDevice> device_;
};

// An object of the CPU domain gets its pages with the first use; they are zero, which is a NOP.
TEST_F(CsMemory, CommandsAndUserFenceInFreshSystemMemory) {
  const GpuBuffer commands = create(AMDGPU_GEM_DOMAIN_CPU, kPageSize);
  const GpuBuffer fence = create(AMDGPU_GEM_DOMAIN_CPU, kPageSize);
  std::uint64_t number = 0;
  ASSERT_EQ(Submission(context()).ib(commands.va, 64).user_fence(fence.handle, 8).submit(fd(), &number), 0);
  EXPECT_TRUE(completes(context(), number));
  std::uint64_t value = 0;
  std::memcpy(&value, bytes(fence).data() + 8, sizeof(value));
  EXPECT_EQ(value, number);
}

// The one that was used longest ago is waited for by somebody; the next one leaves instead, and nobody waits.
TEST_F(CsMemory, IdleObjectLeavesInsteadOfABusyOlderOne) {
  auto pending = PendingFence::create();
  KFDLAB_NEEDS(pending.has_value(), "the kernel has no vgem");
  const std::uint32_t syncobj = pending->syncobj(fd());
  ASSERT_NE(syncobj, 0u);
  shrink_vram(2 * kSize);
  const GpuBuffer busy_one = create(AMDGPU_GEM_DOMAIN_VRAM, kSize);
  const GpuBuffer idle_one = create(AMDGPU_GEM_DOMAIN_VRAM, kSize);
  const std::span<std::byte> busy_bytes = bytes(busy_one);
  const std::span<std::byte> idle_bytes = bytes(idle_one);
  fill_pattern(busy_bytes, kSeed);
  fill_pattern(idle_bytes, kSeed + 1);
  ASSERT_TRUE(in_vram(busy_bytes) && in_vram(idle_bytes));
  std::uint64_t busy_number = 0;
  std::uint64_t number = 0;
  ASSERT_EQ(nop_submission().buffers({busy_one.handle}).wait_syncobj(syncobj).submit(fd(), &busy_number), 0);
  // With commands of its own: it would have to wait for another user of nops().
  const GpuBuffer commands = create(AMDGPU_GEM_DOMAIN_GTT, kPageSize);
  const std::uint32_t other = new_context();
  ASSERT_EQ(Submission(other).ib(commands.va, 64).buffers({idle_one.handle}).submit(fd(), &number), 0);
  ASSERT_TRUE(completes(other, number));

  const GpuBuffer newest = create(AMDGPU_GEM_DOMAIN_VRAM, kSize);
  EXPECT_TRUE(is_busy(context(), busy_number));
  EXPECT_TRUE(in_vram(busy_bytes));
  EXPECT_FALSE(in_vram(idle_bytes));
  EXPECT_TRUE(in_vram(bytes(newest)));
  EXPECT_TRUE(pending->signal());
  EXPECT_TRUE(completes(context(), busy_number));

  // Now it is its turn.
  const GpuBuffer last = create(AMDGPU_GEM_DOMAIN_VRAM, kSize);
  EXPECT_TRUE(in_vram(bytes(last)));
  EXPECT_FALSE(in_vram(busy_bytes));
  EXPECT_EQ(pattern_error(busy_bytes, kSeed), "");
  EXPECT_EQ(pattern_error(idle_bytes, kSeed + 1), "");
  EXPECT_EQ(free_context(fd(), other), 0);
}

// With nothing idle in VRAM, the busy object is waited for, and leaves with its contents.
TEST_F(CsMemory, BusyObjectIsWaitedForWhenThereIsNoOther) {
  auto pending = PendingFence::create();
  KFDLAB_NEEDS(pending.has_value(), "the kernel has no vgem");
  const std::uint32_t syncobj = pending->syncobj(fd());
  ASSERT_NE(syncobj, 0u);
  shrink_vram(kSize);
  const GpuBuffer busy_one = create(AMDGPU_GEM_DOMAIN_VRAM, kSize);
  const std::span<std::byte> busy_bytes = bytes(busy_one);
  fill_pattern(busy_bytes, kSeed);
  std::uint64_t number = 0;
  ASSERT_EQ(nop_submission().buffers({busy_one.handle}).wait_syncobj(syncobj).submit(fd(), &number), 0);
  auto maker = std::async(std::launch::async, [&] { return create(AMDGPU_GEM_DOMAIN_VRAM, kSize); });
  EXPECT_EQ(maker.wait_for(std::chrono::milliseconds(300)), std::future_status::timeout);
  EXPECT_TRUE(pending->signal());
  const GpuBuffer next = maker.get();
  EXPECT_TRUE(in_vram(bytes(next)));
  EXPECT_FALSE(in_vram(busy_bytes));
  EXPECT_EQ(pattern_error(busy_bytes, kSeed), "");
  EXPECT_TRUE(completes(context(), number));
}

}  // namespace
}  // namespace kfdlab
