// SPDX-License-Identifier: MIT
// The two test ioctls that the eviction tests stand on, with arguments they must refuse.
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

#include <cerrno>
#include <thread>

#include "tests/kfd/svm_fixture.h"
#include "tests/support/vram_user.h"

namespace kfdlab {
namespace {

class KfdTestReserve : public SvmTest {
 protected:
  [[nodiscard]] std::uint64_t free_bytes() const {
    const kfdlab_test_counters now = counters();
    return now.vram_size - now.vram_held;
  }
};

TEST_F(KfdTestReserve, ReservedVramIsNobodysUntilTheFileIsClosed) {
  const std::uint64_t before = free_bytes();
  const Buffer buffer(64);
  {
    auto file = TestDevice::open();
    ASSERT_TRUE(file.ok());
    ASSERT_EQ(file.value().reserve(gpu(), before - 16 * kPageSize), 0);
    EXPECT_EQ(free_bytes(), 16 * kPageSize);
    ASSERT_TRUE(prefetch_to_vram(buffer));
    EXPECT_EQ(census(buffer).vram, 16u);
    EXPECT_EQ(file.value().reserve(gpu(), kPageSize), ENOSPC) << "nothing is evicted for a reservation";
  }
  EXPECT_EQ(free_bytes(), before - 16 * kPageSize);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(census(buffer), all_vram(64));
}

TEST_F(KfdTestReserve, MalformedReservationsAreRefusedAndTakeNothing) {
  const std::uint64_t before = free_bytes();
  EXPECT_EQ(device().reserve(gpu(), 0), EINVAL);
  EXPECT_EQ(device().reserve(gpu(), 100), EINVAL);
  EXPECT_EQ(device().reserve(gpu(), ~0ull), EINVAL);
  EXPECT_EQ(device().reserve(gpu(), ~0ull << 12), ENOSPC);
  EXPECT_EQ(device().reserve(gpu(), counters().vram_size + kPageSize), ENOSPC);
  EXPECT_EQ(device().reserve(gpu() + 0x1234, kPageSize), ENODEV);
  EXPECT_EQ(device().raw(KFDLAB_TEST_RESERVE, nullptr), EFAULT);
  kfdlab_test_reserve request{.gpu_id = gpu(), .reserved = 1, .bytes = kPageSize};
  EXPECT_EQ(device().raw(KFDLAB_TEST_RESERVE, &request), EINVAL);
  EXPECT_EQ(free_bytes(), before);
}

TEST_F(KfdTestReserve, AFileHasAtMostSixteenReservations) {
  auto file = TestDevice::open();
  ASSERT_TRUE(file.ok());
  for (int i = 0; i < 16; ++i) {
    ASSERT_EQ(file.value().reserve(gpu(), kPageSize), 0);
  }
  EXPECT_EQ(file.value().reserve(gpu(), kPageSize), ENOSPC);
}

class KfdTestHold : public SvmTest {
 protected:
  [[nodiscard]] int hold(std::uint32_t what, std::uint64_t page, std::uint64_t word, std::uint32_t ms = 1) const {
    kfdlab_test_hold request{.what = what, .timeout_ms = ms, .addr = page, .word = word};
    return device().raw(KFDLAB_TEST_HOLD, &request);
  }
};

TEST_F(KfdTestHold, MalformedHoldsAreRefused) {
  const SharedWord word;
  Buffer page(1);
  EXPECT_EQ(hold(0, 0, word.address()), EINVAL);
  EXPECT_EQ(hold(5, 0, word.address()), EINVAL);
  EXPECT_EQ(hold(KFDLAB_HOLD_MMAP_READ, 0, word.address(), 0), EINVAL);
  EXPECT_EQ(hold(KFDLAB_HOLD_MMAP_READ, 0, word.address(), 60'001), EINVAL);
  EXPECT_EQ(hold(KFDLAB_HOLD_MMAP_READ, page.address(), word.address()), EINVAL);
  EXPECT_EQ(hold(KFDLAB_HOLD_PAGE, page.address() + 8, word.address()), EINVAL);
  EXPECT_EQ(hold(KFDLAB_HOLD_MMAP_READ, 0, word.address() + 2), EINVAL);
  EXPECT_EQ(hold(KFDLAB_HOLD_MMAP_READ, 0, 0), EFAULT);
  EXPECT_EQ(hold(KFDLAB_HOLD_PAGE, 0, word.address()), EFAULT);
  page.protect(0, 1, PROT_READ);
  EXPECT_EQ(hold(KFDLAB_HOLD_MMAP_READ, 0, page.address()), EFAULT) << "the word cannot be written";
  EXPECT_EQ(device().raw(KFDLAB_TEST_HOLD, nullptr), EFAULT);
  EXPECT_EQ(in_child([&] { return hold(KFDLAB_HOLD_PROCESS, 0, word.address()); }), ESRCH)
      << "a forked child is no process of KFD's";
  EXPECT_EQ(word.get(), 0u);
}

TEST_F(KfdTestHold, AHoldThatNobodyEndsEndsByItself) {
  const SharedWord word;
  const Buffer page(1);
  *page.data() = std::byte{1};
  EXPECT_EQ(hold(KFDLAB_HOLD_MMAP_READ, 0, word.address()), ETIMEDOUT);
  EXPECT_EQ(hold(KFDLAB_HOLD_MMAP_WRITE, 0, word.address()), ETIMEDOUT);
  EXPECT_EQ(hold(KFDLAB_HOLD_PAGE, page.address(), word.address()), ETIMEDOUT);
  EXPECT_EQ(hold(KFDLAB_HOLD_PROCESS, 0, word.address()), ETIMEDOUT);
  EXPECT_EQ(word.get(), 1u);
}

TEST_F(KfdTestHold, ASignalEndsAHold) {
  const SharedWord word;
  EXPECT_EQ(in_child([&] {
              struct sigaction action {};
              action.sa_handler = [](int) {};
              ::sigaction(SIGALRM, &action, nullptr);
              const itimerval soon{{0, 10'000}, {0, 10'000}};
              ::setitimer(ITIMER_REAL, &soon, nullptr);
              return hold_lock(KFDLAB_HOLD_MMAP_WRITE, nullptr, word);
            }),
            EINTR);
}

}  // namespace
}  // namespace kfdlab
