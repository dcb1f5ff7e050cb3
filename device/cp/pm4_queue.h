// SPDX-License-Identifier: MIT
// Pm4Queue: a ring of PM4 packets (kfdtest; ROCr makes none). Pointers count dwords; the one it reports to user space
// has 32 bits and wraps with the ring.
#pragma once

#include <cstdint>
#include <vector>

#include "device/cp/pm4_processor.h"
#include "device/cp/user_queue.h"

namespace kfdlab::device {

class Pm4Queue final : public UserQueue, private Pm4Processor::Owner {
 public:
  Pm4Queue(const QueueDescriptor& queue, QueueContext& context, std::uint64_t serial)
      : UserQueue(queue, context, serial), processor_(context.memory, *this), rptr_(queue.rptr) {}

  [[nodiscard]] std::uint64_t rptr() const override { return rptr_; }

 protected:
  [[nodiscard]] Act advance() override;
  void finished(const FinishedDispatch& dispatch) override;
  [[nodiscard]] std::uint32_t client() const override { return IH_CLIENT_GRBM_CP; }

 private:
  void pm4_launch(const engine::Dispatch& dispatch) override;
  [[nodiscard]] bool pm4_busy() const override { return in_flight_ != 0; }
  void pm4_interrupt(std::uint32_t context) override;
  void pm4_invalidate_code() override;

  [[nodiscard]] std::uint64_t ring_dwords() const { return descriptor().ring_bytes / sizeof(std::uint32_t); }
  [[nodiscard]] std::uint64_t ring_va(std::uint64_t dword) const {
    return descriptor().ring + (dword & (ring_dwords() - 1)) * sizeof(std::uint32_t);
  }
  // Reads the packet at rptr_ into packet_; Progress if it is there and whole.
  [[nodiscard]] Act fetch();
  [[nodiscard]] Act judge(Pm4Processor::Outcome outcome);
  [[nodiscard]] Act complete_packet();
  [[nodiscard]] Act report();

  Pm4Processor processor_;
  std::uint64_t rptr_;  // dwords
  std::uint64_t in_flight_ = 0;
  std::vector<std::uint32_t> packet_;
  bool executing_ib_ = false;    // packet_ is an INDIRECT_BUFFER that has begun
  bool report_pending_ = false;  // rptr_ was not yet stored where user space sees it
};

}  // namespace kfdlab::device
