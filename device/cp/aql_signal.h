// SPDX-License-Identifier: MIT
// What the packet processor does to HSA signals (amd_signal_t of hw/aql.h) in a process's memory.
#pragma once

#include <cstdint>

#include "device/cp/queue_memory.h"
#include "device/cp/queue_reports.h"

namespace kfdlab::device {

enum class SignalResult : std::uint8_t {
  Ok,
  Fault,  // nothing was written
  Bad,    // an address that no signal has; nothing was written
};

// Completion: time stamps, value - 1, and its event if it has one. `signal` 0: nothing to do.
[[nodiscard]] SignalResult complete_signal(QueueMemory& memory, QueueReports& reports, std::uint32_t vmid,
                                           std::uint64_t signal, std::uint64_t start_ts, std::uint64_t end_ts);

// Stores `value` and raises the event.
[[nodiscard]] SignalResult set_signal(QueueMemory& memory, QueueReports& reports, std::uint32_t vmid,
                                      std::uint64_t signal, std::int64_t value);

// Reads the value.
[[nodiscard]] SignalResult load_signal(QueueMemory& memory, std::uint64_t signal, std::int64_t& value);

}  // namespace kfdlab::device
