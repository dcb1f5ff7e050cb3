// SPDX-License-Identifier: MIT
// kfdlab build: the kernel modules, for one kernel or all stock ones.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tools/commands.h"
#include "tools/host/paths.h"
#include "tools/kernels/catalog.h"
#include "tools/kernels/module_build.h"

namespace kfdlab {
namespace {

struct BuildArguments {
  std::vector<std::string> kernels = {"stock"};
  bool verbose = false;
};

Status build_one(const std::string& name, bool verbose) {
  const auto cache = cache_directory();
  KFDLAB_TRY(cache);
  for (const CatalogEntry& entry : stock_kernels()) {
    if (name != entry.name) {
      continue;
    }
    const auto package = resolve_metapackage(cache.value(), entry.metapackage);
    KFDLAB_TRY(package);
    const auto begin = std::chrono::steady_clock::now();
    const auto build = build_modules(cache.value(), package.value().release);
    KFDLAB_TRY(build);
    if (verbose) {
      fmt::print("{}", build.value().log);
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    fmt::print("{:<6} {:<24} {} in {:.1f} s: {}\n", name, package.value().release,
               build.value().rebuilt ? "modules built" : "modules current", seconds.count(),
               build.value().directory.string());
  }
  return ok_status();
}

int build(const BuildArguments& arguments) {
  const auto names = expand_kernel_names(arguments.kernels);
  if (!names.ok()) {
    fmt::print(stderr, "kfdlab: {}\n", names.error().message);
    return kUsageStatus;
  }
  for (const std::string& name : names.value()) {
    if (const auto status = build_one(name, arguments.verbose); !status.ok()) {
      fmt::print(stderr, "kfdlab: {}\n", status.error().message);
      return 1;
    }
  }
  return 0;
}

}  // namespace

std::function<int()> setup_build(CLI::App& app) {
  auto arguments = std::make_shared<BuildArguments>();
  app.add_option("--kernel", arguments->kernels, "6.1, 6.12 or stock; may be repeated (default stock)")
      ->allow_extra_args(false);
  app.add_flag("--verbose,-v", arguments->verbose, "show the compiler's output");
  return [arguments] { return build(*arguments); };
}

}  // namespace kfdlab
