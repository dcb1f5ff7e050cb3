// SPDX-License-Identifier: MIT
// IhRing: the device's end of the interrupt ring. push() never waits: an entry that finds the ring full, or that
// repeats a fault the driver has not read yet, is counted and left out. So neither a slow driver nor one that
// writes nonsense to ih_rptr can hold up a thread of the device.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>

#include "device/bus/bar.h"
#include "device/host/transport.h"

namespace kfdlab::device {

// Whether an unread equal entry makes this one superfluous. A trap is an event and counts; a fault is a state:
// the wave that hit it retries until the driver has answered the entry it already has.
enum class IhKind { Event, Fault };

class IhRing {
 public:
  // Borrows both. Starts at the beginning of a generation: pointers are 0.
  IhRing(const Bar& bar, Transport& transport) : bar_(bar), transport_(transport) {}
  IhRing(const IhRing&) = delete;
  IhRing& operator=(const IhRing&) = delete;

  // Stamps the entry with the time, publishes it and raises KFDLAB_IRQ_IH. False if it was left out. Any thread.
  bool push(ih_entry entry, IhKind kind);

 private:
  struct Recent {
    ih_entry entry = {};
    std::uint64_t offset = 0;  // ring offset behind the entry; 0: unused
  };
  // Enough to catch the faults of waves that retry at the same time; an older duplicate costs the driver one
  // look-up, nothing else.
  static constexpr std::size_t kRecent = 64;

  [[nodiscard]] bool is_unread_duplicate(const ih_entry& entry, std::uint64_t rptr) const;
  bool drop();

  const Bar& bar_;
  Transport& transport_;
  std::mutex mutex_;
  std::uint64_t wptr_ = 0;
  std::uint64_t dropped_ = 0;
  std::array<Recent, kRecent> recent_{};
  std::size_t next_recent_ = 0;
};

}  // namespace kfdlab::device
