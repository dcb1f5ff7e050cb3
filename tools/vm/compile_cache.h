// SPDX-License-Identifier: MIT
// The cache of what ROCm compiles inside every HIP process (its blit kernels, which take longer under TCG than all the
// rest of a small program). The library of tools/compile_cache stands in for libamd_comgr in the VM; what it keeps is
// shared by all VMs of one user. docs/decisions/0051 says why this is safe.
#pragma once

#include <filesystem>
#include <optional>

namespace kfdlab {

struct CompileCache {
  std::filesystem::path library;  // what stands in
  std::filesystem::path real;     // the library it stands in for, no symbolic link
  std::filesystem::path entries;  // directory that the guest may write
};

// 9p mount tag of CompileCache::entries.
inline constexpr const char* kCompileCacheTag = "compile";

// nullopt: nothing to stand in for, or no place to keep results; programs then compile for themselves. What the
// directory holds above a limit goes, oldest first.
[[nodiscard]] std::optional<CompileCache> find_compile_cache();

// Removes files of `directory` until `limit` bytes are left, those changed longest ago first. Failures are silent.
void prune_files(const std::filesystem::path& directory, std::uintmax_t limit);

}  // namespace kfdlab
