// SPDX-License-Identifier: MIT
// The edit itself: lines replaced inside one function of a C or C++ source. It must fit exactly once; a source that has
// changed since the mutant was written is an Error, not another mutant.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "tools/mutants/mutant.h"

namespace kfdlab::mutants {

// A function's text: from the line of its name to its closing brace.
struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// Every definition of `name` ("lookup" or "Tlb::lookup") in `source`: several when the preprocessor chooses one.
// Comments, strings and calls are not taken for definitions.
[[nodiscard]] std::vector<Span> find_function(std::string_view source, std::string_view name);

// `source` with the mutant's edit done.
[[nodiscard]] Result<std::string> apply_edit(std::string_view source, const Mutant& mutant);

}  // namespace kfdlab::mutants
