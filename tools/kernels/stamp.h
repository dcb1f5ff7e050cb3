// SPDX-License-Identifier: MIT
// Names and stamps of cache entries. Nothing depends on them being hard to forge.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace kfdlab {

// FNV-1a; chain calls by passing the last value.
[[nodiscard]] std::uint64_t text_hash(std::string_view text, std::uint64_t value = 0xcbf29ce484222325ull);

// Path, size and time of a file; the path alone when it is not there.
[[nodiscard]] std::string file_stamp(const std::filesystem::path& file);

}  // namespace kfdlab
