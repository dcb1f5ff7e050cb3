// SPDX-License-Identifier: MIT
// kfdlab's own kernel modules: built into the cache against a kernel's packaged headers or build tree.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/result.h"

namespace kfdlab {

// The kernel that modules are built for.
struct ModuleTarget {
  std::string key;                // names the directory of the modules in the cache
  std::string release;            // uname -r
  std::filesystem::path headers;  // what make calls KDIR
};

// A kernel of the distribution: its headers are where their package puts them.
[[nodiscard]] ModuleTarget packaged_target(const std::string& release);

// Where the modules of this source tree are or would be built for a kernel.
[[nodiscard]] std::filesystem::path modules_directory(const std::filesystem::path& cache, const ModuleTarget& target);
// Built from the sources as they are now, for the kernel as it is now.
[[nodiscard]] bool modules_current(const std::filesystem::path& cache, const ModuleTarget& target);

struct ModuleBuild {
  std::filesystem::path directory;
  bool rebuilt = false;
  std::string log;  // the compiler's output, when rebuilt
};

// Builds what is stale; callers of the same kernel wait for each other.
[[nodiscard]] Result<ModuleBuild> build_modules(const std::filesystem::path& cache, const ModuleTarget& target);

// All *.ko below `directory`, sorted.
[[nodiscard]] std::vector<std::filesystem::path> built_modules(const std::filesystem::path& directory);

// What a reader of a failed build needs to see: the first complaint, or the last words.
[[nodiscard]] std::string first_complaint(const std::string& log);

}  // namespace kfdlab
