// SPDX-License-Identifier: MIT
// docs/isa-coverage.md: which instructions decode, and which of their forms the engine executes. Found out by decoding
// and lowering several encodings of every form, not by a list.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "device/engine/lower.h"

namespace kfdlab::isa_cases {

// The page. `cases`: directory of the files of cases; instructions with one are marked as tested.
// `deviations`: what deviations() read.
[[nodiscard]] std::string coverage_page(const engine::LowerTable& table, const std::filesystem::path& cases,
                                        const std::map<std::string, std::string>& deviations);

// Mnemonics of tests/isa/deviations.txt and what the engine does wrong.
[[nodiscard]] std::map<std::string, std::string> deviations(const std::filesystem::path& file);

}  // namespace kfdlab::isa_cases
