// SPDX-License-Identifier: MIT
#include "device/cp/ih_ring.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "device/host/shared_word.h"
#include "device/host/transport_loopback.h"
#include "tests/unit/device/support/guarded_memory.h"
#include "tests/unit/device/support/test_driver.h"

namespace kfdlab::device {
namespace {

constexpr std::uint64_t kEntries = KFDLAB_IH_RING_SIZE / sizeof(ih_entry);

class IhRingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_identity(memory_.bytes(), 0, 1);
    Result<Bar> bar = Bar::create(memory_.bytes(), 0, 1);
    ASSERT_TRUE(bar.ok());
    bar_ = std::make_unique<Bar>(bar.take());
    ring_ = std::make_unique<IhRing>(*bar_, transport_);
  }
  static ih_entry entry_of(std::uint32_t data) {
    ih_entry entry = {};
    entry.source = ih_source(IH_CLIENT_SDMA0, IH_SOURCE_SDMA_TRAP, 0, 0);
    entry.src_data[0] = data;
    return entry;
  }
  [[nodiscard]] std::uint64_t dropped() const { return load_relaxed(bar_->device_regs().ih_dropped); }

  GuardedMemory memory_{8u << 20};
  LoopbackTransport transport_{memory_.bytes(), KFDLAB_KICK_COUNT, KFDLAB_IRQ_COUNT};
  TestDriver driver_{memory_.bytes(), 0, [](unsigned) {}};
  std::unique_ptr<Bar> bar_;
  std::unique_ptr<IhRing> ring_;
};

TEST_F(IhRingTest, EntriesArriveInOrderWithTimesThatGrow) {
  EXPECT_TRUE(ring_->push(entry_of(1), IhKind::Event));
  EXPECT_TRUE(ring_->push(entry_of(2), IhKind::Event));
  EXPECT_EQ(transport_.irqs(KFDLAB_IRQ_IH), 2u);
  ih_entry first, second, none;
  ASSERT_TRUE(driver_.take_ih(first));
  ASSERT_TRUE(driver_.take_ih(second));
  EXPECT_FALSE(driver_.take_ih(none));
  EXPECT_EQ(first.source & 0xff, IH_CLIENT_SDMA0);
  EXPECT_EQ(first.source >> 8 & 0xff, IH_SOURCE_SDMA_TRAP);
  EXPECT_EQ(first.src_data[0], 1u);
  EXPECT_EQ(second.src_data[0], 2u);
  const auto time = [](const ih_entry& entry) { return std::uint64_t{entry.timestamp_hi} << 32 | entry.timestamp_lo; };
  EXPECT_LT(time(first), time(second));
  EXPECT_EQ(time(first) >> 48, 0u);
}

TEST_F(IhRingTest, FullRingDropsAndCountsAndGoesOnWhenRead) {
  for (std::uint32_t i = 0; i < kEntries; ++i) {
    ASSERT_TRUE(ring_->push(entry_of(i), IhKind::Event));
  }
  EXPECT_FALSE(ring_->push(entry_of(9999), IhKind::Event));
  EXPECT_EQ(dropped(), 1u);
  ih_entry entry;
  ASSERT_TRUE(driver_.take_ih(entry));
  EXPECT_EQ(entry.src_data[0], 0u);
  EXPECT_TRUE(ring_->push(entry_of(10000), IhKind::Event));
  for (std::uint32_t i = 1; i < kEntries; ++i) {
    ASSERT_TRUE(driver_.take_ih(entry));
    ASSERT_EQ(entry.src_data[0], i);
  }
  ASSERT_TRUE(driver_.take_ih(entry));
  EXPECT_EQ(entry.src_data[0], 10000u);
}

TEST_F(IhRingTest, UnreadFaultIsNotRepeatedButEventsAre) {
  EXPECT_TRUE(ring_->push(entry_of(7), IhKind::Fault));
  EXPECT_FALSE(ring_->push(entry_of(7), IhKind::Fault));
  EXPECT_TRUE(ring_->push(entry_of(8), IhKind::Fault));
  EXPECT_TRUE(ring_->push(entry_of(7), IhKind::Event));
  EXPECT_EQ(dropped(), 1u);
}

TEST_F(IhRingTest, FaultThatWasReadIsReportedAgain) {
  EXPECT_TRUE(ring_->push(entry_of(7), IhKind::Fault));
  ih_entry entry;
  ASSERT_TRUE(driver_.take_ih(entry));
  EXPECT_TRUE(ring_->push(entry_of(7), IhKind::Fault));
  EXPECT_EQ(dropped(), 0u);
}

TEST_F(IhRingTest, NonsenseReadPointerCountsAsFull) {
  for (const std::uint64_t rptr : {std::uint64_t{32}, ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
    store_relaxed(bar_->driver_regs().ih_rptr, rptr);
    EXPECT_FALSE(ring_->push(entry_of(1), IhKind::Event)) << std::hex << rptr;
  }
  EXPECT_EQ(load_relaxed(bar_->device_regs().ih_wptr), 0u);
}

TEST_F(IhRingTest, ManyThreadsPushWithoutTearingEntries) {
  constexpr std::uint32_t kThreads = 4;
  constexpr std::uint32_t kEach = 500;
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t] {
      for (std::uint32_t i = 0; i < kEach; ++i) {
        ih_entry entry = entry_of(t << 16 | i);
        entry.src_data[3] = ~entry.src_data[0];
        ring_->push(entry, IhKind::Event);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  std::uint32_t next[kThreads] = {};
  ih_entry entry;
  while (driver_.take_ih(entry)) {
    ASSERT_EQ(entry.src_data[3], ~entry.src_data[0]);
    const std::uint32_t thread = entry.src_data[0] >> 16;
    ASSERT_LT(thread, kThreads);
    ASSERT_EQ(entry.src_data[0] & 0xffff, next[thread]++);
  }
  for (const std::uint32_t count : next) {
    EXPECT_EQ(count, kEach);
  }
}

}  // namespace
}  // namespace kfdlab::device
