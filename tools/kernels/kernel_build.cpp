// SPDX-License-Identifier: MIT
#include "tools/kernels/kernel_build.h"

#include <fmt/format.h>

#include <chrono>
#include <functional>
#include <sstream>
#include <system_error>
#include <thread>

#include "tools/host/paths.h"
#include "tools/host/process.h"
#include "tools/kernels/kernel_config.h"
#include "tools/kernels/make_process.h"
#include "tools/kernels/module_build.h"

namespace kfdlab {
namespace fs = std::filesystem;
namespace {

constexpr const char* kPackageList = "tools/packages-debug.txt";

// The object files already there: what an interrupted build did.
unsigned count_objects(const fs::path& tree) {
  unsigned count = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(tree, error), end; !error && it != end; it.increment(error)) {
    count += it->path().extension() == ".o" ? 1 : 0;
  }
  return count;
}

fs::path wanted_file(const KernelBuild& build) { return build.directory / "kfdlab.config"; }

std::vector<std::string> make_command(const KernelBuild& build) {
  // Not our caller's make, nobody's name in the kernel's version text, and whoever works on this machine comes first.
  std::vector<std::string> argv = {"nice",
                                   "-n",
                                   "10",
                                   "env",
                                   "-u",
                                   "MAKEFLAGS",
                                   "-u",
                                   "MFLAGS",
                                   "KBUILD_BUILD_USER=kfdlab",
                                   "KBUILD_BUILD_HOST=kfdlab",
                                   "LC_ALL=C.UTF-8",
                                   "KCONFIG_ALLCONFIG=" + wanted_file(build).string(),
                                   "make",
                                   "-C",
                                   build.source.string(),
                                   "O=" + build.directory.string()};
  if (const auto ccache = run_helper({"ccache", "--version"}); ccache.ok() && ccache.value().status == 0) {
    argv.push_back("CC=ccache gcc");
  }
  return argv;
}

// Runs make with `arguments`, `on_line` for each line it prints.
Status run_kernel_make(const KernelBuild& build, const std::vector<std::string>& arguments, const fs::path& log,
                       const std::function<void(std::string_view)>& on_line) {
  auto argv = make_command(build);
  argv.push_back(fmt::format("-j{}", std::thread::hardware_concurrency()));
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto status = run_make(argv, log, on_line);
  KFDLAB_TRY(status);
  if (status.value() != 0) {
    const auto text = read_file(log);
    return Error{fmt::format("{} does not build: {}; the whole output is in {}", build.name,
                             text.ok() ? first_complaint(text.value()) : "", log.string())};
  }
  return ok_status();
}

}  // namespace

Result<std::string> kernel_config_text(std::initializer_list<const char*> files, const fs::path& extra) {
  std::string text;
  for (const char* name : files) {
    const auto part = read_file(source_directory() / "tools/kernels/config" / name);
    KFDLAB_TRY(part);
    text += part.value();
  }
  if (!extra.empty()) {
    const auto part = read_file(extra);
    KFDLAB_TRY(part);
    text += part.value();
  }
  return text;
}

std::string compiler_version() {
  const auto output = run_helper({"gcc", "--version"});
  return output.ok() ? output.value().out.substr(0, output.value().out.find('\n')) : "";
}

Status check_kernel_packages() {
  const auto list = read_file(source_directory() / kPackageList);
  KFDLAB_TRY(list);
  std::istringstream lines(list.value());
  std::string missing;
  for (std::string line; std::getline(lines, line);) {
    std::string package;
    std::istringstream(line) >> package;
    if (package.empty() || package.starts_with('#')) {
      continue;
    }
    const auto output = run_helper({"dpkg-query", "-W", "-f", "${db:Status-Status}", package});
    KFDLAB_TRY(output);
    if (output.value().out != "installed") {
      missing += " " + package;
    }
  }
  if (!missing.empty()) {
    return Error{"building a kernel needs more packages; install them: apt-get install" + missing};
  }
  return ok_status();
}

Status configure_kernel(const KernelBuild& build) {
  KFDLAB_TRY(write_file_atomically(wanted_file(build), build.config));
  auto argv = make_command(build);
  argv.insert(argv.end(), {"-s", "allnoconfig"});
  const auto output = run_helper(argv);
  KFDLAB_TRY(output);
  if (output.value().status != 0) {
    return Error{fmt::format("{} cannot be configured: {}", build.name,
                             first_complaint(output.value().out + output.value().err))};
  }
  const auto text = read_file(build.directory / ".config");
  KFDLAB_TRY(text);
  const auto dropped = dropped_options(parse_kernel_config(build.config), parse_kernel_config(text.value()));
  if (!dropped.empty()) {
    return Error{fmt::format("the configuration of {} dropped {}; what these options depend on is missing or renamed",
                             build.name, fmt::join(dropped, ", "))};
  }
  return ok_status();
}

Status compile_kernel(const KernelBuild& build, LiveLine* live) {
  const fs::path log = build.directory / "build.log";
  const auto begin = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begin);
  };
  std::error_code ignored;
  const bool goes_on = fs::exists(log, ignored);
  BuildProgress progress(build.objects, goes_on ? count_objects(build.directory) : 0);
  const auto show = [&](std::string_view line) {
    progress.feed(line);
    live->update(progress.text(elapsed()));
  };
  live->say(fmt::format("{} from {}; this takes 10 to 40 minutes once, Ctrl-C and later again is fine",
                        goes_on ? "building on" : "building", build.source_name));
  KFDLAB_TRY(run_kernel_make(build, {"bzImage", "modules"}, log, show));
  live->say(fmt::format("built, {}", progress.text(elapsed())));
  return ok_status();
}

Status remake_kernel(const KernelBuild& build, const std::vector<std::string>& targets, const fs::path& log) {
  return run_kernel_make(build, targets, log, [](std::string_view) {});
}

}  // namespace kfdlab
