// SPDX-License-Identifier: MIT
// The device log: one line per event on standard error, which the launcher keeps as device.log. Each line names
// the room that speaks ("host", "bus", "mmu", "cp", "gpu"). What a guest can provoke goes through log_guest(),
// which is limited, so that no guest can fill a disk.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace kfdlab::device {

enum class LogLimit { None, Guest };

// Writes one line with a single write(2). Thread-safe. A line refused by the limit is counted, and the count is
// shown with the next line that passes.
void log_line(LogLimit limit, std::string_view room, std::string_view text);

template <typename... Args>
void log_info(std::string_view room, fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLimit::None, room, fmt::format(format, std::forward<Args>(args)...));
}

// A mistake of the guest: never our trouble, never more than a few lines a second.
template <typename... Args>
void log_guest(std::string_view room, fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLimit::Guest, room, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace kfdlab::device
