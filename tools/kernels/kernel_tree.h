// SPDX-License-Identifier: MIT
// A kernel that somebody built: from a path to what boots and what modules are built against.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "common/result.h"
#include "tools/kernels/kernel_config.h"
#include "tools/kernels/module_build.h"

namespace kfdlab {

struct BuiltKernel {
  std::string release;            // uname -r
  std::filesystem::path image;    // bzImage
  std::filesystem::path headers;  // build tree or packaged headers
  std::filesystem::path modules;  // lib/modules/<release> of an installed kernel; empty: as the build tree lists them
  KernelConfig config;            // empty: unknown
};

// `path` is a build tree (of `make`, or its O=), or a bzImage: one in a build tree, or an installed one, whose headers
// and modules are looked for beside it and in /lib/modules. The Error says what is missing and what to do.
[[nodiscard]] Result<BuiltKernel> find_kernel(const std::filesystem::path& path);

// KASAN, lockdep or kmemleak watch this kernel: everything takes several times as long.
[[nodiscard]] bool is_instrumented(const KernelConfig& config);

// A line of a build tree's modules.order ("a/b.ko", since 6.2 "a/b.o") as the path below lib/modules/<release>.
[[nodiscard]] std::string installed_module_path(std::string_view order_line);

// A directory in the cache that holds lib/modules/<release>: links to the kernel's modules and an index made by depmod.
// Made anew when the kernel was; callers wait for each other.
[[nodiscard]] Result<std::filesystem::path> module_view(const std::filesystem::path& cache, const BuiltKernel& kernel);

// What modules are built against; its key names this kernel in the cache.
[[nodiscard]] ModuleTarget built_target(const BuiltKernel& kernel);

}  // namespace kfdlab
