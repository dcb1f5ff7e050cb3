// SPDX-License-Identifier: MIT
// SDMA queues: what their packets do to memory the GPU sees, how completion is told, and how a queue is stopped, goes
// on, wraps around and wakes a sleeping device.
#include <array>
#include <atomic>
#include <cstring>
#include <fstream>
#include <memory>
#include <vector>

#include "tests/kfd/queue_fixture.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

using Kind = GpuMemory::Kind;

class KfdQueueSdma : public QueueTest {
 protected:
  // A word the device stores when all before it is done.
  static bool reaches(const GpuMemory& memory, std::size_t offset, std::uint32_t value) {
    return eventually([&] { return std::atomic_ref(*memory.as<std::uint32_t>(offset)).load() == value; });
  }
};

TEST_F(KfdQueueSdma, CopiesBetweenEveryKindOfMemory) {
  constexpr std::size_t kPages = 64;
  UserQueue queue(gpu(), kSdma);
  ASSERT_TRUE(queue.ok()) << queue.error();
  const GpuMemory done(gpu(), 1);
  ASSERT_TRUE(done.ok()) << done.error();
  std::uint32_t fence = 0;
  for (const Kind from : {Kind::User, Kind::Vram}) {
    for (const Kind to : {Kind::User, Kind::Vram}) {
      const GpuMemory source(gpu(), kPages, from);
      const GpuMemory target(gpu(), kPages, to);
      ASSERT_TRUE(source.ok()) << source.error();
      ASSERT_TRUE(target.ok()) << target.error();
      fill_pattern(source.bytes(), 11);
      queue.emit(copy_packet(target.address(), source.address(), source.size()));
      queue.emit(fence_packet(done.address(), ++fence));
      queue.submit();
      ASSERT_TRUE(reaches(done, 0, fence));
      EXPECT_EQ(std::memcmp(target.bytes().data(), source.bytes().data(), source.size()), 0);
    }
  }
  EXPECT_TRUE(eventually([&] { return queue.drained(); }));
}

TEST_F(KfdQueueSdma, FillsWritesAndPollsInOrder) {
  UserQueue queue(gpu(), kSdma);
  ASSERT_TRUE(queue.ok()) << queue.error();
  const GpuMemory memory(gpu(), 4);
  ASSERT_TRUE(memory.ok());
  queue.emit(poll_packet(memory.address(), 1));
  queue.emit(fill_packet(memory.address() + kPageSize, 0x1234'5678, 2 * kPageSize));
  queue.emit(
      std::array{sdma_header(SDMA_OP_WRITE, 0), low(memory.address() + 8), high(memory.address()), 1u, 0xaau, 0xbbu});
  queue.emit(fence_packet(memory.address() + 4, 9));
  queue.submit();
  EXPECT_FALSE(queue.drained());
  EXPECT_EQ(*memory.as<std::uint32_t>(4), 0u) << "the poll holds it back";
  std::atomic_ref(*memory.as<std::uint32_t>()).store(1);
  ASSERT_TRUE(reaches(memory, 4, 9));
  EXPECT_EQ(*memory.as<std::uint32_t>(8), 0xaau);
  EXPECT_EQ(*memory.as<std::uint32_t>(12), 0xbbu);
  EXPECT_EQ(*memory.as<std::uint32_t>(16), 0u);
  for (std::size_t at = kPageSize; at < 3 * kPageSize; at += 4) {
    ASSERT_EQ(*memory.as<std::uint32_t>(at), 0x1234'5678u) << at;
  }
  EXPECT_EQ(*memory.as<std::uint32_t>(3 * kPageSize), 0u);
}

TEST_F(KfdQueueSdma, TrapWakesItsEventAndNoOther) {
  UserQueue queue(gpu(), kSdma);
  ASSERT_TRUE(queue.ok()) << queue.error();
  const std::uint32_t mine = create_event(KFD_IOC_EVENT_SIGNAL);
  const std::uint32_t other = create_event(KFD_IOC_EVENT_SIGNAL);
  for (int i = 0; i < 50; ++i) {
    queue.emit(trap_packet(mine));
    queue.submit();
    ASSERT_TRUE(await_event(mine)) << i;
  }
  std::array<kfd_event_data, 1> events{};
  events[0].event_id = other;
  std::uint32_t result = 0;
  EXPECT_EQ(kfd().wait_events(events, true, 0, &result), 0);
  EXPECT_EQ(result, std::uint32_t{KFD_IOC_WAIT_RESULT_TIMEOUT});
  // Ids that nobody has are nothing.
  queue.emit(trap_packet(0));
  queue.emit(trap_packet(4095));
  queue.emit(trap_packet(0xffff'ffff));
  queue.emit(trap_packet(mine));
  queue.submit();
  EXPECT_TRUE(await_event(mine));
}

TEST_F(KfdQueueSdma, RingIsUsedAgainAndAgain) {
  UserQueue queue(gpu(), kSdma, 0x1000);
  ASSERT_TRUE(queue.ok()) << queue.error();
  const GpuMemory memory(gpu(), 1);
  ASSERT_TRUE(memory.ok());
  for (std::uint32_t i = 1; i <= 2000; ++i) {
    ASSERT_TRUE(eventually([&] { return queue.emitted() - queue.rptr() + sizeof(sdma_fence) <= 0x1000; }));
    queue.emit(fence_packet(memory.address(), i));
    queue.submit();
  }
  EXPECT_TRUE(reaches(memory, 0, 2000));
}

TEST_F(KfdQueueSdma, DisabledByUpdateItWaitsAndThenGoesOn) {
  UserQueue queue(gpu(), kSdma);
  ASSERT_TRUE(queue.ok()) << queue.error();
  UserQueue other(gpu(), kSdma);
  ASSERT_TRUE(other.ok()) << other.error();
  const GpuMemory memory(gpu(), 1);
  ASSERT_TRUE(memory.ok());
  std::uint32_t value = 0;
  for (const bool with_ring : {true, false}) {
    ASSERT_EQ(queue.update(with_ring, with_ring ? 0 : 100), 0);
    queue.emit(fence_packet(memory.address(), ++value));
    queue.submit();
    // Work of another queue that comes later is done; the device has looked by then.
    for (int i = 0; i < 20; ++i) {
      other.emit(fence_packet(memory.address() + 4, value * 100 + static_cast<std::uint32_t>(i)));
      other.submit();
      ASSERT_TRUE(reaches(memory, 4, value * 100 + static_cast<std::uint32_t>(i)));
    }
    EXPECT_EQ(*memory.as<std::uint32_t>(), value - 1);
    ASSERT_EQ(queue.update(true, 100), 0);
    EXPECT_TRUE(reaches(memory, 0, value));
  }
}

// Is the page of this process present? Bit 63 of its pagemap entry, for anybody to read.
bool is_present(const void* page) {
  std::ifstream pagemap("/proc/self/pagemap", std::ios::binary);
  std::uint64_t entry = 0;
  pagemap.seekg(static_cast<std::streamoff>(reinterpret_cast<std::uintptr_t>(page) / kPageSize * sizeof entry));
  pagemap.read(reinterpret_cast<char*>(&entry), sizeof entry);
  return (entry >> 63) != 0;
}

TEST_F(KfdQueueSdma, SleepingDeviceIsWokenByADoorbell) {
  UserQueue queue(gpu(), kSdma);
  ASSERT_TRUE(queue.ok()) << queue.error();
  const GpuMemory memory(gpu(), 1);
  ASSERT_TRUE(memory.ok());
  const auto* page = static_cast<const std::byte*>(queue.doorbells().address()) +
                     queue.doorbell_offset() % kDoorbellSlice / kPageSize * kPageSize;
  for (std::uint32_t i = 1; i <= 5; ++i) {
    queue.emit(fence_packet(memory.address(), i));
    queue.submit();
    ASSERT_TRUE(reaches(memory, 0, i));
    ASSERT_TRUE(eventually([&] { return !is_present(page); })) << "the idle device has its doorbells unmapped";
  }
}

TEST_F(KfdQueueSdma, ManyQueuesOfOneProcessAllMakeProgress) {
  constexpr std::size_t kQueues = 40;
  const GpuMemory memory(gpu(), 1);
  ASSERT_TRUE(memory.ok());
  std::vector<std::unique_ptr<UserQueue>> queues;
  for (std::size_t i = 0; i < kQueues; ++i) {
    queues.push_back(std::make_unique<UserQueue>(gpu(), kSdma, 0x1000));
    ASSERT_TRUE(queues.back()->ok()) << queues.back()->error();
  }
  for (std::uint32_t round = 1; round <= 5; ++round) {
    for (std::size_t i = 0; i < kQueues; ++i) {
      queues[i]->emit(fence_packet(memory.address() + 4 * i, round));
      queues[i]->submit();
    }
    for (std::size_t i = 0; i < kQueues; ++i) {
      ASSERT_TRUE(reaches(memory, 4 * i, round)) << i;
    }
  }
}

TEST_F(KfdQueueSdma, ClockOfTheDeviceIsTheOneOfGetClockCounters) {
  UserQueue queue(gpu(), kSdma);
  ASSERT_TRUE(queue.ok()) << queue.error();
  const GpuMemory memory(gpu(), 1);
  ASSERT_TRUE(memory.ok());
  kfd_ioctl_get_clock_counters_args before{}, after{};
  ASSERT_EQ(kfd().get_clock_counters(gpu_id(), &before), 0);
  queue.emit(sdma_timestamp{sdma_header(SDMA_OP_TIMESTAMP, SDMA_SUBOP_TIMESTAMP_GET_GLOBAL), low(memory.address() + 32),
                            high(memory.address())});
  queue.emit(fence_packet(memory.address(), 1));
  queue.submit();
  ASSERT_TRUE(reaches(memory, 0, 1));
  ASSERT_EQ(kfd().get_clock_counters(gpu_id(), &after), 0);
  EXPECT_GE(*memory.as<std::uint64_t>(32), before.gpu_clock_counter);
  EXPECT_LE(*memory.as<std::uint64_t>(32), after.gpu_clock_counter);
}

}  // namespace
}  // namespace kfdlab
