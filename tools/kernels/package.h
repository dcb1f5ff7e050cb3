// SPDX-License-Identifier: MIT
// Kernel packages: from a metapackage's name to an unpacked image and module tree in the cache. Nothing is
// installed on the host. An entry appears in the cache whole or not at all, and once it is there no network
// and no package index is needed.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"

namespace kfdlab {

struct KernelPackage {
  std::string package;  // linux-image-<release>
  std::string version;  // of the package
  std::string release;  // uname -r
};

// The kernel package a metapackage depends on now, by the package index; the newest one in the cache when the
// index does not know it.
[[nodiscard]] Result<KernelPackage> resolve_metapackage(const std::filesystem::path& cache,
                                                        std::string_view metapackage);

// The linux-image package named in the output of `apt-cache depends`.
[[nodiscard]] std::optional<std::string> parse_depends(std::string_view output);
// The candidate version in the output of `apt-cache policy`.
[[nodiscard]] std::optional<std::string> parse_policy(std::string_view output);

// The version of any package that the index would install now; the last one known when the index does not know it.
[[nodiscard]] Result<std::string> candidate_version(const std::filesystem::path& cache, const std::string& package);
// Fetches a package file into `directory`, which holds no other; the path of the .deb.
[[nodiscard]] Result<std::filesystem::path> download_package(const std::filesystem::path& directory,
                                                             const std::string& package, const std::string& version);
// A directory name for `name`.
[[nodiscard]] std::string cache_name(std::string name);

// Where the package's files are or would be: boot/vmlinuz-<release>, lib/modules/<release>.
[[nodiscard]] std::filesystem::path package_directory(const std::filesystem::path& cache, const KernelPackage& package);
[[nodiscard]] bool package_cached(const std::filesystem::path& cache, const KernelPackage& package);
// Downloads and unpacks it unless it is there. Parallel callers wait for each other.
[[nodiscard]] Result<std::filesystem::path> ensure_package(const std::filesystem::path& cache,
                                                           const KernelPackage& package);

}  // namespace kfdlab
