// SPDX-License-Identifier: MIT
// AQL queues without a shader: barriers, signals with event and time stamps, order, and packets that are wrong.
#include <atomic>
#include <cstring>
#include <memory>

#include "tests/kfd/queue_fixture.h"

namespace kfdlab {
namespace {

constexpr std::uint16_t kBarrierAnd = AQL_BARRIER_AND | AQL_HEADER_BARRIER | 2u << 9 | 2u << 11;

class KfdQueueAql : public QueueTest {
 protected:
  void SetUp() override {
    QueueTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    signals_ = std::make_unique<GpuMemory>(gpu(), 1);
    slots_ = std::make_unique<GpuMemory>(gpu(), 8);
    ASSERT_TRUE(signals_->ok() && slots_->ok());
  }
  void TearDown() override {
    signals_.reset();
    slots_.reset();
  }

  // Signal `i` of the page, value 1, with an event if `event` is not 0.
  aql_signal* signal(std::size_t i, std::uint32_t event = 0) const {
    auto* made = signals_->as<aql_signal>(i * sizeof(aql_signal));
    *made = {};
    made->kind = 1;
    made->value = 1;
    made->event_id = event;
    made->event_mailbox_ptr = event == 0 ? 0 : slots_->address() + std::uint64_t{event} * 8;
    return made;
  }
  static std::int64_t value(aql_signal* signal) { return std::atomic_ref(signal->value).load(); }
  static void set(aql_signal* signal, std::int64_t value) { std::atomic_ref(signal->value).store(value); }
  static std::uint64_t address(const aql_signal* signal) { return reinterpret_cast<std::uintptr_t>(signal); }
  static aql_barrier barrier(aql_signal* completion, std::initializer_list<aql_signal*> dependencies = {}) {
    aql_barrier packet{};
    packet.header = kBarrierAnd;
    std::size_t i = 0;
    for (const aql_signal* dependency : dependencies) {
      packet.dep_signal[i++] = address(dependency);
    }
    packet.completion_signal = completion == nullptr ? 0 : address(completion);
    return packet;
  }

  std::unique_ptr<GpuMemory> signals_;
  std::unique_ptr<GpuMemory> slots_;  // plays the event page: what a mailbox pointer points into
};

TEST_F(KfdQueueAql, BarrierCompletesItsSignalAndWakesTheEvent) {
  UserQueue queue(gpu(), kAql);
  ASSERT_TRUE(queue.ok()) << queue.error();
  const std::uint32_t event = create_event(KFD_IOC_EVENT_SIGNAL);
  for (int i = 0; i < 20; ++i) {
    aql_signal* done = signal(0, event);
    queue.emit_aql(barrier(done));
    queue.submit();
    ASSERT_TRUE(await_event(event)) << i;
    EXPECT_EQ(value(done), 0);
    EXPECT_EQ(*slots_->as<std::uint64_t>(std::size_t{event} * 8), event) << "the mailbox";
  }
  EXPECT_TRUE(eventually([&] { return queue.drained(); }));
}

TEST_F(KfdQueueAql, WaitsForEveryDependencyAndKeepsOrder) {
  UserQueue queue(gpu(), kAql);
  UserQueue other(gpu(), kAql);
  ASSERT_TRUE(queue.ok() && other.ok());
  aql_signal* first = signal(0);
  aql_signal* second = signal(1);
  aql_signal* done = signal(2);
  aql_signal* after = signal(3);
  aql_signal* elsewhere = signal(4);
  queue.emit_aql(barrier(done, {first, second}));
  queue.emit_aql(barrier(after));
  queue.submit();
  set(first, 0);
  other.emit_aql(barrier(elsewhere));
  other.submit();
  ASSERT_TRUE(eventually([&] { return value(elsewhere) == 0; }));
  EXPECT_EQ(value(done), 1);
  EXPECT_EQ(value(after), 1);
  // Another queue's packet completes the missing one.
  other.emit_aql(barrier(second));
  other.submit();
  EXPECT_TRUE(eventually([&] { return value(after) == 0; }));
  EXPECT_EQ(value(done), 0);
}

TEST_F(KfdQueueAql, RingIsUsedAgainAndAgain) {
  UserQueue queue(gpu(), kAql, 0x1000);
  ASSERT_TRUE(queue.ok()) << queue.error();
  aql_signal* done = signal(0);
  set(done, 500);
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(eventually([&] { return queue.emitted() - queue.rptr() < 64; }));
    queue.emit_aql(barrier(done));
    queue.submit();
  }
  EXPECT_TRUE(eventually([&] { return value(done) == 0; }));
}

TEST_F(KfdQueueAql, WrongPacketStopsTheQueueAndTellsWhy) {
  const std::uint32_t exception = create_event(KFD_IOC_EVENT_HW_EXCEPTION, false);
  UserQueue queue(gpu(), kAql);
  UserQueue other(gpu(), kAql);
  ASSERT_TRUE(queue.ok() && other.ok());
  const std::uint32_t event = create_event(KFD_IOC_EVENT_SIGNAL);
  aql_signal* inactive = signal(0, event);
  set(inactive, 0);
  queue.queue()->queue_inactive_signal = address(inactive);
  aql_barrier packet = barrier(nullptr);
  packet.header = 200;
  queue.emit_aql(packet);
  queue.submit();
  ASSERT_TRUE(await_event(event));
  EXPECT_EQ(value(inactive), AQL_INACTIVE_PACKET_FORMAT);
  const auto told = await_event(exception);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->hw_exception_data.gpu_id, gpu_id());
  EXPECT_EQ(told->hw_exception_data.memory_lost, 0u);
  // It was this queue's fault alone.
  aql_signal* done = signal(1);
  other.emit_aql(barrier(done));
  other.submit();
  EXPECT_TRUE(eventually([&] { return value(done) == 0; }));
}

}  // namespace
}  // namespace kfdlab
