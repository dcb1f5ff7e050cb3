// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "tests/states/states.h"

namespace kfdlab::states {
namespace {

TEST(PageStateTable, PageIsMadeFromIt) {
  std::ifstream file(KFDLAB_SOURCE_DIR "/docs/page-states.md");
  const std::string page{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  EXPECT_EQ(page, table_page()) << "make it again: kfdlab_states_page > docs/page-states.md";
}

TEST(PageStateTable, NamesAreUniqueAndEveryCellSaysSomething) {
  std::set<std::string_view> names;
  for (const State& state : all_states()) {
    EXPECT_TRUE(names.insert(state.name).second) << state.name;
    for (const Operation operation : kOperations) {
      EXPECT_FALSE(outcome_of(state, operation, true).empty()) << state.name;
      EXPECT_FALSE(outcome_of(state, operation, false).empty()) << state.name;
    }
  }
  for (const Difference& difference : differences()) {
    EXPECT_TRUE(names.contains(difference.state)) << difference.state;
  }
}

}  // namespace
}  // namespace kfdlab::states
