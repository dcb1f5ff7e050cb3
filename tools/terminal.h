// SPDX-License-Identifier: MIT
// The caller's terminal: raw while a guest terminal is shown on it, as it was afterwards.
#pragma once

#include <termios.h>

#include <string_view>

namespace kfdlab {

class RawTerminal {
 public:
  RawTerminal() = default;
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  ~RawTerminal() { restore(); }

  void enter(int fd);
  // Async-signal-safe; does nothing when not raw.
  void restore();

 private:
  int fd_ = -1;
  termios saved_{};
};

// Writes all of `data`, waiting for a slow reader until it reads or an interrupt is requested. False: it never
// will (closed pipe, interrupt).
bool write_patiently(int fd, std::string_view data);

}  // namespace kfdlab
