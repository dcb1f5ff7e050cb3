// SPDX-License-Identifier: MIT
// QueueReports: what user queues tell the driver, as IH entries in AMD's layout (hw/ih.h). Any thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "device/cp/ih_ring.h"
#include "device/cp/vmid_table.h"
#include "device/mmu/fault.h"
#include "hw/queue.h"

namespace kfdlab::device {

class QueueReports {
 public:
  // Borrows all.
  QueueReports(const Bar& bar, IhRing& ih, const VmidTable& vmids) : bar_(bar), ih_(ih), vmids_(vmids) {}
  QueueReports(const QueueReports&) = delete;
  QueueReports& operator=(const QueueReports&) = delete;

  // Each returns false if the ring had no room for the entry (or, a fault, if the driver has yet to read the same).
  bool end_of_pipe(std::uint32_t vmid, std::uint32_t event_id);
  bool sdma_trap(std::uint32_t vmid, std::uint32_t context);
  bool wave_message(std::uint32_t vmid, std::uint32_t m0);
  bool fault(const MemoryFault& fault, bool retry);
  // `client` is one of IH_CLIENT_SDMA0, _SE0SH, _GRBM_CP; `doorbell` an offset in the doorbell pages.
  bool error(std::uint32_t client, std::uint32_t vmid, std::uint32_t queue, std::uint32_t doorbell,
             kfdlab_queue_error code, std::uint64_t detail);

 private:
  [[nodiscard]] ih_entry entry(std::uint32_t client, std::uint32_t source, std::uint32_t ring,
                               std::uint32_t vmid) const;

  const Bar& bar_;
  IhRing& ih_;
  const VmidTable& vmids_;
  std::atomic<std::uint64_t> faults_{0};
};

}  // namespace kfdlab::device
