// SPDX-License-Identifier: MIT
// Loading and unloading one kernel module by its file: the controls reload kfdlab_gup with other parameters.
#pragma once

#include <filesystem>
#include <string>

#include "common/result.h"

namespace kfdlab::judge {

// Parameters as for insmod: "name=value name=value".
[[nodiscard]] Status load_module(const std::filesystem::path& file, const std::string& parameters);
// Fails while the module is in use.
[[nodiscard]] Status unload_module(const std::string& name);

// kfdlab_gup.ko in a directory of built modules.
[[nodiscard]] std::filesystem::path gup_module(const std::filesystem::path& module_directory);

}  // namespace kfdlab::judge
