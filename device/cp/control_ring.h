// SPDX-License-Identifier: MIT
// ControlRing: the requests a driver must be able to make whatever else the device does. It depends on nothing
// that waits for the driver: not on the IH ring, not on copies beyond their next safe point.
#pragma once

#include <cstdint>

#include "device/bus/bar.h"
#include "device/cp/ring_thread.h"
#include "device/host/transport.h"
#include "device/mmu/epoch.h"

namespace kfdlab::device {

class ControlRing final : public RingProcessor {
 public:
  // Borrows all. Starts at the beginning of `generation`.
  ControlRing(const Bar& bar, std::uint32_t generation, EpochDomain& epochs, Transport& transport)
      : bar_(bar), generation_(generation), epochs_(epochs), transport_(transport) {}

  void set_awake(bool awake) override;
  [[nodiscard]] bool has_work() override;
  void process(const std::atomic<bool>& stop_requested) override;

 private:
  // How many entries of [from, end) follow one another as TLB invalidations.
  [[nodiscard]] std::uint64_t count_invalidations(std::uint64_t from, std::uint64_t end) const;
  // Completes that many invalidations with one grace period: one that begins now covers all of them, and that it
  // drops more than their ranges is allowed.
  void invalidate(std::uint64_t entries);
  void complete(std::uint64_t entries);
  void stop(kfdlab_ring_error error);

  const Bar& bar_;
  const std::uint32_t generation_;
  EpochDomain& epochs_;
  Transport& transport_;
  std::uint64_t done_ = 0;
  std::uint64_t invalidations_ = 0;
  bool stopped_ = false;
};

}  // namespace kfdlab::device
