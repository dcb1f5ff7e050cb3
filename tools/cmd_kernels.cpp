// SPDX-License-Identifier: MIT
// kfdlab kernels: what can be booted and what is already there for it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "tools/commands.h"
#include "tools/host/paths.h"
#include "tools/kernels/catalog.h"
#include "tools/kernels/module_build.h"

namespace kfdlab {
namespace {

int list_kernels() {
  const auto cache = cache_directory();
  if (!cache.ok()) {
    fmt::print(stderr, "kfdlab: {}\n", cache.error().message);
    return kHarnessStatus;
  }
  fmt::print("{:<6} {:<24} {:<24} {:<8} {:<8} {}\n", "NAME", "RELEASE", "PACKAGE VERSION", "CACHED", "HEADERS",
             "MODULES");
  int status = 0;
  for (const CatalogEntry& entry : stock_kernels()) {
    const auto package = resolve_metapackage(cache.value(), entry.metapackage);
    if (!package.ok()) {
      fmt::print("{:<6} {}\n", entry.name, package.error().message);
      status = kHarnessStatus;
      continue;
    }
    const std::string& release = package.value().release;
    const auto modules = modules_directory(cache.value(), release);
    std::error_code ignored;
    const char* built = modules_current(modules) ? "built" : built_modules(modules).empty() ? "no" : "stale";
    fmt::print("{:<6} {:<24} {:<24} {:<8} {:<8} {}\n", entry.name, release, package.value().version,
               package_cached(cache.value(), package.value()) ? "yes" : "no",
               std::filesystem::exists(headers_directory(release), ignored) ? "yes" : "no", built);
  }
  return status;
}

}  // namespace

std::function<int()> setup_kernels(CLI::App& app) {
  static_cast<void>(app);
  return list_kernels;
}

}  // namespace kfdlab
