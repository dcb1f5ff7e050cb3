// SPDX-License-Identifier: MIT
#include "tools/kernels/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "tools/host/paths.h"
#include "tools/kernels/module_build.h"

namespace kfdlab {
namespace {

constexpr CatalogEntry kStock[] = {
    {"6.1", "linux-image-amd64"},
    {"6.12", "linux-image-6.12-amd64"},
};

const CatalogEntry* find(std::string_view name) {
  for (const CatalogEntry& entry : kStock) {
    if (name == entry.name) {
      return &entry;
    }
  }
  return nullptr;
}

Error unknown(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    return Error{
        fmt::format("--kernel {}: a kernel tree or image of your own is not supported yet; name 6.1 or 6.12", name)};
  }
  return Error{fmt::format("there is no kernel called {}; `kfdlab kernels` lists them", name)};
}

}  // namespace

std::span<const CatalogEntry> stock_kernels() { return kStock; }

Result<std::vector<std::string>> expand_kernel_names(const std::vector<std::string>& names) {
  std::vector<std::string> expanded;
  const auto add = [&expanded](const std::string& name) {
    if (std::find(expanded.begin(), expanded.end(), name) == expanded.end()) {
      expanded.push_back(name);
    }
  };
  for (const std::string& name : names) {
    if (name == "stock") {
      for (const CatalogEntry& entry : kStock) {
        add(entry.name);
      }
    } else if (find(name) != nullptr) {
      add(name);
    } else {
      return unknown(name);
    }
  }
  return expanded;
}

Result<BootKernel> prepare_kernel(const std::string& name, const PrepareOptions& options) {
  const CatalogEntry* entry = find(name);
  if (entry == nullptr) {
    return unknown(name);
  }
  const auto cache = cache_directory();
  KFDLAB_TRY(cache);
  const auto package = resolve_metapackage(cache.value(), entry->metapackage);
  KFDLAB_TRY(package);
  const std::string& release = package.value().release;
  if (options.verbose && !package_cached(cache.value(), package.value())) {
    fmt::print(stderr, "kfdlab: downloading {} {}\n", package.value().package, package.value().version);
  }
  const auto tree = ensure_package(cache.value(), package.value());
  KFDLAB_TRY(tree);
  BootKernel kernel{name, release, tree.value() / "boot" / ("vmlinuz-" + release), tree.value(), {}};
  if (!options.modules.empty()) {
    kernel.kfdlab_modules = std::filesystem::absolute(options.modules);
  } else if (options.need_modules) {
    const auto build = build_modules(cache.value(), release);
    if (!build.ok() && std::getenv("KFDLAB_ALLOW_MISSING") == nullptr) {
      return build.error();
    }
    if (options.verbose) {
      fmt::print(stderr, "{}", build.ok() ? build.value().log : "kfdlab: " + build.error().message + "\n");
    }
    kernel.kfdlab_modules = modules_directory(cache.value(), release);
  }
  return kernel;
}

}  // namespace kfdlab
