// SPDX-License-Identifier: MIT
// ControlRing: the requests a driver must be able to make whatever else the device does. It depends on nothing
// that waits for the driver: not on the IH ring, not on copies beyond their next safe point.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "device/bus/bar.h"
#include "device/cp/ring_thread.h"
#include "device/host/transport.h"
#include "device/mmu/address_spaces.h"

namespace kfdlab::device {

// What the entries do. Called by the control ring's thread only.
class ControlOperations {
 public:
  // An entry that was copied out of the ring, not TLB_INVALIDATE: complete when it returns. KFDLAB_RING_BAD_OPCODE for
  // an operation that does not exist; otherwise what docs/device.md says.
  [[nodiscard]] virtual kfdlab_ring_error execute(const kfdlab_control_entry& entry) = 0;
  // When it returns no thread uses a translation that one of these covers and that is older than the call.
  virtual void invalidate(std::span<const Invalidation> what) = 0;

 protected:
  ~ControlOperations() = default;
};

class ControlRing final : public RingProcessor {
 public:
  // Borrows all. Starts at the beginning of `generation`.
  ControlRing(const Bar& bar, std::uint32_t generation, ControlOperations& operations, Transport& transport)
      : bar_(bar), generation_(generation), operations_(operations), transport_(transport) {}

  void set_awake(bool awake) override;
  [[nodiscard]] bool has_work() override;
  void process(const std::atomic<bool>& stop_requested) override;

 private:
  [[nodiscard]] kfdlab_control_entry read_entry(std::uint64_t index) const;
  // Completes the invalidations that follow one another from done_ on, `first` being the first, with one grace period.
  void invalidate(const kfdlab_control_entry& first, std::uint64_t wptr);
  void complete(std::uint64_t entries);
  void stop(kfdlab_ring_error error);

  const Bar& bar_;
  const std::uint32_t generation_;
  ControlOperations& operations_;
  Transport& transport_;
  std::uint64_t done_ = 0;
  std::uint64_t invalidations_ = 0;
  std::vector<Invalidation> batch_;
  bool stopped_ = false;
};

}  // namespace kfdlab::device
