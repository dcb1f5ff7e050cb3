// SPDX-License-Identifier: MIT
// Debug kernels: Debian's sources with our configuration, compiled once into the cache. An entry is a build tree of
// its own (O=), keyed by source version, configuration and compiler; a build that was interrupted goes on where it
// stopped.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "common/result.h"
#include "tools/kernels/source_package.h"

namespace kfdlab {

struct DebugKernel {
  const char* name;     // as the user says it
  const char* package;  // of its sources
  unsigned objects;     // that make compiles, about: for the progress shown
  const char* words;    // of its command line, for what it alone needs; "" for none
};

// Oldest first.
[[nodiscard]] std::span<const DebugKernel> debug_kernels();
[[nodiscard]] const DebugKernel* find_debug_kernel(std::string_view name);

// Where a debug kernel is or would be.
struct DebugTree {
  SourcePackage source;
  std::string config;               // the whole configuration text
  std::filesystem::path directory;  // the build tree

  [[nodiscard]] bool built() const;
};

// extra_config: a file with further options (they win), or empty.
[[nodiscard]] Result<DebugTree> locate_debug_tree(const std::filesystem::path& cache, const DebugKernel& kernel,
                                                  const std::filesystem::path& extra_config);

// Builds it unless it is there; minutes. Progress goes to stderr, the compiler's output to build.log in the tree.
// Callers wait for each other; Ctrl-C ends the compiler.
[[nodiscard]] Status ensure_debug_tree(const std::filesystem::path& cache, const DebugKernel& kernel,
                                       const DebugTree& tree);

}  // namespace kfdlab
