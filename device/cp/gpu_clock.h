// SPDX-License-Identifier: MIT
// The GPU's clock: CLOCK_MONOTONIC of the host in ticks of KFDLAB_CLOCK_HZ. One clock for time stamps of signals and
// packets and for what shaders read, so that they can be compared.
#pragma once

#include <chrono>
#include <cstdint>

#include "hw/regs.h"

namespace kfdlab::device {

inline constexpr std::uint64_t kNsPerTick = 1'000'000'000u / KFDLAB_CLOCK_HZ;

[[nodiscard]] inline std::uint64_t gpu_clock() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(now).count()) / kNsPerTick;
}

}  // namespace kfdlab::device
