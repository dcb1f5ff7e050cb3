// SPDX-License-Identifier: MIT
// What mutants are made of: a private copy of a source tree and the build of it, kept between mutants so that an edit
// costs seconds. Nothing outside the cache is written to.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"
#include "tools/kernels/build_progress.h"
#include "tools/mutants/mutant.h"

namespace kfdlab::mutants {

class Base {
 public:
  virtual ~Base() = default;

  // Changes with every source of the unmutated thing: results hold for one value of it.
  [[nodiscard]] virtual Result<std::string> key() = 0;
  // Builds it without any mutant, or takes back what an interrupted call left; minutes the first time.
  [[nodiscard]] virtual Status prepare(LiveLine* live) = 0;
  // Builds what the edit of `file` (relative to the tree) touches.
  [[nodiscard]] virtual Status build(const std::string& file) = 0;
  // The beginning of a validate command: program, kernel, modules.
  [[nodiscard]] virtual std::vector<std::string> validate_command() const = 0;
  [[nodiscard]] virtual std::filesystem::path source() const = 0;    // nobody writes to it
  [[nodiscard]] virtual std::filesystem::path tree() const = 0;      // the copy
  [[nodiscard]] virtual std::filesystem::path log_file() const = 0;  // of the last build

  // Does the mutant's edit in the copy, and takes it back.
  [[nodiscard]] Status apply(const Mutant& mutant);
  [[nodiscard]] Status restore(const std::string& file);
};

// The base that mutants of `room` on `kernel` (a catalog name) need, in `directory` of the cache.
[[nodiscard]] Result<std::unique_ptr<Base>> make_base(Room room, const std::string& kernel,
                                                      const std::filesystem::path& cache);

// Makes `copy` hold the same files as the parts of `source`, writing only those that differ.
[[nodiscard]] Status mirror(const std::filesystem::path& source, const std::vector<std::string>& parts,
                            const std::filesystem::path& copy);
// Of the contents of all files below the parts, in any order of the directory.
[[nodiscard]] Result<std::string> content_hash(const std::filesystem::path& source,
                                               const std::vector<std::string>& parts);

}  // namespace kfdlab::mutants
