// SPDX-License-Identifier: MIT
// What a mutant is: one edit of one function, the rule it breaks, and who should notice. One small file each, in
// tests/mutants/ or a directory of somebody else's; docs/mutants.md describes the format.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace kfdlab::mutants {

// Whose source it changes, and so what is rebuilt.
enum class Room { Mm, Ttm, Amdkfd, KfdlabTtm, Device };

[[nodiscard]] const char* to_string(Room room);
// A kernel's own source, not kfdlab's.
[[nodiscard]] constexpr bool of_kernel(Room room) { return room == Room::Mm || room == Room::Ttm; }

// Tests of one suite that should notice.
struct Watch {
  std::string suite;
  std::string filter;  // GoogleTest pattern without negative part
};

struct Mutant {
  std::string id;  // "M01"
  std::string title;
  Room room = Room::Mm;
  std::vector<std::string> kernels;  // catalog names it exists on: "6.1", "6.12"
  std::string file;                  // relative to the source tree
  std::string function;              // in which `before` stands exactly once
  std::string before, after;         // whole lines, without the last newline
  std::string breaks;                // the rule
  std::vector<Watch> watch;
  std::string spares;      // pattern of tests that must still pass; empty: none
  std::string equivalent;  // why no test can notice; empty: one must
  std::string text;        // of its file

  [[nodiscard]] bool exists_on(std::string_view kernel) const;
};

// `name` is for messages.
[[nodiscard]] Result<Mutant> parse_mutant(const std::string& name, std::string_view text);

// All *.mutant below `directory`, by room and id. Two may share an id only if no kernel has both.
[[nodiscard]] Result<std::vector<Mutant>> load_mutants(const std::filesystem::path& directory);

// As GoogleTest matches: '*' and '?', alternatives between ':', no negative part.
[[nodiscard]] bool matches(std::string_view patterns, std::string_view name);

}  // namespace kfdlab::mutants
