// SPDX-License-Identifier: MIT
// Where things are on the host: the cache, the programs built beside this one, the source tree; and files
// that others see only whole.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "common/fd.h"
#include "common/result.h"

namespace kfdlab {

// $XDG_CACHE_HOME/kfdlab or ~/.cache/kfdlab; created.
[[nodiscard]] Result<std::filesystem::path> cache_directory();

// `name` in the directory of the running executable (kfdlab-gpu, kfdlab-guest).
[[nodiscard]] std::filesystem::path sibling_program(std::string_view name);

// The tree this program was built from; kernel/Makefile is in it.
[[nodiscard]] std::filesystem::path source_directory();

// Whole file as text; an Error names the file.
[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& path);
// Written beside the target and renamed, so that a reader sees the old file or the new one.
[[nodiscard]] Status write_file_atomically(const std::filesystem::path& path, std::string_view text);

// Holds an exclusive lock on `path` (created) until the descriptor is closed.
[[nodiscard]] Result<Fd> lock_file(const std::filesystem::path& path);

// A file without a name in `directory`: gone with its last descriptor, however this process ends.
[[nodiscard]] Result<Fd> unnamed_file(const std::filesystem::path& directory, std::uint64_t size);
// Shared anonymous memory of `size` bytes.
[[nodiscard]] Result<Fd> memory_file(const char* name, std::uint64_t size);

// Removed with everything in it when it goes out of scope, unless kept.
class TemporaryDirectory {
 public:
  // In `parent`, named kfdlab-<random>.
  static Result<TemporaryDirectory> create(const std::filesystem::path& parent);
  TemporaryDirectory(TemporaryDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryDirectory& operator=(TemporaryDirectory&& other) noexcept;
  ~TemporaryDirectory();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  void keep() { path_.clear(); }

 private:
  explicit TemporaryDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace kfdlab
