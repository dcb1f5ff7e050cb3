// SPDX-License-Identifier: MIT
// The kernels kfdlab can boot: the distribution's by name, debug kernels of its own making by name, anybody's by path;
// and the way from such a name to something that boots.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "tools/kernels/module_build.h"
#include "tools/kernels/package.h"
#include "tools/vm/vm.h"

namespace kfdlab {

struct CatalogEntry {
  const char* name;         // as the user says it
  const char* metapackage;  // moves with the distribution's updates
};

// The stock kernels, oldest first.
[[nodiscard]] std::span<const CatalogEntry> stock_kernels();

// What --kernel takes, for help texts.
inline constexpr char kKernelHelp[] =
    "6.1, 6.12, debug-6.1, debug-6.12, stock, or the path of a kernel tree or bzImage";

// "6.1", "debug-6.12" to themselves, "stock" to all stock ones, a path to itself without links and dots; an Error says
// what there is.
[[nodiscard]] Result<std::vector<std::string>> expand_kernel_names(const std::vector<std::string>& names);

struct PrepareOptions {
  std::string modules;       // directory of modules built elsewhere; empty: build ours
  bool need_modules = true;  // false: boot without them
  bool verbose = false;
  std::string kernel_config = {};  // file with further options of a debug kernel; empty: none
};

// Image, module tree and modules of a kernel: downloads, unpacks and builds what is missing.
[[nodiscard]] Result<BootKernel> prepare_kernel(const std::string& name, const PrepareOptions& options);

// What modules for a kernel are built against. A debug kernel is built for that; a stock kernel's image is not needed.
[[nodiscard]] Result<ModuleTarget> prepare_module_target(const std::string& name, const PrepareOptions& options);

}  // namespace kfdlab
