// SPDX-License-Identifier: MIT
#include "tools/kernels/debug_build.h"

#include <fmt/format.h>

#include <array>
#include <sstream>
#include <system_error>
#include <thread>

#include "tools/host/paths.h"
#include "tools/host/process.h"
#include "tools/kernels/build_progress.h"
#include "tools/kernels/file_lock.h"
#include "tools/kernels/kernel_config.h"
#include "tools/kernels/make_process.h"
#include "tools/kernels/module_build.h"
#include "tools/kernels/package.h"
#include "tools/kernels/stamp.h"

namespace kfdlab {
namespace fs = std::filesystem;
namespace {

constexpr DebugKernel kKernels[] = {
    // 6.1 poisons the page structs of device memory that goes, and then, once any MADV_HWPOISON was tried (a refused one
    // counts too), looks through them for bad pages, which is a VM_BUG (mm: clear_hwpoisoned_pages(), gone in 6.2).
    {"debug-6.1", "linux-source-6.1", 1550, "vm_debug=-"},
    {"debug-6.12", "linux-source-6.12", 1650, ""},
};
constexpr const char* kConfigs[] = {"guest.config", "suites.config", "checkers.config"};
constexpr const char* kPackageList = "tools/packages-debug.txt";
constexpr const char* kBuiltStamp = "kfdlab-built.stamp";

Result<std::string> config_text(const fs::path& extra) {
  std::string text;
  for (const char* name : kConfigs) {
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

// The packages a kernel build needs beyond those of kfdlab itself.
Status check_packages() {
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
    return Error{"building a debug kernel needs more packages; install them: apt-get install" + missing};
  }
  return ok_status();
}

// The object files already there: what an interrupted build did.
unsigned count_objects(const fs::path& tree) {
  unsigned count = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(tree, error), end; !error && it != end; it.increment(error)) {
    count += it->path().extension() == ".o" ? 1 : 0;
  }
  return count;
}

class Build {
 public:
  Build(const DebugKernel& kernel, const DebugTree& tree, fs::path source, LiveLine* live)
      : kernel_(kernel), tree_(tree), source_(std::move(source)), live_(live) {}

  Status run() {
    KFDLAB_TRY(configure());
    KFDLAB_TRY(compile());
    return write_file_atomically(tree_.directory / kBuiltStamp, tree_.source.version + "\n");
  }

 private:
  [[nodiscard]] std::vector<std::string> make_command() const {
    // Not our caller's make, and nobody's name in the kernel's version text.
    std::vector<std::string> argv = {"env",
                                     "-u",
                                     "MAKEFLAGS",
                                     "-u",
                                     "MFLAGS",
                                     "KBUILD_BUILD_USER=kfdlab",
                                     "KBUILD_BUILD_HOST=kfdlab",
                                     "LC_ALL=C.UTF-8",
                                     "KCONFIG_ALLCONFIG=" + wanted_file().string(),
                                     "make",
                                     "-C",
                                     source_.string(),
                                     "O=" + tree_.directory.string()};
    if (const auto ccache = run_helper({"ccache", "--version"}); ccache.ok() && ccache.value().status == 0) {
      argv.push_back("CC=ccache gcc");
    }
    return argv;
  }
  [[nodiscard]] fs::path wanted_file() const { return tree_.directory / "kfdlab.config"; }

  Status configure() {
    KFDLAB_TRY(write_file_atomically(wanted_file(), tree_.config));
    auto argv = make_command();
    argv.insert(argv.end(), {"-s", "allnoconfig"});
    const auto output = run_helper(argv);
    KFDLAB_TRY(output);
    if (output.value().status != 0) {
      return Error{fmt::format("{} cannot be configured: {}", kernel_.name,
                               first_complaint(output.value().out + output.value().err))};
    }
    const auto text = read_file(tree_.directory / ".config");
    KFDLAB_TRY(text);
    const auto dropped = dropped_options(parse_kernel_config(tree_.config), parse_kernel_config(text.value()));
    if (!dropped.empty()) {
      return Error{fmt::format("the configuration of {} dropped {}; what these options depend on is missing or renamed",
                               kernel_.name, fmt::join(dropped, ", "))};
    }
    return ok_status();
  }

  Status compile() {
    const fs::path log = tree_.directory / "build.log";
    const auto begin = std::chrono::steady_clock::now();
    std::error_code ignored;
    const bool goes_on = fs::exists(log, ignored);
    BuildProgress progress(kernel_.objects, goes_on ? count_objects(tree_.directory) : 0);
    const auto show = [&](std::string_view line) {
      progress.feed(line);
      live_->update(
          progress.text(std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begin)));
    };
    live_->say(fmt::format("{} from {} {}; this takes 10 to 40 minutes once, Ctrl-C and later again is fine",
                           goes_on ? "building on" : "building", tree_.source.package, tree_.source.version));
    auto argv = make_command();
    argv.insert(argv.end(), {fmt::format("-j{}", std::thread::hardware_concurrency()), "bzImage", "modules"});
    const auto status = run_make(argv, log, show);
    KFDLAB_TRY(status);
    if (status.value() != 0) {
      const auto text = read_file(log);
      return Error{fmt::format("{} does not build: {}; the whole output is in {}", kernel_.name,
                               text.ok() ? first_complaint(text.value()) : "", log.string())};
    }
    live_->say(fmt::format("built, {}", progress.text(std::chrono::duration_cast<std::chrono::seconds>(
                                            std::chrono::steady_clock::now() - begin))));
    return ok_status();
  }

  const DebugKernel& kernel_;
  const DebugTree& tree_;
  fs::path source_;
  LiveLine* live_;
};

}  // namespace

std::span<const DebugKernel> debug_kernels() { return kKernels; }

const DebugKernel* find_debug_kernel(std::string_view name) {
  for (const DebugKernel& kernel : kKernels) {
    if (name == kernel.name) {
      return &kernel;
    }
  }
  return nullptr;
}

bool DebugTree::built() const {
  std::error_code ignored;
  return fs::exists(directory / kBuiltStamp, ignored);
}

Result<DebugTree> locate_debug_tree(const fs::path& cache, const DebugKernel& kernel, const fs::path& extra_config) {
  auto source = resolve_source(cache, kernel.package);
  KFDLAB_TRY(source);
  auto config = config_text(extra_config);
  KFDLAB_TRY(config);
  const std::string key = compiler_version() + "\n" + config.value();
  fs::path directory =
      cache / "kernels" / cache_name(fmt::format("{}_{}_{:016x}", kernel.name, source.value().version, text_hash(key)));
  return DebugTree{source.take(), config.take(), std::move(directory)};
}

Status ensure_debug_tree(const fs::path& cache, const DebugKernel& kernel, const DebugTree& tree) {
  if (tree.built()) {
    return ok_status();
  }
  KFDLAB_TRY(check_packages());
  LiveLine live(kernel.name);
  auto source = ensure_source(cache, tree.source, &live);
  KFDLAB_TRY(source);
  std::error_code error;
  fs::create_directories(tree.directory, error);
  const auto lock = lock_patiently(tree.directory.string() + ".lock", &live);
  KFDLAB_TRY(lock);
  return tree.built() ? ok_status() : Build(kernel, tree, source.take(), &live).run();
}

}  // namespace kfdlab
