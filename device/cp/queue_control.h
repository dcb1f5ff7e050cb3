// SPDX-License-Identifier: MIT
// QueueControl: what control ring entries do to VMIDs and user queues. It runs on the control thread and orders the
// three that could touch a process's memory: the scheduler's packets, the engine's waves, and translations in TLBs.
//
// Invariant: when quiesce() or unmap() returns, no packet and no wave of those queues reads or writes memory; when
// set_vmid() or invalidate() returns, nobody uses an older translation.
#pragma once

#include <bitset>
#include <cstdint>
#include <span>
#include <vector>

#include "device/bus/bar.h"
#include "device/cp/control_ring.h"
#include "device/cp/queue_inbox.h"
#include "device/cp/queue_scheduler.h"
#include "device/cp/vmid_table.h"
#include "device/mmu/address_spaces.h"
#include "device/mmu/epoch.h"
#include "device/mmu/physical_map.h"
#include "hw/queue.h"
#include "hw/regs.h"

namespace kfdlab::device {

class QueueControl final : public ControlOperations {
 public:
  // Borrows all.
  QueueControl(const Bar& bar, const PhysicalMap& map, AddressSpaces& spaces, EpochDomain& epochs, VmidTable& vmids,
               engine::Engine& engine, QueueInbox& inbox, QueueScheduler& scheduler)
      : bar_(bar),
        map_(map),
        spaces_(spaces),
        epochs_(epochs),
        vmids_(vmids),
        engine_(engine),
        inbox_(inbox),
        scheduler_(scheduler) {}
  QueueControl(const QueueControl&) = delete;
  QueueControl& operator=(const QueueControl&) = delete;

  [[nodiscard]] kfdlab_ring_error execute(const kfdlab_control_entry& entry) override;
  void invalidate(std::span<const Invalidation> what) override;

 private:
  using Entry = kfdlab_control_entry;
  [[nodiscard]] kfdlab_ring_error set_vmid(const Entry& entry);
  [[nodiscard]] kfdlab_ring_error map(const Entry& entry);
  [[nodiscard]] kfdlab_ring_error update(const Entry& entry);
  [[nodiscard]] kfdlab_ring_error unmap(const Entry& entry);
  [[nodiscard]] kfdlab_ring_error quiesce(const Entry& entry);
  [[nodiscard]] kfdlab_ring_error resume(const Entry& entry);
  [[nodiscard]] kfdlab_ring_error clock();

  // Number and MQD of MAP_QUEUE and UPDATE_QUEUE.
  [[nodiscard]] kfdlab_ring_error read_queue(const Entry& entry, QueueDescriptor& queue) const;
  // The mapped queues an entry names. BAD_LENGTH: no such number, or another VMID's.
  [[nodiscard]] kfdlab_ring_error select(const Entry& entry, std::vector<std::uint32_t>& numbers);
  // Stops the scheduler's part of these queues.
  void stop_packets(const std::vector<std::uint32_t>& numbers);

  const Bar& bar_;
  const PhysicalMap& map_;
  AddressSpaces& spaces_;
  EpochDomain& epochs_;
  VmidTable& vmids_;
  engine::Engine& engine_;
  QueueInbox& inbox_;
  QueueScheduler& scheduler_;
  std::bitset<KFDLAB_QUEUE_COUNT> quiesced_;  // in the engine, whose calls count
};

}  // namespace kfdlab::device
