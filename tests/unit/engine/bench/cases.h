// SPDX-License-Identifier: MIT
// The kernels of the engine's bench with their data: what goes in, what must come out (the host's own loops say it).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/unit/engine/support/code_object.h"
#include "tests/unit/engine/support/engine_rig.h"

namespace kfdlab::engine {

struct BenchCase {
  std::string name;    // of the line it makes
  std::string kernel;  // of kernels.hip
  CodeObject::Grid grid;
  std::vector<std::uint8_t> arguments;
  std::function<void()> prepare;   // before every run
  std::function<void()> native;    // the same work on the host, into memory of its own; may be missing
  std::function<bool()> is_right;  // after native()
};

// Data is put into the rig's memory from 1 MiB on; cases are run one after another.
[[nodiscard]] std::vector<BenchCase> bench_cases(EngineRig& rig);

}  // namespace kfdlab::engine
