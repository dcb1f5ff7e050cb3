// SPDX-License-Identifier: MIT
// What compute_call_test.cpp offers to tests that need a process of their own for it.
#pragma once

#include <hip/hip_runtime_api.h>

namespace kfdlab {

// Runs a kernel whose assertion "static_cast<int>(threadIdx.x) < limit" fails in some lanes. Does not return: ROCm aborts.
hipError_t launch_failing_assertion();

}  // namespace kfdlab
