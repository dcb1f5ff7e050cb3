// SPDX-License-Identifier: MIT
// The provoker: a process of root's that makes the kernel move pages about beside the workers: compaction, reclaim to
// swap, breaking up of merged pages, swapping everything in again, eviction of all of VRAM by debugfs.
#pragma once

#include <string>

#include "tests/stress/setup.h"

namespace kfdlab::stress {

// Call in a fresh child process of the run. swap: the disk it may switch off and on, or empty. Ends when the run stops.
[[noreturn]] void run_provoker(const Setup& setup, Board* board, const std::string& swap);

}  // namespace kfdlab::stress
