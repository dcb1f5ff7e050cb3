// SPDX-License-Identifier: MIT
// How fast this machine's time stamp counter runs. QEMU's emulated CPUs show the guest the host's counter; a guest that
// calibrates it against an emulated timer while the host is busy may be wrong by a large factor, and its clock with it.
#pragma once

#include <cstdint>
#include <ctime>

namespace kfdlab {

// A reading of the counter and of CLOCK_MONOTONIC, and the ns that may lie between the two.
struct TscSample {
  std::uint64_t ticks = 0;
  std::uint64_t ns = 0;
  std::uint64_t error_ns = 0;
};

// kHz between two samples; 0 if they tell less than one part in a thousand.
[[nodiscard]] unsigned tsc_khz_between(const TscSample& first, const TscSample& second);

// kHz of this machine's counter, measured once per process (some 50 ms); 0: it could not be told, let the guest find out.
[[nodiscard]] unsigned host_tsc_khz();

}  // namespace kfdlab
