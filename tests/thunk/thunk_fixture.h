// SPDX-License-Identifier: MIT
// What the thunk suite works with: memory, queues, events and dispatches through libhsakmt. Nothing but the fixture
// asserts, so that child processes can use all of it; ok() tells.
#pragma once

#include <gtest/gtest.h>
#include <hsakmt.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace kfdlab::thunk {

inline constexpr HSAuint32 kCpuNode = 0;
inline constexpr HSAuint32 kGpuNode = 1;
inline constexpr HSAuint64 kPage = 4096;

// Memory of the thunk's, mapped to the GPU at its own address.
class Memory {
 public:
  enum class Kind : std::uint8_t { Ram, ReadOnlyRam, Vram, Scratch };
  explicit Memory(HSAuint64 bytes, Kind kind = Kind::Ram, HSAuint32 node = kGpuNode);
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory();

  [[nodiscard]] bool ok() const { return mapped_; }
  [[nodiscard]] void* data() const { return data_; }
  [[nodiscard]] std::uint64_t address() const { return reinterpret_cast<std::uintptr_t>(data_); }
  [[nodiscard]] HSAuint64 size() const { return bytes_; }
  // Dword i as somebody else may change it meanwhile.
  [[nodiscard]] std::uint32_t load(std::size_t i = 0) const;
  void store(std::size_t i, std::uint32_t value) const;
  [[nodiscard]] std::uint32_t* dwords() const { return static_cast<std::uint32_t*>(data_); }

 private:
  HSAuint64 bytes_;
  void* data_ = nullptr;
  bool mapped_ = false;
};

// A signal or memory event.
class Event {
 public:
  explicit Event(HSA_EVENTTYPE type = HSA_EVENTTYPE_SIGNAL, bool manual_reset = false);
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event();
  [[nodiscard]] bool ok() const { return event_ != nullptr; }
  [[nodiscard]] HsaEvent* get() const { return event_; }
  [[nodiscard]] std::uint32_t id() const { return event_->EventId; }
  // Where the GPU writes the id before it interrupts.
  [[nodiscard]] std::uint64_t slot() const { return event_->EventData.HWData2; }
  // At most three seconds times patience().
  [[nodiscard]] bool wait() const;

 private:
  HsaEvent* event_ = nullptr;
};

// A queue with its ring.
class Queue {
 public:
  explicit Queue(HSA_QUEUE_TYPE type, HSAuint64 ring_bytes = 4 * kPage, HSAuint32 node = kGpuNode);
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  ~Queue() { (void)destroy(); }

  [[nodiscard]] bool ok() const { return created_; }
  [[nodiscard]] const HsaQueueResource& resource() const { return resource_; }
  bool destroy();
  // Ring and percentage; without one of them the queue stands still.
  [[nodiscard]] bool update(bool with_ring, HSAuint32 percentage, HSA_QUEUE_PRIORITY priority = HSA_QUEUE_PRIORITY_NORMAL);

  void emit(std::span<const std::uint32_t> dwords);
  void emit(std::initializer_list<std::uint32_t> dwords) { emit(std::span(dwords.begin(), dwords.size())); }
  template <typename Packet>
  void emit_packet(const Packet& packet) {
    std::uint32_t dwords[sizeof packet / sizeof(std::uint32_t)];
    std::memcpy(dwords, &packet, sizeof packet);
    emit(dwords);
  }
  // Hands what was emitted to the GPU.
  void submit();
  // What the write pointer and the doorbell would get.
  [[nodiscard]] std::uint64_t write_pointer() const { return is_pm4() ? emitted_ : emitted_ * 4; }
  [[nodiscard]] bool drained() const;
  // Waits for that.
  [[nodiscard]] bool drain() const;

  // PM4.
  void write_data(std::uint64_t address, std::uint32_t value);
  void signal(const Event& event);

 private:
  [[nodiscard]] bool is_pm4() const { return type_ == HSA_QUEUE_COMPUTE; }

  HSA_QUEUE_TYPE type_;
  Memory ring_;
  HsaQueueResource resource_{};
  std::uint64_t emitted_ = 0;  // dwords
  bool created_ = false;
};

// Runs a program on a PM4 queue: workgroups of one work-item.
struct Dispatch {
  std::span<const std::uint32_t> program;
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  std::uint32_t groups_x = 1;
  std::uint32_t groups_y = 1;
  std::uint64_t scratch = 0;  // base; one wave of 1 KiB
};

class Program {
 public:
  explicit Program(HSAuint32 node = kGpuNode) : memory_(2 * kPage, Memory::Kind::Ram, node) {}
  [[nodiscard]] bool ok() const { return memory_.ok(); }
  // Emits the dispatch and an interrupt behind its end, and submits. One at a time.
  void start(Queue& queue, const Dispatch& dispatch, const Event& event);

 private:
  Memory memory_;  // the code, then the indirect buffer
};

class ThunkTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  // Starts it on a queue of its own and waits. False: it did not end.
  [[nodiscard]] static bool run(const Dispatch& dispatch);

  HsaNodeProperties gpu_{};

 private:
  bool open_ = false;
};

// For child processes: opens the thunk anew.
[[nodiscard]] bool open_thunk();

}  // namespace kfdlab::thunk
