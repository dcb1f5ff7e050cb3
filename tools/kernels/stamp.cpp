// SPDX-License-Identifier: MIT
#include "tools/kernels/stamp.h"

#include <fmt/format.h>

#include <system_error>

namespace kfdlab {
namespace fs = std::filesystem;

std::uint64_t text_hash(std::string_view text, std::uint64_t value) {
  for (const char c : text) {
    value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  }
  return value;
}

std::string file_stamp(const fs::path& file) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  const auto time = fs::last_write_time(file, error);
  return error ? file.string() : fmt::format("{} {} {}", file.string(), size, time.time_since_epoch().count());
}

}  // namespace kfdlab
