// SPDX-License-Identifier: MIT
// A worker process: one life of `setup.threads` actors. It ends in one of three ways that its seed chooses: everything
// checked and given back, exit() with everything held, or SIGKILL in the middle of the other threads' operations.
#pragma once

#include "tests/stress/setup.h"

namespace kfdlab::stress {

// Call in a fresh child process of the run. process, incarnation: which life of which process this is.
[[noreturn]] void run_worker(const Setup& setup, Board* board, unsigned process, unsigned incarnation);

}  // namespace kfdlab::stress
