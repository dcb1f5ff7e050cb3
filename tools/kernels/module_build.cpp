// SPDX-License-Identifier: MIT
#include "tools/kernels/module_build.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <thread>

#include "tools/host/paths.h"
#include "tools/host/process.h"
#include "tools/kernels/stamp.h"

namespace kfdlab {
namespace fs = std::filesystem;
namespace {

// Every file the modules are made from, and the symbols of the kernel they are made for.
std::string build_stamp(const ModuleTarget& target) {
  std::vector<std::string> files = {file_stamp(target.headers / "Module.symvers")};
  for (const char* part : {"kernel", "include", "tests/gup/kmod"}) {
    std::error_code error;
    for (fs::recursive_directory_iterator it(source_directory() / part, error), end; !error && it != end;
         it.increment(error)) {
      std::error_code ignored;
      if (it->is_regular_file(ignored)) {
        files.push_back(file_stamp(it->path()));
      }
    }
  }
  std::sort(files.begin(), files.end());
  std::uint64_t value = text_hash("2");
  for (const auto& file : files) {
    value = text_hash(file, value);
  }
  return fmt::format("{:016x}", value);
}

}  // namespace

std::string first_complaint(const std::string& log) {
  for (const char* sign : {"error:", "ERROR:", "***"}) {
    if (const auto at = log.find(sign); at != std::string::npos) {
      const auto begin = log.rfind('\n', at) + 1;  // npos + 1 == 0
      return log.substr(begin, log.find('\n', at) - begin);
    }
  }
  return log.size() > 300 ? log.substr(log.size() - 300) : log;
}

ModuleTarget packaged_target(const std::string& release) {
  return {release, release, "/usr/src/linux-headers-" + release};
}

fs::path modules_directory(const fs::path& cache, const ModuleTarget& target) {
  return cache / "modules" / fmt::format("{}-{:016x}", target.key, text_hash(source_directory().string()));
}

bool modules_current(const fs::path& cache, const ModuleTarget& target) {
  const auto stamp = read_file(modules_directory(cache, target) / "built.stamp");
  return stamp.ok() && stamp.value() == build_stamp(target);
}

Result<ModuleBuild> build_modules(const fs::path& cache, const ModuleTarget& target) {
  ModuleBuild build{modules_directory(cache, target), false, {}};
  if (modules_current(cache, target)) {
    return build;
  }
  if (std::error_code ignored; !fs::exists(target.headers, ignored)) {
    return Error{fmt::format("the headers of {} are missing; install them: apt-get install linux-headers-{}",
                             target.release, target.release)};
  }
  std::error_code error;
  fs::create_directories(build.directory, error);
  const auto lock = lock_file(build.directory.string() + ".lock");
  KFDLAB_TRY(lock);
  const std::string stamp = build_stamp(target);  // before the build: a source changed meanwhile makes it stale
  if (modules_current(cache, target)) {
    return build;
  }
  const auto make = run_helper({"make", "-C", (source_directory() / "kernel").string(), "KREL=" + target.release,
                                "KDIR=" + target.headers.string(), "OUT=" + build.directory.string(),
                                fmt::format("-j{}", std::thread::hardware_concurrency())});
  KFDLAB_TRY(make);
  build.log = make.value().out + make.value().err;
  build.rebuilt = true;
  if (make.value().status != 0) {
    const fs::path log = build.directory / "build.log";
    KFDLAB_TRY(write_file_atomically(log, build.log));
    return Error{fmt::format("the modules do not build for {}: {}; the whole output is in {}", target.release,
                             first_complaint(build.log), log.string())};
  }
  KFDLAB_TRY(write_file_atomically(build.directory / "built.stamp", stamp));
  return build;
}

std::vector<fs::path> built_modules(const fs::path& directory) {
  std::vector<fs::path> modules;
  std::error_code error;
  for (fs::recursive_directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".ko") {
      modules.push_back(it->path());
    }
  }
  std::sort(modules.begin(), modules.end());
  return modules;
}

}  // namespace kfdlab
