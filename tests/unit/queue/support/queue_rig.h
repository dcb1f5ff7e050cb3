// SPDX-License-Identifier: MIT
// QueueRig: user queues without threads. The test is the scheduler and calls step(); memory of the process is VRAM of
// a TestGpu behind real page tables.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "device/cp/ih_ring.h"
#include "device/cp/user_queue.h"
#include "device/host/shared_word.h"
#include "device/host/transport_loopback.h"
#include "hw/aql.h"
#include "tests/unit/mmu/support/test_gpu.h"
#include "tests/unit/queue/support/fake_engine.h"

namespace kfdlab::device {

class QueueRig {
 public:
  using Act = UserQueue::Act;
  static constexpr std::uint32_t kVmid = TestGpu::kVmid;
  static constexpr std::uint32_t kPasid = 0x8123;
  static constexpr std::uint32_t kQueue = 17;
  static constexpr std::uint32_t kDoorbell = 0x2018;
  static constexpr std::uint64_t kVa = 0x7f5500000000;  // mapped read-write
  static constexpr std::uint64_t kSize = 2u << 20;
  static constexpr std::uint64_t kNowhere = kVa + (1ull << 30);  // not mapped
  // Where things are in it.
  static constexpr std::uint64_t kRing = kVa;              // up to 64 KiB
  static constexpr std::uint64_t kAqlQueue = kVa + 0x10000;  // amd_queue_t
  static constexpr std::uint64_t kRptr = kAqlQueue + offsetof(aql_queue, read_dispatch_id);
  static constexpr std::uint64_t kWptr = kAqlQueue + offsetof(aql_queue, write_dispatch_id);
  static constexpr std::uint64_t kInactive = kVa + 0x11000;  // queue_inactive_signal
  static constexpr std::uint64_t kEvents = kVa + 0x12000;    // event page
  static constexpr std::uint64_t kSignals = kVa + 0x13000;
  static constexpr std::uint64_t kKernel = kVa + 0x14000;
  static constexpr std::uint64_t kData = kVa + 0x20000;
  static constexpr std::uint64_t kDataSize = kSize - 0x20000;

  explicit QueueRig(kfdlab_queue_type type, std::uint64_t ring_bytes = 4096, bool retry = false);

  // Process memory by VA inside [kVa, kVa + kSize).
  template <typename T>
  [[nodiscard]] T& at(std::uint64_t va) {
    return *reinterpret_cast<T*>(bytes(va, sizeof(T)).data());
  }
  [[nodiscard]] std::span<std::byte> bytes(std::uint64_t va, std::uint64_t size) {
    return gpu_.vram().subspan(va - kVa, size);
  }
  void unmap(std::uint64_t va);
  void map(std::uint64_t va, bool writable = true);

  [[nodiscard]] UserQueue& queue() { return *queue_; }
  [[nodiscard]] FakeEngine& engine() { return engine_; }
  [[nodiscard]] TestGpu& gpu() { return gpu_; }
  [[nodiscard]] const QueueWork& work() const { return work_; }
  [[nodiscard]] kfdlab_mqd& mqd() { return *reinterpret_cast<kfdlab_mqd*>(gpu_.ram().data()); }

  // Appends dwords to the ring and moves the write pointer (PM4 and SDMA).
  void emit(std::span<const std::uint32_t> dwords);
  template <typename Packet>
  void emit_packet(const Packet& packet) {
    std::array<std::uint32_t, sizeof(Packet) / 4> dwords;
    std::memcpy(dwords.data(), &packet, sizeof(packet));
    emit(dwords);
  }
  // Appends a packet and moves the write index (AQL).
  template <typename Packet>
  void emit_aql(const Packet& packet) {
    static_assert(sizeof(Packet) == AQL_PACKET_BYTES);
    std::memcpy(&at<Packet>(aql_va(wptr_)), &packet, sizeof(packet));
    store_release(at<std::uint64_t>(kWptr), ++wptr_);
  }
  [[nodiscard]] std::uint64_t aql_va(std::uint64_t index) const {
    return kRing + index * AQL_PACKET_BYTES % ring_bytes_;
  }
  [[nodiscard]] std::uint64_t wptr() const { return wptr_; }
  [[nodiscard]] std::uint64_t rptr() { return load_acquire(at<std::uint64_t>(kRptr)); }

  // A user signal with `value`; `event` 0: without event, else with mailbox kEvents + 8 * event.
  std::uint64_t make_signal(unsigned index, std::int64_t value, std::uint32_t event = 0);
  [[nodiscard]] aql_signal& signal(std::uint64_t va) { return at<aql_signal>(va); }

  // Steps until the queue has nothing more to do at once, at most `limit` times; what it said last.
  Act run(int limit = 100'000);
  // One step at a time that is later than all retry intervals.
  Act step_later();

  // IH ring: takes the oldest unread entry; false if there is none.
  [[nodiscard]] bool take_ih(ih_entry& entry);
  // The next entry is this one of the rig's process.
  [[nodiscard]] ::testing::AssertionResult next_ih(std::uint32_t client, std::uint32_t source, std::uint32_t data0);

 private:
  void deliver();

  TestGpu gpu_;
  std::uint64_t ring_bytes_;
  LoopbackTransport transport_;
  EpochDomain epochs_;
  EpochDomain::Participant& thread_;
  IhRing ih_;
  VmidTable vmids_;
  QueueReports reports_;
  QueueMemory memory_;
  QueueWork work_;
  QueueInbox inbox_;
  FakeEngine engine_;
  EngineParts parts_;
  QueueContext context_;
  std::unique_ptr<UserQueue> queue_;
  UserQueue::Clock::time_point now_ = UserQueue::Clock::now();
  std::uint64_t wptr_ = 0;
  std::uint64_t ih_rptr_ = 0;
  std::uint32_t unit_;  // bytes of a unit of wptr
};

}  // namespace kfdlab::device
