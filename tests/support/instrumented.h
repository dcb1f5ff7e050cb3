// SPDX-License-Identifier: MIT
// Whether checkers watch this kernel (KASAN, lockdep, kmemleak): then everything takes several times as long.
#pragma once

#include <unistd.h>

namespace kfdlab {

// Factor by which limits and deadlines grow on such a kernel.
inline constexpr unsigned kInstrumentedFactor = 4;

// Only root sees debugfs, so one of the two signs is for everybody.
[[nodiscard]] inline bool kernel_is_instrumented() {
  return ::access("/proc/lockdep_stats", F_OK) == 0 || ::access("/sys/kernel/debug/kmemleak", F_OK) == 0;
}

}  // namespace kfdlab
