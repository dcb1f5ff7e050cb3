// SPDX-License-Identifier: MIT
// The table of page states and operations: what happens to a page in some state when it is sent to VRAM, sent to RAM,
// evicted, pinned for long, when its process forks, and when it is unmapped. Data only: the suite runs every cell
// (states_test.cpp), and docs/page-states.md is made from it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace kfdlab::states {

// All but the first begin with the pages sent to VRAM, as far as they go, and then brought into the state.
enum class Operation : std::uint8_t { ToVram, ToRam, Evict, Pin, Fork, Unmap };
inline constexpr std::array kOperations = {Operation::ToVram, Operation::ToRam, Operation::Evict,
                                           Operation::Pin,    Operation::Fork,  Operation::Unmap};
// "to_vram", as tests are named; "to VRAM", as the table's head says.
[[nodiscard]] std::string_view name_of(Operation operation);
[[nodiscard]] std::string_view title_of(Operation operation);

struct State {
  std::string_view name;  // of its tests, and of its maker
  std::string_view what;  // for the table
  std::array<std::string_view, kOperations.size()> outcomes;
  std::string_view why = {};  // what in its row may surprise
};
// A cell that is otherwise on some kernels.
struct Difference {
  std::string_view state;
  Operation operation;
  std::string_view before_6_12;
};

[[nodiscard]] std::span<const State> all_states();
[[nodiscard]] std::span<const Difference> differences();

// What the cell's operation has to come to; modern: on 6.12 and later.
[[nodiscard]] std::string_view outcome_of(const State& state, Operation operation, bool modern);

// docs/page-states.md.
[[nodiscard]] std::string table_page();

}  // namespace kfdlab::states
