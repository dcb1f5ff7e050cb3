// SPDX-License-Identifier: MIT
// Random but mostly legal machine code for one row of the table: fields the row does not use are zero, registers are
// aligned most of the time, sources are of every kind.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "device/isa/op_table.h"

namespace kfdlab::isa {

enum class Form { Plain, Sdwa, Dpp };

using Random = std::mt19937;

// Whether the row has the form.
[[nodiscard]] bool has_form(const OpRow& row, Form form);
// Two words, or three with a literal.
[[nodiscard]] std::vector<std::uint32_t> random_instruction(const OpRow& row, Form form, Random& random);

}  // namespace kfdlab::isa
