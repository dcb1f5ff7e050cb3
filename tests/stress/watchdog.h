// SPDX-License-Identifier: MIT
// The watchdog: who has been at one operation for too long, and what the kernel says about all of the run's tasks.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/stress/board.h"

namespace kfdlab::stress {

// "process 1 thread 0 has been at operation 12 (munmap) for 60 s", or empty.
[[nodiscard]] std::string find_stuck(const Board& board, std::chrono::seconds limit);

// State, place in the kernel and stack of every thread of these processes, from /proc. Blocked tasks also go to the
// kernel log (sysrq w), declared there as expected.
[[nodiscard]] std::string describe_tasks(const std::vector<pid_t>& processes);

}  // namespace kfdlab::stress
