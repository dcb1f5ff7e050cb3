// SPDX-License-Identifier: MIT
// Queues and events through the thunk: PM4 and SDMA packets, stopping and going on, more queues than hardware has, what
// the thunk tells about a queue, and interrupts.
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "hw/pm4.h"
#include "hw/sdma.h"
#include "tests/support/child.h"
#include "tests/support/needs.h"
#include "tests/thunk/thunk_fixture.h"

namespace kfdlab::thunk {
namespace {

constexpr std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
constexpr std::uint32_t high(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }

void emit_write(Queue& queue, std::uint64_t address, std::uint32_t value) {
  queue.emit({sdma_header(SDMA_OP_WRITE, SDMA_SUBOP_WRITE_LINEAR), low(address), high(address), 0, value});
}

using ThunkQueue = ThunkTest;

TEST_F(ThunkQueue, Pm4RingWrapsAndLosesNothing) {
  const Memory memory(kPage);
  Queue queue(HSA_QUEUE_COMPUTE, kPage);
  ASSERT_TRUE(memory.ok() && queue.ok());
  for (std::uint32_t i = 1; i <= 2 * kPage / 20; ++i) {
    queue.write_data(memory.address(), i);
    queue.submit();
    ASSERT_TRUE(queue.drain()) << i;
    ASSERT_EQ(memory.load(), i);
  }
}

TEST_F(ThunkQueue, WithoutRingOrPercentageItStandsStillAndGoesOnLater) {
  for (const HSA_QUEUE_TYPE type : {HSA_QUEUE_COMPUTE, HSA_QUEUE_SDMA}) {
    const Memory memory(kPage);
    Queue queue(type);
    Queue other(type);
    ASSERT_TRUE(memory.ok() && queue.ok() && other.ok());
    const auto write = [&](Queue& to, std::size_t dword, std::uint32_t value) {
      if (type == HSA_QUEUE_COMPUTE) {
        to.write_data(memory.address() + dword * 4, value);
      } else {
        emit_write(to, memory.address() + dword * 4, value);
      }
      to.submit();
    };
    std::uint32_t value = 0;
    for (const bool with_ring : {false, true}) {
      ++value;
      ASSERT_TRUE(queue.update(with_ring, with_ring ? 0 : 100));
      write(queue, 0, value);
      // What a queue that runs does meanwhile, many times over.
      for (std::uint32_t i = 0; i < 20; ++i) {
        write(other, 16, value * 100 + i);
        ASSERT_TRUE(other.drain());
      }
      EXPECT_EQ(memory.load(0), value - 1) << "it stands still";
      EXPECT_FALSE(queue.drained());
      ASSERT_TRUE(queue.update(true, 100));
      EXPECT_TRUE(queue.drain());
      EXPECT_EQ(memory.load(0), value);
    }
  }
}

TEST_F(ThunkQueue, MoreComputeQueuesThanHardwareHasAllRun) {
  ASSERT_GT(gpu_.NumCpQueues, 0u);
  const std::size_t count = gpu_.NumCpQueues + 3;
  const Memory memory(kPage);
  ASSERT_TRUE(memory.ok());
  std::vector<std::unique_ptr<Queue>> queues;
  for (std::size_t i = 0; i < count; ++i) {
    queues.push_back(std::make_unique<Queue>(HSA_QUEUE_COMPUTE));
    ASSERT_TRUE(queues.back()->ok()) << i;
    for (std::uint32_t n = 1; n <= 50; ++n) {
      queues.back()->write_data(memory.address() + i * 8, n);
    }
  }
  for (const auto& queue : queues) {
    queue->submit();
  }
  for (std::size_t i = 0; i < count; ++i) {
    EXPECT_TRUE(queues[i]->drain()) << i;
    EXPECT_EQ(memory.load(i * 2), 50u) << i;
    EXPECT_TRUE(queues[i]->destroy());
  }
}

TEST_F(ThunkQueue, EverySdmaQueueOfTheTopologyCopies) {
  const Memory source(kPage);
  const Memory destination(64 * kPage, Memory::Kind::Vram);
  ASSERT_TRUE(source.ok() && destination.ok());
  for (std::uint32_t i = 0; i < kPage / 4; ++i) {
    source.store(i, i * 3 + 7);
  }
  std::vector<std::unique_ptr<Queue>> queues;
  for (HSAuint32 i = 0; i < gpu_.NumSdmaEngines * gpu_.NumSdmaQueuesPerEngine; ++i) {
    queues.push_back(std::make_unique<Queue>(HSA_QUEUE_SDMA));
  }
  for (HSAuint32 i = 0; i < gpu_.NumSdmaXgmiEngines * gpu_.NumSdmaQueuesPerEngine; ++i) {
    queues.push_back(std::make_unique<Queue>(HSA_QUEUE_SDMA_XGMI));
  }
  ASSERT_EQ(queues.size(), 40u);
  for (std::size_t i = 0; i < queues.size(); ++i) {
    ASSERT_TRUE(queues[i]->ok()) << i;
    const std::uint64_t to = destination.address() + i * kPage;
    queues[i]->emit_packet(sdma_copy_linear{sdma_header(SDMA_OP_COPY, 0), low(kPage - 1), 0, low(source.address()),
                                            high(source.address()), low(to), high(to)});
    queues[i]->submit();
  }
  for (std::size_t i = 0; i < queues.size(); ++i) {
    ASSERT_TRUE(queues[i]->drain()) << i;
    EXPECT_EQ(std::memcmp(source.data(), static_cast<char*>(destination.data()) + i * kPage, kPage), 0) << i;
  }
}

TEST_F(ThunkQueue, GpuRingsAnotherQueuesDoorbell) {
  const Memory memory(kPage);
  Queue sleeper(HSA_QUEUE_COMPUTE);
  Queue waker(HSA_QUEUE_SDMA);
  ASSERT_TRUE(memory.ok() && sleeper.ok() && waker.ok());
  sleeper.write_data(memory.address(), 0x12345678);
  // Write pointer and doorbell by SDMA instead of the CPU.
  for (const std::uint64_t at : {sleeper.resource().QueueWptrValue, sleeper.resource().QueueDoorBell}) {
    waker.emit({sdma_header(SDMA_OP_WRITE, SDMA_SUBOP_WRITE_LINEAR), low(at), high(at), 1, low(sleeper.write_pointer()),
                high(sleeper.write_pointer())});
  }
  waker.submit();
  EXPECT_TRUE(waker.drain());
  EXPECT_TRUE(eventually([&] { return memory.load() == 0x12345678; }));
  EXPECT_TRUE(sleeper.drain());
}

TEST_F(ThunkQueue, AqlQueueUsesTheCallersPointers) {
  const Memory ring(kPage);
  const Memory pointers(kPage);
  ASSERT_TRUE(ring.ok() && pointers.ok());
  auto* words = static_cast<HSAuint64*>(pointers.data());
  HsaQueueResource resource{};
  resource.Queue_read_ptr_aql = &words[0];
  resource.Queue_write_ptr_aql = &words[1];
  ASSERT_EQ(hsaKmtCreateQueue(kGpuNode, HSA_QUEUE_COMPUTE_AQL, 100, HSA_QUEUE_PRIORITY_MAXIMUM, ring.data(), kPage,
                              nullptr, &resource),
            HSAKMT_STATUS_SUCCESS);
  EXPECT_EQ(resource.Queue_read_ptr_aql, &words[0]);
  EXPECT_EQ(resource.Queue_write_ptr_aql, &words[1]);
  EXPECT_NE(resource.Queue_DoorBell_aql, nullptr);
  for (const HSA_QUEUE_PRIORITY priority : {HSA_QUEUE_PRIORITY_MINIMUM, HSA_QUEUE_PRIORITY_HIGH}) {
    EXPECT_EQ(hsaKmtUpdateQueue(resource.QueueId, 100, priority, ring.data(), kPage, nullptr), HSAKMT_STATUS_SUCCESS);
  }
  EXPECT_EQ(hsaKmtDestroyQueue(resource.QueueId), HSAKMT_STATUS_SUCCESS);
}

TEST_F(ThunkQueue, StateAndMaskAreToldOfAStoppedComputeQueue) {
  Queue queue(HSA_QUEUE_COMPUTE);
  Queue sdma(HSA_QUEUE_SDMA);
  ASSERT_TRUE(queue.ok() && sdma.ok());
  HsaQueueInfo info{};
  EXPECT_NE(hsaKmtGetQueueInfo(queue.resource().QueueId, &info), HSAKMT_STATUS_SUCCESS) << "it runs";
  HSAuint32 mask = 0x5;
  ASSERT_EQ(hsaKmtSetQueueCUMask(queue.resource().QueueId, 32, &mask), HSAKMT_STATUS_SUCCESS);
  ASSERT_TRUE(queue.update(true, 0));
  ASSERT_EQ(hsaKmtGetQueueInfo(queue.resource().QueueId, &info), HSAKMT_STATUS_SUCCESS);
  EXPECT_EQ(info.ControlStackUsedInBytes, 0u);
  EXPECT_EQ(info.SaveAreaSizeInBytes, 0u);
  EXPECT_EQ(info.NumCUAssigned, 32u);
  ASSERT_NE(info.CUMaskInfo, nullptr);
  EXPECT_EQ(*info.CUMaskInfo, mask);
  ASSERT_TRUE(sdma.update(true, 0));
  EXPECT_NE(hsaKmtGetQueueInfo(sdma.resource().QueueId, &info), HSAKMT_STATUS_SUCCESS) << "it has none";
}

TEST_F(ThunkQueue, DebugfsListsItWithWhatTheDeviceWasTold) {
  KFDLAB_NEEDS_ROOT();
  Queue queue(HSA_QUEUE_COMPUTE);
  ASSERT_TRUE(queue.ok());
  HSAuint32 mask = 0xa;
  ASSERT_EQ(hsaKmtSetQueueCUMask(queue.resource().QueueId, 32, &mask), HSAKMT_STATUS_SUCCESS);
  ASSERT_TRUE(queue.update(true, 0));
  std::ifstream file("/sys/kernel/debug/kfd/queues");
  KFDLAB_NEEDS(file.good(), "debugfs has no list of queues");
  const std::string mine = "process " + std::to_string(::getpid()) + " queue ";
  std::string line;
  while (std::getline(file, line) && !line.starts_with(mine)) {
  }
  EXPECT_NE(line.find(" pm4 inactive "), std::string::npos) << line;
  EXPECT_NE(line.find(" cu_mask 0xa "), std::string::npos) << line;
}

// ---- events ----

using ThunkEvent = ThunkTest;

TEST_F(ThunkEvent, EndOfPipeInterruptsSignalAllOfMany) {
  constexpr std::size_t kMost = 64;  // of one wait
  std::vector<std::unique_ptr<Event>> events;
  std::vector<HsaEvent*> raw;
  Queue queue(HSA_QUEUE_COMPUTE);
  ASSERT_TRUE(queue.ok());
  for (std::size_t i = 0; i < kMost; ++i) {
    events.push_back(std::make_unique<Event>());
    ASSERT_TRUE(events.back()->ok());
    ASSERT_NE(events.back()->slot(), 0u);
    raw.push_back(events.back()->get());
    queue.signal(*events.back());
  }
  EXPECT_EQ(hsaKmtWaitOnMultipleEvents(raw.data(), kMost, true, 0), HSAKMT_STATUS_WAIT_TIMEOUT);
  queue.submit();
  EXPECT_EQ(hsaKmtWaitOnMultipleEvents(raw.data(), kMost, true, 10'000 * patience()), HSAKMT_STATUS_SUCCESS);
}

TEST_F(ThunkEvent, BurstOfAllEventsThatAProcessCanHaveLosesNone) {
  constexpr std::size_t kMost = 4095;
  std::vector<std::unique_ptr<Event>> events;
  Queue queue(HSA_QUEUE_COMPUTE, 64 * kPage);
  ASSERT_TRUE(queue.ok());
  while (events.size() < kMost) {
    auto event = std::make_unique<Event>();
    if (!event->ok()) {
      break;
    }
    queue.signal(*event);
    events.push_back(std::move(event));
  }
  EXPECT_EQ(events.size(), kMost);
  queue.submit();
  std::size_t missing = 0;
  for (const auto& event : events) {
    missing += missing == 0 && !event->wait() ? 1 : 0;
  }
  EXPECT_EQ(missing, 0u);
  // One without an id is nobody's.
  queue.emit({pm4_header(PM4_RELEASE_MEM, 7), 0x14u | 5u << 8, static_cast<std::uint32_t>(PM4_RELEASE_INT_ONLY) << 24, 0, 0,
              0, 0, 0});
  queue.signal(*events.front());
  queue.submit();
  EXPECT_TRUE(events.front()->wait());
}

TEST_F(ThunkEvent, SdmaTrapSignals) {
  Queue queue(HSA_QUEUE_SDMA);
  const Event event;
  ASSERT_TRUE(queue.ok() && event.ok());
  for (int i = 0; i < 10; ++i) {
    queue.emit_packet(sdma_fence{sdma_header(SDMA_OP_FENCE, 0), low(event.slot()), high(event.slot()), event.id()});
    queue.emit_packet(sdma_trap{sdma_header(SDMA_OP_TRAP, 0), event.id()});
    queue.submit();
    ASSERT_TRUE(event.wait()) << i;
  }
}

// One that closes the thunk and opens it again has the event page still, and the GPU can write to it. In a process of
// its own, which has never had one.
TEST(ThunkProcess, EventsWorkWhenTheThunkIsOpenedAgain) {
  KFDLAB_NEEDS_NODE("/dev/kfd");
  Child child([](Peer&) {
    for (int round = 1; round <= 4; ++round) {
      if (!open_thunk()) {
        return 10 * round;
      }
      {
        Queue queue(HSA_QUEUE_COMPUTE);
        const Event event;
        if (!queue.ok() || !event.ok() || event.slot() == 0) {
          return 10 * round + 1;
        }
        queue.signal(event);
        queue.submit();
        if (!event.wait()) {
          return 10 * round + 2;
        }
      }
      if (hsaKmtReleaseSystemProperties() != HSAKMT_STATUS_SUCCESS || hsaKmtCloseKFD() != HSAKMT_STATUS_SUCCESS) {
        return 10 * round + 3;
      }
    }
    return 0;
  });
  EXPECT_EQ(child.wait(), 0);
}

}  // namespace
}  // namespace kfdlab::thunk
