// SPDX-License-Identifier: MIT
// Debian's kernel sources (linux-source-X.Y), unpacked in the cache: read only, shared by every build of that version.
#pragma once

#include <filesystem>
#include <string>

#include "common/result.h"
#include "tools/kernels/build_progress.h"

namespace kfdlab {

struct SourcePackage {
  std::string package;  // linux-source-6.12
  std::string version;  // of the package
};

// The version the package index has now, or the one in the cache when there is no index.
[[nodiscard]] Result<SourcePackage> resolve_source(const std::filesystem::path& cache, const std::string& package);

[[nodiscard]] std::filesystem::path source_tree(const std::filesystem::path& cache, const SourcePackage& source);

// Unpacks it unless it is there: from /usr/src when the package is installed in that version, else from a download.
// Parallel callers wait for each other; the tree appears whole or not at all.
[[nodiscard]] Result<std::filesystem::path> ensure_source(const std::filesystem::path& cache,
                                                          const SourcePackage& source, LiveLine* live);

}  // namespace kfdlab
