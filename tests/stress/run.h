// SPDX-License-Identifier: MIT
// StressRun: keeps `setup.processes` workers and the provoker alive until the time or the operations are over, starts a
// new life for each that ended, watches that every one makes progress, and reaps everybody.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tests/stress/setup.h"

namespace kfdlab::stress {

struct RunResult {
  std::string failure;  // empty: every byte was right, and everybody ended as they should
  std::map<std::string, std::uint64_t> counts;
};

// Blocks. Every process it started has gone when it returns, unless the kernel holds one and the failure says so.
[[nodiscard]] RunResult run_stress(const Setup& setup);

}  // namespace kfdlab::stress
