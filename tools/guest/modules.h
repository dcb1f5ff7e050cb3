// SPDX-License-Identifier: MIT
// Kernel modules from the initramfs.
#pragma once

#include <vector>

#include "common/result.h"
#include "tools/guest/config.h"

namespace kfdlab::guest {

// Loads them in order from /modules and removes the files, whose memory the guest has better use for. Goes on
// after a failure; the Error names the first one.
[[nodiscard]] Status load_modules(const std::vector<Module>& modules);

}  // namespace kfdlab::guest
