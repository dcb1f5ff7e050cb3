// SPDX-License-Identifier: MIT
// What a guest command inherits from the process that called kfdlab.
#pragma once

#include <string>
#include <vector>

#include "tools/vm/vm.h"

namespace kfdlab {

// Fills in working directory, environment (with `overrides`, each "K=V"), umask, user and groups; the groups get
// render and video added, so that the GPU's device nodes open. as_root: user and group 0 instead.
void inherit_from_caller(GuestCommand& command, const std::vector<std::string>& overrides, bool as_root);

// `environment` with each "K=V" of `overrides` replacing K or added.
[[nodiscard]] std::vector<std::string> merge_environment(std::vector<std::string> environment,
                                                         const std::vector<std::string>& overrides);

}  // namespace kfdlab
