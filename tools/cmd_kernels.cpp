// SPDX-License-Identifier: MIT
// kfdlab kernels: what can be booted and what is already there for it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "tools/commands.h"
#include "tools/host/paths.h"
#include "tools/kernels/catalog.h"
#include "tools/kernels/debug_build.h"
#include "tools/kernels/kernel_tree.h"
#include "tools/kernels/module_build.h"

namespace kfdlab {
namespace {

constexpr const char* kRow = "{:<10} {:<24} {:<24} {:<8} {:<8} {}\n";

const char* modules_state(const std::filesystem::path& cache, const ModuleTarget& target) {
  if (modules_current(cache, target)) {
    return "built";
  }
  return built_modules(modules_directory(cache, target)).empty() ? "no" : "stale";
}

bool list_stock(const std::filesystem::path& cache, const CatalogEntry& entry) {
  const auto package = resolve_metapackage(cache, entry.metapackage);
  if (!package.ok()) {
    fmt::print("{:<10} {}\n", entry.name, package.error().message);
    return false;
  }
  const ModuleTarget target = packaged_target(package.value().release);
  std::error_code ignored;
  fmt::print(fmt::runtime(kRow), entry.name, target.release, package.value().version,
             package_cached(cache, package.value()) ? "yes" : "no",
             std::filesystem::exists(target.headers, ignored) ? "yes" : "no", modules_state(cache, target));
  return true;
}

// Not being built yet is how a debug kernel usually is.
void list_debug(const std::filesystem::path& cache, const DebugKernel& debug) {
  const auto tree = locate_debug_tree(cache, debug, {});
  if (!tree.ok()) {
    fmt::print("{:<10} {}\n", debug.name, tree.error().message);
    return;
  }
  const auto kernel = tree.value().built() ? find_kernel(tree.value().directory) : Result<BuiltKernel>(Error{""});
  if (!kernel.ok()) {
    fmt::print(fmt::runtime(kRow), debug.name, "-", tree.value().source.version, "no", "-",
               fmt::format("build it: kfdlab build --kernel {}", debug.name));
    return;
  }
  const ModuleTarget target = built_target(kernel.value());
  fmt::print(fmt::runtime(kRow), debug.name, target.release, tree.value().source.version, "yes", "yes",
             modules_state(cache, target));
}

int list_kernels() {
  const auto cache = cache_directory();
  if (!cache.ok()) {
    fmt::print(stderr, "kfdlab: {}\n", cache.error().message);
    return kHarnessStatus;
  }
  fmt::print(fmt::runtime(kRow), "NAME", "RELEASE", "PACKAGE VERSION", "CACHED", "HEADERS", "MODULES");
  bool known = true;
  for (const CatalogEntry& entry : stock_kernels()) {
    known = list_stock(cache.value(), entry) && known;
  }
  for (const DebugKernel& debug : debug_kernels()) {
    list_debug(cache.value(), debug);
  }
  return known ? 0 : kHarnessStatus;
}

}  // namespace

std::function<int()> setup_kernels(CLI::App& app) {
  static_cast<void>(app);
  return list_kernels;
}

}  // namespace kfdlab
