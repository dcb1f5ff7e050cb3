// SPDX-License-Identifier: MIT
// When the device looks at doorbells again, and when it dares to sleep. Time is the test's.
#include <gtest/gtest.h>

#include "device/cp/doorbell_watch.h"
#include "device/host/shared_word.h"
#include "device/host/transport_loopback.h"
#include "tests/unit/mmu/support/test_gpu.h"

namespace kfdlab::device {
namespace {

using namespace std::chrono_literals;
using Watch = DoorbellWatch;

class DoorbellWatchTest : public ::testing::Test {
 protected:
  DoorbellWatchTest() : transport_(gpu_.vram(), KFDLAB_KICK_COUNT, KFDLAB_IRQ_COUNT), watch_(gpu_.bar(), transport_) {
    watch_.active(now_);
  }

  [[nodiscard]] std::uint32_t idle() const { return load_seq_cst(gpu_.bar().device_regs().queue_idle); }
  void arm(std::uint32_t number) { store_seq_cst(gpu_.bar().driver_regs().queue_armed, number); }
  // Looks that find nothing until the device offers to sleep.
  void become_idle() {
    now_ += Watch::kIdleAfter;
    ASSERT_EQ(watch_.quiet(now_), Watch::Clock::duration(Watch::kLongest));
    ASSERT_NE(idle(), 0u);
  }

  TestGpu gpu_;
  LoopbackTransport transport_;
  Watch watch_;
  Watch::Clock::time_point now_{1s};
};

TEST_F(DoorbellWatchTest, LooksSoonAfterActivityAndLaterTheLongerItIsQuiet) {
  Watch::Clock::duration last{};
  for (const auto step : {0us, 100us, 300us, 500us, 5000us}) {
    now_ += step;
    const auto pause = watch_.quiet(now_);
    ASSERT_TRUE(pause);
    EXPECT_GE(*pause, last);
    EXPECT_GE(*pause, Watch::kShortest);
    EXPECT_LE(*pause, Watch::kLongest) << "a doorbell is seen within 100 us";
    last = *pause;
  }
  EXPECT_EQ(last, Watch::Clock::duration(Watch::kLongest));
  EXPECT_EQ(idle(), 0u);
}

TEST_F(DoorbellWatchTest, OffersToSleepWithAnInterruptAndGoesOnLooking) {
  become_idle();
  EXPECT_EQ(idle(), 1u);
  EXPECT_EQ(transport_.irqs(KFDLAB_IRQ_QUEUE_IDLE), 1u);
  EXPECT_TRUE(watch_.quiet(now_)) << "not armed";
  EXPECT_EQ(transport_.irqs(KFDLAB_IRQ_QUEUE_IDLE), 1u);
}

TEST_F(DoorbellWatchTest, SleepsOnlyBehindOneMoreLookOnceArmed) {
  become_idle();
  arm(idle());
  EXPECT_EQ(watch_.quiet(now_), Watch::Clock::duration::zero()) << "look at once";
  EXPECT_EQ(watch_.quiet(now_), std::nullopt);
}

TEST_F(DoorbellWatchTest, ForgetsTheOfferWhenWorkComes) {
  become_idle();
  arm(idle());
  EXPECT_TRUE(watch_.quiet(now_));
  watch_.active(now_);
  EXPECT_EQ(idle(), 0u);
  EXPECT_TRUE(watch_.quiet(now_)) << "the old number means nothing";
  become_idle();
  EXPECT_EQ(idle(), 2u);
  EXPECT_NE(watch_.quiet(now_), std::nullopt);
  EXPECT_NE(watch_.quiet(now_), std::nullopt);
  arm(2);
  EXPECT_EQ(watch_.quiet(now_), Watch::Clock::duration::zero());
  EXPECT_EQ(watch_.quiet(now_), std::nullopt);
}

TEST_F(DoorbellWatchTest, DisarmedBetweenTheLooksItDoesNotSleep) {
  become_idle();
  arm(1);
  EXPECT_EQ(watch_.quiet(now_), Watch::Clock::duration::zero());
  arm(0);
  EXPECT_TRUE(watch_.quiet(now_));
  arm(1);
  EXPECT_EQ(watch_.quiet(now_), Watch::Clock::duration::zero()) << "the look counts from here";
}

TEST_F(DoorbellWatchTest, WrongNumbersDoNotArm) {
  become_idle();
  for (const std::uint32_t number : {0u, 2u, 0xffffffffu}) {
    arm(number);
    EXPECT_TRUE(watch_.quiet(now_));
    EXPECT_NE(watch_.quiet(now_), std::nullopt);
  }
}

TEST_F(DoorbellWatchTest, DriverThatNeverArmsIsLookedAfterMoreSlowly) {
  become_idle();
  now_ += 2s;
  EXPECT_EQ(watch_.quiet(now_), Watch::Clock::duration(Watch::kUnarmed));
}

TEST_F(DoorbellWatchTest, WaitingForMemoryNeverSleepsForGood) {
  EXPECT_EQ(watch_.waiting(now_), Watch::Clock::duration(Watch::kShortest));
  now_ += 500ms;
  EXPECT_EQ(watch_.waiting(now_), Watch::Clock::duration(200us));
  now_ += 100s;
  EXPECT_EQ(watch_.waiting(now_), Watch::Clock::duration(1ms));
  EXPECT_EQ(idle(), 0u);
}

}  // namespace
}  // namespace kfdlab::device
