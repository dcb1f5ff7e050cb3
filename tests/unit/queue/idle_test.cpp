// SPDX-License-Identifier: MIT
// A device with queues that have nothing to do: it sleeps, it wakes, and no doorbell is lost between.
#include <gtest/gtest.h>

#include <sys/resource.h>

#include <random>

#include "tests/unit/queue/support/queue_vm.h"

namespace kfdlab::device {
namespace {

std::uint64_t wakeups(QueueVm& vm) { return load_acquire(vm.driver().device().queue_wakeups); }

TEST(QueueIdle, DoorbellBehindArmingIsServed) {
  QueueVm vm;
  ASSERT_TRUE(vm.map_queue(0, KFDLAB_QUEUE_SDMA));
  for (std::uint32_t round = 0; round < 20; ++round) {
    ASSERT_TRUE(eventually([&] { return vm.arm(); })) << "the device offers to sleep";
    vm.submit_sdma(0, fence_packet(QueueVm::data(0), round + 1));
    ASSERT_TRUE(vm.wait_sdma_idle(0));
    EXPECT_EQ(load_acquire(vm.at<std::uint32_t>(QueueVm::data(0))), round + 1);
  }
  EXPECT_GT(vm.vm().transport().irqs(KFDLAB_IRQ_QUEUE_IDLE), 0u);
}

TEST(QueueIdle, SleepsWhileArmedAndAKickWakesIt) {
  QueueVm vm;
  ASSERT_TRUE(vm.map_queue(0, KFDLAB_QUEUE_SDMA));
  std::uint64_t kicks = 0;
  // It takes a moment from arming to sleep; a wake-up is counted only if it slept.
  EXPECT_TRUE(eventually([&] {
    if (vm.arm()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      vm.vm().transport().kick(KFDLAB_KICK_QUEUE);
      ++kicks;
    }
    return wakeups(vm) >= 3;
  }));
  EXPECT_GE(kicks, 3u);
}

TEST(QueueIdle, CostsNextToNoCpuTime) {
  QueueVm vm;
  ASSERT_TRUE(vm.map_queue(0, KFDLAB_QUEUE_SDMA));
  ASSERT_TRUE(vm.map_queue(1, KFDLAB_QUEUE_AQL));
  ASSERT_TRUE(eventually([&] { return vm.arm(); }));
  const auto cpu_ms = [] {
    rusage usage = {};
    ::getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
  };
  const auto before = cpu_ms();
  // The time that passes is what is measured.
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_LT(cpu_ms() - before, 15) << "of 500 ms";
}

TEST(QueueIdle, WithoutQueuesThereIsNothingToOffer) {
  QueueVm vm;
  ASSERT_TRUE(vm.map_queue(0, KFDLAB_QUEUE_SDMA));
  ASSERT_TRUE(vm.unmap(0));
  const std::uint64_t offers = vm.vm().transport().irqs(KFDLAB_IRQ_QUEUE_IDLE);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // five times as long as it would take
  EXPECT_EQ(vm.vm().transport().irqs(KFDLAB_IRQ_QUEUE_IDLE), offers);
}

// The driver arms at any moment and the process writes at any moment.
TEST(QueueIdle, NoDoorbellIsLostHoweverArmingFalls) {
  QueueVm vm;
  ASSERT_TRUE(vm.map_queue(0, KFDLAB_QUEUE_SDMA));
  std::minstd_rand random(1);
  std::atomic<bool> stop{false};
  std::thread arming([&] {
    while (!stop.load()) {
      vm.arm();
      std::this_thread::yield();
    }
  });
  for (std::uint32_t round = 0; round < 300; ++round) {
    const auto pause = std::chrono::microseconds(std::uniform_int_distribution<>(0, 12'000)(random));
    if (round % 3 == 0) {
      std::this_thread::sleep_for(pause);  // any state of the protocol, not a certain one
    }
    vm.submit_sdma(0, fence_packet(QueueVm::data(0), round + 1));
    if (!vm.wait_sdma_idle(0)) {
      ADD_FAILURE() << "round " << round << " was lost";
      break;
    }
  }
  stop.store(true);
  arming.join();
}

TEST(QueueIdle, DriverThatNeverArmsIsServedToo) {
  QueueVm vm;
  ASSERT_TRUE(vm.map_queue(0, KFDLAB_QUEUE_SDMA));
  ASSERT_TRUE(eventually([&] { return vm.idle_number() != 0; }));
  vm.submit_sdma(0, fence_packet(QueueVm::data(0), 1));
  EXPECT_TRUE(vm.wait_sdma_idle(0));
}

}  // namespace
}  // namespace kfdlab::device
