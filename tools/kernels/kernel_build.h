// SPDX-License-Identifier: MIT
// A kernel built from sources and a configuration of ours in a tree of its own (O=): what debug kernels and the kernels
// that mutants are made of have in common.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <string>
#include <vector>

#include "common/result.h"
#include "tools/kernels/build_progress.h"

namespace kfdlab {

struct KernelBuild {
  std::string name;                 // for messages
  std::string source_name;          // "linux-source-6.12 6.12.117-1"
  std::filesystem::path source;     // unpacked; not written to
  std::filesystem::path directory;  // the build tree
  std::string config;               // options wanted; the rest is off
  unsigned objects = 0;             // that make compiles, about: for the progress shown
};

// The text of files in tools/kernels/config, one after the other: the last line about an option counts. `extra` is a
// further file, or empty.
[[nodiscard]] Result<std::string> kernel_config_text(std::initializer_list<const char*> files,
                                                     const std::filesystem::path& extra);

// The first line of `gcc --version`: part of the key of what it built.
[[nodiscard]] std::string compiler_version();

// An Error that names the packages a kernel build needs beyond those of kfdlab itself, if any are missing.
[[nodiscard]] Status check_kernel_packages();

// Writes .config; an Error names the options that kconfig dropped.
[[nodiscard]] Status configure_kernel(const KernelBuild& build);

// Builds image and modules from nothing, or goes on where an interrupted call stopped; minutes. Output in build.log.
[[nodiscard]] Status compile_kernel(const KernelBuild& build, LiveLine* live);

// Makes `targets` in a tree that is built; seconds. The compiler's output goes to `log`; an Error quotes it.
[[nodiscard]] Status remake_kernel(const KernelBuild& build, const std::vector<std::string>& targets,
                                   const std::filesystem::path& log);

}  // namespace kfdlab
