// SPDX-License-Identifier: MIT
// kfdlab doctor: one line for each thing kfdlab needs, and the command that repairs it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "tools/commands.h"
#include "tools/host/paths.h"
#include "tools/host/process.h"
#include "tools/kernels/catalog.h"
#include "tools/kernels/debug_build.h"
#include "tools/kernels/module_build.h"
#include "tools/kernels/package.h"
#include "tools/vm/accelerator.h"

namespace kfdlab {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kGiB = 1ull << 30;
constexpr std::uint64_t kNeededMemory = 5 * kGiB;  // a VM of 3 GiB, 1 GiB of VRAM, and a compiler beside it
constexpr std::uint64_t kNeededDisk = 4 * kGiB;    // two unpacked kernels, modules, the build

class Doctor {
 public:
  int examine() {
    packages();
    kernels();
    accelerator();
    memory();
    disk();
    fmt::print("{}\n",
               healthy_ ? "kfdlab can run here." : "kfdlab cannot run here yet: do what the lines marked 'no' say.");
    return healthy_ ? 0 : 1;
  }

 private:
  void good(const std::string& what, const std::string& detail) { fmt::print("yes  {:<24} {}\n", what, detail); }
  void bad(const std::string& what, const std::string& detail, const std::string& repair) {
    healthy_ = false;
    fmt::print("no   {:<24} {}; {}\n", what, detail, repair);
  }

  void packages() {
    std::ifstream list(source_directory() / "tools/packages.txt");
    if (!list) {
      bad("packages", "tools/packages.txt cannot be read", "repair the source tree");
      return;
    }
    for (std::string line; std::getline(list, line);) {
      std::istringstream words(line);
      std::string package;
      std::string use;
      if (words >> package && !package.starts_with('#') && std::getline(words >> std::ws, use)) {
        one_package(package, use);
      }
    }
  }

  void one_package(const std::string& package, const std::string& use) {
    const auto output = run_helper({"dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package});
    const bool installed = output.ok() && output.value().out.starts_with("installed ");
    if (installed) {
      good(package, output.value().out.substr(10));
    } else {
      bad(package, "not installed, needed for " + use, "apt-get install " + package);
    }
  }

  void kernels() {
    const auto cache = cache_directory();
    if (!cache) {
      bad("cache", cache.error().message, "set XDG_CACHE_HOME to a writable directory");
      return;
    }
    for (const CatalogEntry& entry : stock_kernels()) {
      const auto package = resolve_metapackage(cache.value(), entry.metapackage);
      if (!package) {
        bad(fmt::format("kernel {}", entry.name), package.error().message, "apt-get update");
        continue;
      }
      one_kernel(cache.value(), entry.name, package.value());
    }
    for (const DebugKernel& kernel : debug_kernels()) {
      debug_kernel(cache.value(), kernel);
    }
  }

  void one_kernel(const fs::path& cache, const std::string& name, const KernelPackage& package) {
    const std::string what = "kernel " + name;
    std::error_code ignored;
    const ModuleTarget target = packaged_target(package.release);
    if (!fs::exists(target.headers, ignored)) {
      bad(what, "no headers for " + package.release, "apt-get install linux-headers-" + package.release);
      return;
    }
    const std::string image = package_cached(cache, package) ? "in the cache" : "will be downloaded";
    const std::string modules = modules_current(cache, target) ? "built" : "will be built";
    good(what, fmt::format("{}: image {}, modules {}", package.release, image, modules));
  }

  // Nothing ordinary needs one, so a missing one is no defect.
  void debug_kernel(const fs::path& cache, const DebugKernel& kernel) {
    const auto tree = locate_debug_tree(cache, kernel, {});
    const std::string what = fmt::format("kernel {}", kernel.name);
    if (!tree) {
      good(what, fmt::format("not available: {}", tree.error().message));
      return;
    }
    good(what, tree.value().built()
                   ? fmt::format("{}: built", tree.value().source.version)
                   : fmt::format("{}: not built; kfdlab build --kernel {}", tree.value().source.version, kernel.name));
  }

  void accelerator() {
    const auto cache = cache_directory();
    const std::string accel = cache ? choose_accelerator(cache.value()) : "tcg";
    std::error_code ignored;
    const char* why = fs::exists("/dev/kvm", ignored) ? "/dev/kvm does not run a guest" : "there is no /dev/kvm";
    good("accelerator", accel == "kvm" ? "kvm" : fmt::format("tcg, emulation: {}; everything works, slower", why));
  }

  void memory() {
    std::ifstream info("/proc/meminfo");
    std::string key;
    std::uint64_t kib = 0;
    std::uint64_t available = 0;
    for (std::string rest; info >> key >> kib && std::getline(info, rest);) {
      available = key == "MemAvailable:" ? kib << 10 : available;
    }
    const std::string text = fmt::format("{:.1f} GiB available", static_cast<double>(available) / kGiB);
    if (available >= kNeededMemory) {
      good("memory", text);
    } else {
      bad("memory", text, "use --memory 1G --vram 256M, or free some");
    }
  }

  void disk() {
    const auto cache = cache_directory();
    if (!cache) {
      return;  // said above
    }
    std::error_code error;
    const auto space = fs::space(cache.value(), error);
    const std::string text =
        fmt::format("{:.1f} GiB free for {}", static_cast<double>(space.available) / kGiB, cache.value().string());
    if (!error && space.available >= kNeededDisk) {
      good("disk", text);
    } else {
      bad("disk", text, "free some, or set XDG_CACHE_HOME to a directory with 4 GiB");
    }
  }

  bool healthy_ = true;
};

}  // namespace

std::function<int()> setup_doctor(CLI::App& app) {
  static_cast<void>(app);
  return [] { return Doctor().examine(); };
}

}  // namespace kfdlab
