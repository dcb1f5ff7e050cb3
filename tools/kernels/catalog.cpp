// SPDX-License-Identifier: MIT
#include "tools/kernels/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "tools/host/paths.h"
#include "tools/kernels/debug_build.h"
#include "tools/kernels/kernel_tree.h"

namespace kfdlab {
namespace {

namespace fs = std::filesystem;

constexpr CatalogEntry kStock[] = {
    {"6.1", "linux-image-amd64"},
    {"6.12", "linux-image-6.12-amd64"},
};

const CatalogEntry* find_stock(std::string_view name) {
  for (const CatalogEntry& entry : kStock) {
    if (name == entry.name) {
      return &entry;
    }
  }
  return nullptr;
}

bool is_path(const std::string& name) {
  std::error_code ignored;
  return name.find('/') != std::string::npos || (!name.empty() && fs::exists(name, ignored));
}

Error unknown(const std::string& name) {
  return Error{fmt::format("there is no kernel called {}; `kfdlab kernels` lists them", name)};
}

// A kernel before modules of ours are built for it.
struct Prepared {
  BootKernel boot;
  ModuleTarget target;
};

Result<Prepared> prepare_stock(const fs::path& cache, const CatalogEntry& entry, bool verbose) {
  const auto package = resolve_metapackage(cache, entry.metapackage);
  KFDLAB_TRY(package);
  const std::string& release = package.value().release;
  if (verbose && !package_cached(cache, package.value())) {
    fmt::print(stderr, "kfdlab: downloading {} {}\n", package.value().package, package.value().version);
  }
  const auto tree = ensure_package(cache, package.value());
  KFDLAB_TRY(tree);
  return Prepared{{entry.name, release, tree.value() / "boot" / ("vmlinuz-" + release), tree.value(), {}, false, {}},
                  packaged_target(release)};
}

// The kernel cannot start as our guest, or take our modules, without these.
Status check_features(const std::string& name, const KernelConfig& config) {
  const auto text = read_file(source_directory() / "tools/kernels/config/guest.config");
  KFDLAB_TRY(text);
  const auto missing = missing_features(parse_kernel_config(text.value()), config);
  if (!config.empty() && !missing.empty()) {
    return Error{fmt::format("the kernel at {} lacks {}; turn {} on and build it again", name, fmt::join(missing, ", "),
                             missing.size() == 1 ? "it" : "them")};
  }
  return ok_status();
}

Result<Prepared> prepare_built(const fs::path& cache, const std::string& name, const fs::path& path) {
  const auto kernel = find_kernel(path);
  KFDLAB_TRY(kernel);
  const BuiltKernel& built = kernel.value();
  KFDLAB_TRY(check_features(name, built.config));
  const auto view = module_view(cache, built);
  KFDLAB_TRY(view);
  Prepared prepared{{name, built.release, built.image, view.value(), {}}, built_target(built)};
  prepared.boot.instrumented = is_instrumented(built.config);
  return prepared;
}

Result<Prepared> prepare_debug(const fs::path& cache, const DebugKernel& kernel, const std::string& extra_config) {
  const auto tree = locate_debug_tree(cache, kernel, extra_config);
  KFDLAB_TRY(tree);
  KFDLAB_TRY(ensure_debug_tree(cache, kernel, tree.value()));
  auto prepared = prepare_built(cache, kernel.name, tree.value().directory);
  if (prepared.ok()) {
    prepared.value().boot.words = kernel.words;
  }
  return prepared;
}

Result<Prepared> prepare(const fs::path& cache, const std::string& name, const PrepareOptions& options) {
  if (const CatalogEntry* entry = find_stock(name); entry != nullptr) {
    return prepare_stock(cache, *entry, options.verbose);
  }
  if (const DebugKernel* kernel = find_debug_kernel(name); kernel != nullptr) {
    return prepare_debug(cache, *kernel, options.kernel_config);
  }
  return is_path(name) ? prepare_built(cache, name, name) : unknown(name);
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
    } else if (find_stock(name) != nullptr || find_debug_kernel(name) != nullptr) {
      add(name);
    } else if (is_path(name)) {
      const auto kernel = find_kernel(name);  // wrong paths are found out before anything starts
      KFDLAB_TRY(kernel);
      add(fs::canonical(name).string());
    } else {
      return unknown(name);
    }
  }
  return expanded;
}

Result<BootKernel> prepare_kernel(const std::string& name, const PrepareOptions& options) {
  const auto cache = cache_directory();
  KFDLAB_TRY(cache);
  auto prepared = prepare(cache.value(), name, options);
  KFDLAB_TRY(prepared);
  BootKernel& kernel = prepared.value().boot;
  const ModuleTarget& target = prepared.value().target;
  if (!options.modules.empty()) {
    kernel.kfdlab_modules = fs::absolute(options.modules);
  } else if (options.need_modules) {
    const auto build = build_modules(cache.value(), target);
    if (!build.ok() && std::getenv("KFDLAB_ALLOW_MISSING") == nullptr) {
      return build.error();
    }
    if (options.verbose) {
      fmt::print(stderr, "{}", build.ok() ? build.value().log : "kfdlab: " + build.error().message + "\n");
    }
    kernel.kfdlab_modules = modules_directory(cache.value(), target);
  }
  return std::move(kernel);
}

Result<ModuleTarget> prepare_module_target(const std::string& name, const PrepareOptions& options) {
  const auto cache = cache_directory();
  KFDLAB_TRY(cache);
  if (const CatalogEntry* entry = find_stock(name); entry != nullptr) {
    const auto package = resolve_metapackage(cache.value(), entry->metapackage);
    KFDLAB_TRY(package);
    return packaged_target(package.value().release);
  }
  auto prepared = prepare(cache.value(), name, options);
  KFDLAB_TRY(prepared);
  return std::move(prepared.value().target);
}

}  // namespace kfdlab
