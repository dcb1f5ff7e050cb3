// SPDX-License-Identifier: MIT
#include "tools/vm/compile_cache.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "tools/host/paths.h"

namespace kfdlab {
namespace {

namespace fs = std::filesystem;

constexpr const char* kComgr = "/usr/lib/x86_64-linux-gnu/libamd_comgr.so.2";
// One set of ROCm's own kernels is 2 MiB.
constexpr std::uintmax_t kLimit = 256u << 20;

struct File {
  fs::path path;
  std::uintmax_t size = 0;
  fs::file_time_type changed;
};

std::vector<File> files_of(const fs::path& directory) {
  std::vector<File> files;
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    File file{at->path(), 0, {}};
    std::error_code gone;
    file.size = at->file_size(gone);
    file.changed = at->last_write_time(gone);
    if (!gone) {
      files.push_back(file);
    }
  }
  return files;
}

}  // namespace

void prune_files(const fs::path& directory, std::uintmax_t limit) {
  std::vector<File> files = files_of(directory);
  std::uintmax_t total = 0;
  for (const File& file : files) {
    total += file.size;
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.changed < b.changed; });
  for (const File& file : files) {
    if (total <= limit) {
      return;
    }
    std::error_code ignored;
    fs::remove(file.path, ignored);
    total -= file.size;
  }
}

std::optional<CompileCache> find_compile_cache() {
  const auto cache = cache_directory();
  std::error_code error;
  CompileCache found;
  found.library = sibling_program("libkfdlab-compile-cache.so");
  found.real = fs::canonical(kComgr, error);
  if (!cache.ok() || error || !fs::exists(found.library, error)) {
    return std::nullopt;
  }
  found.entries = cache.value() / "compile";
  // Whoever could write here could choose the code of this user's programs.
  if (::mkdir(found.entries.c_str(), 0700) != 0 && errno != EEXIST) {
    return std::nullopt;
  }
  prune_files(found.entries, kLimit);
  return found;
}

}  // namespace kfdlab
