// SPDX-License-Identifier: MIT
// A lock that may be held for minutes: who waits is told so, and Ctrl-C ends the wait.
#pragma once

#include <filesystem>

#include "common/fd.h"
#include "common/result.h"
#include "tools/kernels/build_progress.h"

namespace kfdlab {

// Holds an exclusive lock on `path` (created) until the descriptor is closed. An Error when interrupted.
[[nodiscard]] Result<Fd> lock_patiently(const std::filesystem::path& path, LiveLine* live);

}  // namespace kfdlab
