// SPDX-License-Identifier: MIT
// kfdlab's own sources as what mutants are made of: a copy of the tree in the cache, the modules built from it for a
// stock kernel, or the virtual GPU beside links to the other programs.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "tools/mutants/base.h"

namespace kfdlab::mutants {

[[nodiscard]] Result<std::unique_ptr<Base>> make_module_base(const std::string& kernel,
                                                             const std::filesystem::path& cache);
[[nodiscard]] Result<std::unique_ptr<Base>> make_device_base(const std::string& kernel,
                                                             const std::filesystem::path& cache);

}  // namespace kfdlab::mutants
