// SPDX-License-Identifier: MIT
// The kernels kfdlab knows by name, and the way from a name to something that boots.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "tools/kernels/package.h"
#include "tools/vm/vm.h"

namespace kfdlab {

struct CatalogEntry {
  const char* name;         // as the user says it
  const char* metapackage;  // moves with the distribution's updates
};

// The stock kernels, oldest first.
[[nodiscard]] std::span<const CatalogEntry> stock_kernels();

// "6.1", "6.12" to themselves, "stock" to all; an Error lists what there is.
[[nodiscard]] Result<std::vector<std::string>> expand_kernel_names(const std::vector<std::string>& names);

struct PrepareOptions {
  std::string modules;       // directory of modules built elsewhere; empty: build ours
  bool need_modules = true;  // false: boot without them
  bool verbose = false;
};

// Image, module tree and modules of a stock kernel: downloads, unpacks and builds what is missing.
[[nodiscard]] Result<BootKernel> prepare_kernel(const std::string& name, const PrepareOptions& options);

}  // namespace kfdlab
