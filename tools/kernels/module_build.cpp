// SPDX-License-Identifier: MIT
#include "tools/kernels/module_build.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <thread>

#include "tools/host/paths.h"
#include "tools/host/process.h"

namespace kfdlab {
namespace fs = std::filesystem;
namespace {

// FNV-1a: names and stamps only; nothing depends on it being hard to forge.
std::uint64_t hash(std::string_view text, std::uint64_t value = 0xcbf29ce484222325ull) {
  for (const char c : text) {
    value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  }
  return value;
}

// Path, size and time of every file the modules are made from.
std::string sources_stamp() {
  std::vector<std::string> files;
  for (const char* part : {"kernel", "include", "tests/gup/kmod"}) {
    std::error_code error;
    for (fs::recursive_directory_iterator it(source_directory() / part, error), end; !error && it != end;
         it.increment(error)) {
      std::error_code ignored;
      if (it->is_regular_file(ignored)) {
        files.push_back(fmt::format("{} {} {}", it->path().string(), it->file_size(ignored),
                                    it->last_write_time(ignored).time_since_epoch().count()));
      }
    }
  }
  std::sort(files.begin(), files.end());
  std::uint64_t value = hash("1");
  for (const auto& file : files) {
    value = hash(file, value);
  }
  return fmt::format("{:016x}", value);
}

// What a reader of a failed build needs to see: the first complaint, or the last words.
std::string build_failure(const std::string& log) {
  for (const char* sign : {"error:", "ERROR:", "***"}) {
    if (const auto at = log.find(sign); at != std::string::npos) {
      const auto begin = log.rfind('\n', at) + 1;  // npos + 1 == 0
      return log.substr(begin, log.find('\n', at) - begin);
    }
  }
  return log.size() > 300 ? log.substr(log.size() - 300) : log;
}

}  // namespace

fs::path headers_directory(const std::string& release) { return "/usr/src/linux-headers-" + release; }

fs::path modules_directory(const fs::path& cache, const std::string& release) {
  return cache / "modules" / fmt::format("{}-{:016x}", release, hash(source_directory().string()));
}

bool modules_current(const fs::path& directory) {
  const auto stamp = read_file(directory / "built.stamp");
  return stamp.ok() && stamp.value() == sources_stamp();
}

Result<ModuleBuild> build_modules(const fs::path& cache, const std::string& release) {
  ModuleBuild build{modules_directory(cache, release), false, {}};
  if (modules_current(build.directory)) {
    return build;
  }
  if (std::error_code ignored; !fs::exists(headers_directory(release), ignored)) {
    return Error{
        fmt::format("the headers of {} are missing; install them: apt-get install linux-headers-{}", release, release)};
  }
  std::error_code error;
  fs::create_directories(build.directory, error);
  const auto lock = lock_file(build.directory.string() + ".lock");
  KFDLAB_TRY(lock);
  const std::string stamp = sources_stamp();  // before the build: a source changed meanwhile makes it stale
  if (modules_current(build.directory)) {
    return build;
  }
  const auto make =
      run_helper({"make", "-C", (source_directory() / "kernel").string(), "KREL=" + release,
                  "OUT=" + build.directory.string(), fmt::format("-j{}", std::thread::hardware_concurrency())});
  KFDLAB_TRY(make);
  build.log = make.value().out + make.value().err;
  build.rebuilt = true;
  if (make.value().status != 0) {
    const fs::path log = build.directory / "build.log";
    KFDLAB_TRY(write_file_atomically(log, build.log));
    return Error{fmt::format("the modules do not build for {}: {}; the whole output is in {}", release,
                             build_failure(build.log), log.string())};
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
