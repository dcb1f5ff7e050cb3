// SPDX-License-Identifier: MIT
// The kernel that mutants of mm and TTM are made of: Debian's sources without checkers, built once in the cache
// (mutants/<kernel>_<version>_<configuration>/{source,build}).
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "tools/mutants/base.h"

namespace kfdlab::mutants {

[[nodiscard]] Result<std::unique_ptr<Base>> make_kernel_base(const std::string& kernel,
                                                             const std::filesystem::path& cache);

}  // namespace kfdlab::mutants
