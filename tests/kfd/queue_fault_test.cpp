// SPDX-License-Identifier: MIT
// What goes wrong with queues: memory the GPU does not have, processes that are killed, a device process that dies.
// Whoever is concerned is told, everybody else goes on.
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <vector>

#include "tests/kfd/queue_fixture.h"
#include "tests/support/child.h"
#include "tests/support/device_port.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

using Kind = GpuMemory::Kind;
constexpr std::chrono::milliseconds kReapTime = std::chrono::seconds(5);

bool reaches(const GpuMemory& memory, std::size_t offset, std::uint32_t value) {
  return eventually([&] { return std::atomic_ref(*memory.as<std::uint32_t>(offset)).load() == value; });
}

class KfdQueueFault : public QueueTest {
 protected:
  // A queue of this process does something.
  void expect_work() {
    UserQueue queue(gpu(), kSdma);
    ASSERT_TRUE(queue.ok()) << queue.error();
    const GpuMemory memory(gpu(), 1);
    ASSERT_TRUE(memory.ok()) << memory.error();
    queue.emit(fence_packet(memory.address(), 5));
    queue.submit();
    EXPECT_TRUE(reaches(memory, 0, 5));
  }
  // A child with a queue of its own that does `work` for ever, once it said so.
  [[nodiscard]] std::unique_ptr<Child> busy_child(void (*work)(UserQueue&, const GpuMemory&)) const {
    return std::make_unique<Child>([id = gpu_id(), work](Peer& peer) {
      const auto client = KfdClient::open();
      const Fd render = open_render();
      if (!client || client.value().acquire_vm(id, render.get()) != 0) {
        return 1;
      }
      const QueueGpu gpu{&client.value(), id, render.get()};
      UserQueue queue(gpu, kSdma, 0x10000);
      const GpuMemory memory(gpu, 512);
      if (!queue.ok() || !memory.ok()) {
        return 2;
      }
      work(queue, memory);
      queue.submit();
      return reaches(memory, 0, 1) && peer.signal() && peer.await() ? 0 : 3;
    });
  }
};

TEST_F(KfdQueueFault, UnmappedAddressIsToldExactlyAndStopsTheProcessesQueuesOnly) {
  std::int32_t mode = 0;
  ASSERT_EQ(kfd().set_xnack_mode(0, &mode), 0);
  const auto bystander =
      busy_child([](UserQueue& queue, const GpuMemory& memory) { queue.emit(fence_packet(memory.address(), 1)); });
  ASSERT_TRUE(bystander->peer().await());
  const std::uint32_t event = create_event(KFD_IOC_EVENT_MEMORY, false);
  const Reservation nothing(16 * kPageSize);
  {
    UserQueue queue(gpu(), kSdma);
    ASSERT_TRUE(queue.ok()) << queue.error();
    queue.emit(fill_packet(nothing.address() + 3 * kPageSize + 64, 1, 64));
    queue.submit();
    const auto told = await_event(event);
    ASSERT_TRUE(told);
    EXPECT_EQ(told->memory_exception_data.va, nothing.address() + 3 * kPageSize);
    EXPECT_EQ(told->memory_exception_data.gpu_id, gpu_id());
    EXPECT_EQ(told->memory_exception_data.ErrorType, 0u);
    EXPECT_EQ(told->memory_exception_data.failure.NotPresent, 1u);
    EXPECT_EQ(told->memory_exception_data.failure.ReadOnly, 0u);
    EXPECT_EQ(told->memory_exception_data.failure.imprecise, 0u);
  }
  EXPECT_TRUE(bystander->peer().signal());
  EXPECT_EQ(bystander->wait(), 0);
  expect_work();
}

TEST_F(KfdQueueFault, ReadOnlyMemoryCanBeReadAndTellsOfWrites) {
  std::int32_t mode = 0;
  ASSERT_EQ(kfd().set_xnack_mode(0, &mode), 0);
  const std::uint32_t event = create_event(KFD_IOC_EVENT_MEMORY, false);
  const GpuMemory fixed(gpu(), 2, Kind::ReadOnly);
  const GpuMemory copy(gpu(), 2);
  ASSERT_TRUE(fixed.ok() && copy.ok());
  fill_pattern(fixed.bytes(), 3);
  UserQueue queue(gpu(), kSdma);
  ASSERT_TRUE(queue.ok());
  queue.emit(copy_packet(copy.address(), fixed.address(), fixed.size()));
  queue.emit(fill_packet(fixed.address() + kPageSize, 0, 64));
  queue.submit();
  const auto told = await_event(event);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->memory_exception_data.va, fixed.address() + kPageSize);
  EXPECT_EQ(told->memory_exception_data.failure.ReadOnly, 1u);
  EXPECT_EQ(told->memory_exception_data.failure.NotPresent, 0u);
  EXPECT_EQ(pattern_error(fixed.bytes(), 3), "");
  EXPECT_EQ(std::memcmp(copy.bytes().data(), fixed.bytes().data(), fixed.size()), 0);
}

TEST_F(KfdQueueFault, KilledProcessesLeaveNothingBehind) {
  close_kfd();
  for (int round = 0; round < 8; ++round) {
    std::vector<std::unique_ptr<Child>> children;
    for (int i = 0; i < 3; ++i) {
      // Copies without an end in sight, and a poll that nothing satisfies.
      children.push_back(busy_child([](UserQueue& queue, const GpuMemory& memory) {
        queue.emit(fence_packet(memory.address(), 1));
        for (int n = 0; n < 2000; ++n) {
          queue.emit(copy_packet(memory.address() + 0x100000, memory.address(), 0xff000));
        }
        queue.emit(poll_packet(memory.address(), 77));
      }));
    }
    for (auto& child : children) {
      ASSERT_TRUE(child->peer().await());
    }
    for (auto& child : children) {
      EXPECT_EQ(child->kill(), 128 + 9);
    }
  }
}

class KfdQueueDeath : public KfdQueueFault {
 protected:
  void SetUp() override {
    KFDLAB_NEEDS_NODE(kDevicePort);
    KfdQueueFault::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) {
      ASSERT_TRUE(port_.open()) << kDevicePort << ": " << std::strerror(errno);
    }
  }
  [[nodiscard]] bool ask(const std::string& request) const { return port_.ask(request).starts_with("generation="); }

 private:
  DevicePort port_;
};

TEST_F(KfdQueueDeath, OwnersOfQueuesAreToldAndNewQueuesRun) {
  const std::uint32_t memory_event = create_event(KFD_IOC_EVENT_MEMORY, false);
  const std::uint32_t hw_event = create_event(KFD_IOC_EVENT_HW_EXCEPTION, false);
  UserQueue queue(gpu(), kSdma);
  const GpuMemory memory(gpu(), 1);
  ASSERT_TRUE(queue.ok() && memory.ok());
  queue.emit(fence_packet(memory.address(), 1));
  queue.emit(poll_packet(memory.address() + 64, 1));
  queue.submit();
  ASSERT_TRUE(reaches(memory, 0, 1));
  ASSERT_TRUE(ask("kill"));
  const auto told = await_event(memory_event);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->memory_exception_data.ErrorType, 3u) << "GPU hang";
  EXPECT_EQ(told->memory_exception_data.gpu_id, gpu_id());
  const auto hw = await_event(hw_event);
  ASSERT_TRUE(hw);
  EXPECT_EQ(hw->hw_exception_data.memory_lost, 1u);
  EXPECT_EQ(queue.update(true, 100), ENODEV) << "it is lost for good";
  EXPECT_EQ(queue.destroy(), 0);
  expect_work();
}

TEST_F(KfdQueueDeath, CreateWaitsForADeviceThatComesBackAndNotForEver) {
  ASSERT_TRUE(ask("hold"));
  ASSERT_TRUE(ask("kill"));
  {
    const UserQueue queue(gpu(), kSdma);
    EXPECT_EQ(queue.error(), ENODEV);
  }
  ASSERT_TRUE(ask("resume"));
  EXPECT_TRUE(eventually([&] { return UserQueue(gpu(), kSdma).ok(); }, kReapTime));
  expect_work();
}

TEST_F(KfdQueueDeath, AtAnyMomentOfQueuesComingAndGoing) {
  for (int round = 0; round < 4; ++round) {
    const auto child = busy_child([](UserQueue& queue, const GpuMemory& memory) {
      queue.emit(fence_packet(memory.address(), 1));
      for (int n = 0; n < 500; ++n) {
        queue.emit(copy_packet(memory.address() + 0x100000, memory.address(), 0xff000));
      }
    });
    ASSERT_TRUE(child->peer().await());
    ASSERT_TRUE(ask("kill"));
    EXPECT_EQ(child->kill(), 128 + 9);
    expect_work();
  }
}

}  // namespace
}  // namespace kfdlab
