// SPDX-License-Identifier: MIT
// Gpu: one virtual GPU. It owns its blocks and threads and wires them to one another; it has no logic of its own.
// An engine for user queues will be one more block here: a participant of the same epochs that pushes its faults
// into the same IH ring.
#pragma once

#include <cstdint>
#include <memory>

#include "common/result.h"
#include "device/bus/bar.h"
#include "device/cp/control_ring.h"
#include "device/cp/copy_ring.h"
#include "device/cp/ih_ring.h"
#include "device/cp/ring_thread.h"
#include "device/cp/sdma_processor.h"
#include "device/host/transport.h"
#include "device/mmu/epoch.h"
#include "device/mmu/physical_map.h"

namespace kfdlab::device {

class Gpu {
 public:
  // Borrows all; nothing is touched before start().
  Gpu(const Bar& bar, const PhysicalMap& map, Transport& transport, std::uint32_t generation);
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
  EpochDomain epochs_;
  EpochDomain::Participant& copy_participant_;
  IhRing ih_;
  SdmaProcessor sdma_;
  ControlRing control_ring_;
  CopyRing copy_ring_;
  RingThread control_thread_;
  RingThread copy_thread_;
};

}  // namespace kfdlab::device
