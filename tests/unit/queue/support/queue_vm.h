// SPDX-License-Identifier: MIT
// QueueVm: a whole device on the loopback transport with one process on it: page tables, rings, MQDs and doorbells,
// and the driver's half of the control operations and of the idle protocol.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <span>
#include <vector>

#include "device/host/shared_word.h"
#include "hw/queue.h"
#include "tests/unit/device/support/loopback_vm.h"
#include "tests/unit/queue/support/fake_engine.h"

namespace kfdlab::device {

class QueueVm {
 public:
  static constexpr std::uint32_t kVmid = 9;
  static constexpr std::uint32_t kPasid = 0x8077;
  static constexpr std::uint64_t kVa = 0x7f6600000000;  // VRAM from offset 0 on, read-write
  static constexpr std::uint64_t kSize = 4u << 20;
  static constexpr std::uint64_t kRingBytes = 4096;

  explicit QueueVm(bool retry = false, const EngineParts& engine = FakeEngine::parts());

  [[nodiscard]] LoopbackVm& vm() { return vm_; }
  [[nodiscard]] TestDriver& driver() { return vm_.gpu(); }

  // Process memory by VA.
  template <typename T>
  [[nodiscard]] T& at(std::uint64_t va) {
    return *reinterpret_cast<T*>(driver().vram().data() + (va - kVa));
  }
  [[nodiscard]] std::span<std::byte> bytes(std::uint64_t va, std::uint64_t size) {
    return driver().vram().subspan(va - kVa, size);
  }
  // Without TLB invalidation.
  void set_page(std::uint64_t va, bool mapped);

  // Where queue `number` (below 16) has its parts, and a page of data besides.
  [[nodiscard]] static std::uint64_t ring(unsigned number) { return kVa + number * 0x10000; }
  [[nodiscard]] static std::uint64_t pointers(unsigned number) { return ring(number) + 0x4000; }
  [[nodiscard]] static std::uint64_t data(unsigned number) { return ring(number) + 0x8000; }
  [[nodiscard]] static std::uint64_t wptr_va(unsigned number) { return pointers(number) + 0x38; }
  [[nodiscard]] static std::uint64_t rptr_va(unsigned number) { return pointers(number) + 0x80; }
  [[nodiscard]] static std::uint32_t doorbell_offset(unsigned number) { return 0x4000 + number * 8; }
  [[nodiscard]] static std::uint64_t mqd_address(unsigned number) { return LoopbackVm::kRamBase + number * 256; }
  [[nodiscard]] kfdlab_mqd& mqd(unsigned number);

  // Control operations; each waits for its fence. False: the ring stopped, or the deadline passed.
  bool control(std::uint32_t op, std::uint32_t vmid, const std::vector<std::uint64_t>& args);
  bool set_vmid(bool retry, bool with_root = true);
  bool map_queue(unsigned number, kfdlab_queue_type type);
  bool unmap(std::uint64_t number) { return control(KFDLAB_CONTROL_UNMAP_QUEUE, kVmid, {number}); }
  bool quiesce(std::uint64_t number) { return control(KFDLAB_CONTROL_QUIESCE, kVmid, {number}); }
  bool resume(std::uint64_t number) { return control(KFDLAB_CONTROL_RESUME, kVmid, {number}); }

  // User space: appends a packet to an SDMA ring, then rings as a process does whose mapping may have been zapped.
  template <typename Packet>
  void submit_sdma(unsigned number, const Packet& packet) {
    std::array<std::uint32_t, sizeof(Packet) / 4> dwords;
    std::memcpy(dwords.data(), &packet, sizeof(packet));
    std::uint64_t wptr = load_relaxed(at<std::uint64_t>(wptr_va(number)));
    for (const std::uint32_t dword : dwords) {
      store_relaxed(at<std::uint32_t>(ring(number) + wptr % kRingBytes), dword);
      wptr += 4;
    }
    store_release(at<std::uint64_t>(wptr_va(number)), wptr);
    ring_doorbell(number, wptr);
  }
  void ring_doorbell(unsigned number, std::uint64_t value);
  [[nodiscard]] bool wait_sdma_idle(unsigned number);

  // The driver's half of the idle protocol: zaps the mappings if the device offers to sleep. False if it does not.
  bool arm();
  [[nodiscard]] std::uint32_t idle_number();

 private:
  [[nodiscard]] std::uint64_t& entry(std::uint64_t va);

  LoopbackVm vm_;
  std::uint64_t next_table_;
  std::uint64_t root_;
  std::mutex doorbell_lock_;  // the driver's
  bool doorbells_mapped_ = false;
};

}  // namespace kfdlab::device
