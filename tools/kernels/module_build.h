// SPDX-License-Identifier: MIT
// kfdlab's own kernel modules: built against a kernel's packaged headers into the cache.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/result.h"

namespace kfdlab {

[[nodiscard]] std::filesystem::path headers_directory(const std::string& release);
// Where the modules of this source tree are or would be built for a kernel.
[[nodiscard]] std::filesystem::path modules_directory(const std::filesystem::path& cache, const std::string& release);
// Built from the sources as they are now.
[[nodiscard]] bool modules_current(const std::filesystem::path& directory);

struct ModuleBuild {
  std::filesystem::path directory;
  bool rebuilt = false;
  std::string log;  // the compiler's output, when rebuilt
};

// Builds what is stale; callers of the same kernel wait for each other.
[[nodiscard]] Result<ModuleBuild> build_modules(const std::filesystem::path& cache, const std::string& release);

// All *.ko below `directory`, sorted.
[[nodiscard]] std::vector<std::filesystem::path> built_modules(const std::filesystem::path& directory);

}  // namespace kfdlab
