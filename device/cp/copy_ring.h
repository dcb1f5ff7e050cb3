// SPDX-License-Identifier: MIT
// CopyRing: the driver's SDMA ring. It judges the write pointer, copies each packet out of shared memory once,
// because the guest may rewrite it while it is looked at, and has the SdmaProcessor execute the copy.
#pragma once

#include <cstdint>

#include "device/bus/bar.h"
#include "device/cp/ring_thread.h"
#include "device/cp/sdma_processor.h"
#include "device/host/transport.h"
#include "device/mmu/epoch.h"

namespace kfdlab::device {

class CopyRing final : public RingProcessor {
 public:
  // Borrows all. Starts at the beginning of `generation`. `thread` belongs to the thread that calls process().
  CopyRing(const Bar& bar, std::uint32_t generation, SdmaProcessor& sdma, EpochDomain::Participant& thread,
           Transport& transport)
      : bar_(bar), generation_(generation), sdma_(sdma), thread_(thread), transport_(transport) {}

  void set_awake(bool awake) override;
  [[nodiscard]] bool has_work() override;
  void process(const std::atomic<bool>& stop_requested) override;

 private:
  // Executes the packet at rptr_ and moves behind it; an error leaves rptr_ at the packet.
  [[nodiscard]] kfdlab_ring_error step(std::uint64_t wptr);
  [[nodiscard]] SdmaPacket gather(std::uint32_t header, std::uint64_t bytes) const;
  void publish();
  void stop(kfdlab_ring_error error);

  const Bar& bar_;
  const std::uint32_t generation_;
  SdmaProcessor& sdma_;
  EpochDomain::Participant& thread_;
  Transport& transport_;
  std::uint64_t rptr_ = 0;
  std::uint64_t packets_ = 0;
  bool stopped_ = false;
};

}  // namespace kfdlab::device
