// SPDX-License-Identifier: MIT
// Gpu: one virtual GPU. It owns its blocks and threads and wires them to one another; it has no logic of its own.
#pragma once

#include <cstdint>
#include <memory>

#include "common/result.h"
#include "device/bus/bar.h"
#include "device/cp/control_ring.h"
#include "device/cp/copy_ring.h"
#include "device/cp/engine_link.h"
#include "device/cp/ih_ring.h"
#include "device/cp/queue_control.h"
#include "device/cp/queue_inbox.h"
#include "device/cp/queue_reports.h"
#include "device/cp/queue_scheduler.h"
#include "device/cp/ring_thread.h"
#include "device/cp/sdma_processor.h"
#include "device/cp/vmid_table.h"
#include "device/host/transport.h"
#include "device/mmu/address_spaces.h"
#include "device/mmu/epoch.h"
#include "device/mmu/page_walker.h"
#include "device/mmu/physical_map.h"

namespace kfdlab::device {

class Gpu {
 public:
  // Borrows all; nothing is touched before start(). `engine` says where kernels run.
  Gpu(const Bar& bar, const PhysicalMap& map, Transport& transport, std::uint32_t generation,
      const EngineParts& engine);
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;
  ~Gpu() { stop(); }

  // Resets the device page, starts the threads and announces READY with KFDLAB_IRQ_STATE. Call once.
  [[nodiscard]] Status start();
  // Ends the threads; afterwards nothing here touches shared memory. The state word is the launcher's to change.
  void stop();

 private:
  const Bar& bar_;
  Transport& transport_;
  const std::uint32_t generation_;
  const EngineParts engine_parts_;
  EpochDomain epochs_;
  EpochDomain::Participant& copy_participant_;
  EpochDomain::Participant& queue_participant_;
  IhRing ih_;
  AddressSpaces spaces_;
  PageWalker walker_;
  VmidTable vmids_;
  QueueReports reports_;
  EngineLink engine_link_;
  QueueInbox inbox_;
  // Uses everything above, the inbox until its end; what is below uses it.
  std::unique_ptr<engine::Engine> engine_;
  QueueScheduler scheduler_;
  QueueControl queue_control_;
  SdmaProcessor sdma_;
  ControlRing control_ring_;
  CopyRing copy_ring_;
  RingThread control_thread_;
  RingThread copy_thread_;
};

}  // namespace kfdlab::device
