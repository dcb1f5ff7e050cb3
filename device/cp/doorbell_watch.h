// SPDX-License-Identifier: MIT
// DoorbellWatch: when to look at the doorbells next. They are memory, so somebody has to look; the idle protocol of
// docs/device.md ("Doorbells of user queues") lets that stop. It decides and keeps queue_idle; looking and sleeping are
// the QueueScheduler's.
//
// Invariant: it says "for ever" only if the driver had zapped the mappings for the present queue_idle before the last
// look began.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "device/bus/bar.h"
#include "device/host/transport.h"

namespace kfdlab::device {

class DoorbellWatch {
 public:
  using Clock = std::chrono::steady_clock;
  // Quiet for this long, the device offers to sleep.
  static constexpr std::chrono::milliseconds kIdleAfter{10};
  // Bounds of the time between two looks; the last for a driver that has not armed for kPatience.
  static constexpr std::chrono::microseconds kShortest{20};
  static constexpr std::chrono::microseconds kLongest{100};
  static constexpr std::chrono::microseconds kUnarmed{1000};
  static constexpr std::chrono::seconds kPatience{1};

  // Borrows both. queue_idle is 0.
  DoorbellWatch(const Bar& bar, Transport& transport) : bar_(bar), transport_(transport) {}
  DoorbellWatch(const DoorbellWatch&) = delete;
  DoorbellWatch& operator=(const DoorbellWatch&) = delete;

  // Something was done, or the thread was woken: begin anew.
  void active(Clock::time_point now);
  // A look at everything, begun after the last call, found nothing. How long to wait for something to come before the
  // next look: no value means for ever.
  [[nodiscard]] std::optional<Clock::duration> quiet(Clock::time_point now);
  // Some packet waits for memory: likewise, never for ever and without offering to sleep.
  [[nodiscard]] Clock::duration waiting(Clock::time_point now);

 private:
  void announce();

  const Bar& bar_;
  Transport& transport_;
  Clock::time_point since_{};       // last activity
  std::uint32_t last_number_ = 0;   // of periods of idleness so far
  bool announced_ = false;
  bool armed_ = false;  // was seen, and a look has begun since
};

}  // namespace kfdlab::device
