// SPDX-License-Identifier: MIT
// Cases to State and back: sets what goes in, compares what came out.
#pragma once

#include <string>
#include <vector>

#include "tests/isa/runner/case_file.h"
#include "tests/isa/runner/machine.h"

namespace kfdlab::isa_cases {

// Writes every `in` of the case into the state. The error names what does not fit.
[[nodiscard]] std::string apply_inputs(const Case& c, State& state);

// Differences between `after` and what the case expects, given the state before. Empty: none.
[[nodiscard]] std::vector<std::string> differences(const Case& c, const State& before, const State& after);

}  // namespace kfdlab::isa_cases
