// SPDX-License-Identifier: MIT
// What the guest changed in its overlay, for the line that `kfdlab run` ends with.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "tools/guest/mounts.h"

namespace kfdlab::guest {

// Absolute paths, sorted: files created, changed or removed, and new directories (with a trailing slash, without
// what is in them). At most kMaxChanges.
inline constexpr std::size_t kMaxChanges = 1000;
[[nodiscard]] std::set<std::string> overlay_changes(const RootLayers& layers);

}  // namespace kfdlab::guest
