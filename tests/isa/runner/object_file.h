// SPDX-License-Identifier: MIT
// The code of the cases: .text and the labels of ELF objects that the assembler made.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace kfdlab::isa_cases {

struct ObjectFile {
  std::vector<std::byte> text;
  std::map<std::string, std::uint64_t> labels;  // offsets in `text`
  std::string error;                            // empty when good
};

[[nodiscard]] ObjectFile read_object_file(const std::filesystem::path& path);

}  // namespace kfdlab::isa_cases
