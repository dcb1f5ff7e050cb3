// SPDX-License-Identifier: MIT
#include "tools/mutants/base.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <system_error>

#include "tools/host/paths.h"
#include "tools/kernels/stamp.h"
#include "tools/mutants/edit.h"
#include "tools/mutants/kernel_base.h"
#include "tools/mutants/own_base.h"

namespace kfdlab::mutants {
namespace fs = std::filesystem;
namespace {

// Regular files below the parts, relative to `root`, sorted.
std::vector<fs::path> files_below(const fs::path& root, const std::vector<std::string>& parts) {
  std::vector<fs::path> files;
  for (const std::string& part : parts) {
    std::error_code error;
    if (fs::is_regular_file(root / part, error)) {
      files.emplace_back(part);
      continue;
    }
    for (fs::recursive_directory_iterator it(root / part, error), end; !error && it != end; it.increment(error)) {
      std::error_code ignored;
      if (it->is_regular_file(ignored)) {
        files.push_back(it->path().lexically_relative(root));
      }
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

Status Base::apply(const Mutant& mutant) {
  const auto text = read_file(source() / mutant.file);
  KFDLAB_TRY(text);
  const auto edited = apply_edit(text.value(), mutant);
  KFDLAB_TRY(edited);
  return write_file_atomically(tree() / mutant.file, edited.value());
}

Status Base::restore(const std::string& file) {
  const auto text = read_file(source() / file);
  KFDLAB_TRY(text);
  return write_file_atomically(tree() / file, text.value());
}

Result<std::unique_ptr<Base>> make_base(Room room, const std::string& kernel, const fs::path& cache) {
  if (of_kernel(room)) {
    return make_kernel_base(kernel, cache);
  }
  return room == Room::Device ? make_device_base(kernel, cache) : make_module_base(kernel, cache);
}

Status mirror(const fs::path& source, const std::vector<std::string>& parts, const fs::path& copy) {
  const auto wanted = files_below(source, parts);
  const std::set<fs::path> keep(wanted.begin(), wanted.end());
  std::error_code error;
  for (const fs::path& file : files_below(copy, parts)) {
    if (!keep.contains(file)) {
      fs::remove(copy / file, error);
    }
  }
  for (const fs::path& file : wanted) {
    const auto text = read_file(source / file);
    KFDLAB_TRY(text);
    if (const auto there = read_file(copy / file); there.ok() && there.value() == text.value()) {
      continue;
    }
    fs::create_directories((copy / file).parent_path(), error);
    KFDLAB_TRY(write_file_atomically(copy / file, text.value()));
    fs::permissions(copy / file, fs::status(source / file, error).permissions(), error);
  }
  return ok_status();
}

Result<std::string> content_hash(const fs::path& source, const std::vector<std::string>& parts) {
  std::uint64_t value = text_hash("1");
  for (const fs::path& file : files_below(source, parts)) {
    const auto text = read_file(source / file);
    KFDLAB_TRY(text);
    value = text_hash(text.value(), text_hash(file.string(), value));
  }
  return fmt::format("{:016x}", value);
}

}  // namespace kfdlab::mutants
