// SPDX-License-Identifier: MIT
// The comparison that WAIT_REG_MEM and POLL_REGMEM share, by AMD's 3-bit function code; unsigned.
#pragma once

#include <cstdint>

namespace kfdlab::device {

[[nodiscard]] inline bool compare(std::uint32_t function, std::uint32_t value, std::uint32_t reference) {
  switch (function) {
    case 1:
      return value < reference;
    case 2:
      return value <= reference;
    case 3:
      return value == reference;
    case 4:
      return value != reference;
    case 5:
      return value >= reference;
    case 6:
      return value > reference;
    default:  // 0: always; 7 is not defined
      return true;
  }
}

}  // namespace kfdlab::device
