// SPDX-License-Identifier: MIT
// kfdlab build: the kernel modules, for one kernel or all stock ones; and debug kernels themselves.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tools/commands.h"
#include "tools/host/paths.h"
#include "tools/judge/interrupt.h"
#include "tools/kernels/catalog.h"
#include "tools/kernels/module_build.h"

namespace kfdlab {
namespace {

struct BuildArguments {
  std::vector<std::string> kernels = {"stock"};
  std::string kernel_config;
  bool verbose = false;
};

Status build_one(const std::string& name, const BuildArguments& arguments) {
  const auto cache = cache_directory();
  KFDLAB_TRY(cache);
  const auto begin = std::chrono::steady_clock::now();
  PrepareOptions options;
  options.verbose = arguments.verbose;
  options.kernel_config = arguments.kernel_config;
  const auto target = prepare_module_target(name, options);
  KFDLAB_TRY(target);
  const auto build = build_modules(cache.value(), target.value());
  KFDLAB_TRY(build);
  if (arguments.verbose) {
    fmt::print("{}", build.value().log);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  fmt::print("{:<10} {:<24} {} in {:.1f} s: {}\n", name, target.value().release,
             build.value().rebuilt ? "modules built" : "modules current", seconds.count(),
             build.value().directory.string());
  return ok_status();
}

int build(const BuildArguments& arguments) {
  const auto names = expand_kernel_names(arguments.kernels);
  if (!names.ok()) {
    fmt::print(stderr, "kfdlab: {}\n", names.error().message);
    return kUsageStatus;
  }
  judge::Interrupt interrupt;
  for (const std::string& name : names.value()) {
    if (const auto status = build_one(name, arguments); !status.ok()) {
      fmt::print(stderr, "kfdlab: {}\n", status.error().message);
      return interrupt.signal() != 0 ? 128 + interrupt.signal() : 1;
    }
  }
  return 0;
}

}  // namespace

std::function<int()> setup_build(CLI::App& app) {
  auto arguments = std::make_shared<BuildArguments>();
  app.add_option("--kernel", arguments->kernels, std::string(kKernelHelp) + "; may be repeated (default stock)")
      ->allow_extra_args(false);
  app.add_option("--kernel-config", arguments->kernel_config, "file with further options of a debug kernel")
      ->check(CLI::ExistingFile);
  app.add_flag("--verbose,-v", arguments->verbose, "show the compiler's output");
  return [arguments] { return build(*arguments); };
}

}  // namespace kfdlab
