// SPDX-License-Identifier: MIT
// One test per cell of the table: state x operation.
#include <fstream>
#include <string>
#include <vector>

#include "tests/gup/gup_fixture.h"
#include "tests/states/operation.h"
#include "tests/states/states.h"
#include "tests/states/subject.h"
#include "tests/support/needs.h"

namespace kfdlab::states {
namespace {

struct Cell {
  const State* state;
  Operation operation;
};

std::vector<Cell> all_cells() {
  std::vector<Cell> cells;
  for (const State& state : all_states()) {
    for (const Operation operation : kOperations) {
      cells.push_back({&state, operation});
    }
  }
  return cells;
}

std::string cell_name(const testing::TestParamInfo<Cell>& info) {
  return std::string(info.param.state->name) + "_" + std::string(name_of(info.param.operation));
}

class PageState : public GupTest, public testing::WithParamInterface<Cell> {
 protected:
  // As far as they go. Another CPU's batch of LRU updates holds its pages until it is full; compaction empties those,
  // which is asked for only when pages stay that need not.
  void bring_to_vram(const Ground& ground, const Subject& subject, bool all) {
    static_cast<void>(send_to_vram(ground, subject));
    if (all && !all_in_vram(subject.pages()) && (std::ofstream("/proc/sys/vm/compact_memory") << 1 << std::flush)) {
      RecordProperty("lru_batches_emptied", 1);
      static_cast<void>(send_to_vram(ground, subject));
    }
  }
};

TEST_P(PageState, OutcomeIsTheDocumentedOne) {
  const auto& [state, operation] = GetParam();
  const Ground ground{kfd(), gup(), oracle(), device(), gpu_id()};
  const Maker make = find_maker(std::string(state->name));
  ASSERT_NE(make, nullptr) << "no maker of this name";
  auto made = make();
  KFDLAB_NEEDS(made.ok(), made.error().message);
  auto subject = made.take();
  if (operation != Operation::ToVram) {
    const bool all = outcome_of(*state, Operation::ToVram, kernel_at_least(6, 12)) == "moves";
    bring_to_vram(ground, *subject, all);
  }
  ASSERT_EQ(subject->settle(), "");

  const std::string outcome = run(operation, ground, subject);
  RecordProperty("outcome", outcome);
  EXPECT_EQ(outcome, outcome_of(*state, operation, kernel_at_least(6, 12)));
  if (subject != nullptr) {
    EXPECT_EQ(subject->error(), "");
  }
  subject.reset();
  EXPECT_TRUE(eventually([&] { return counters().svm_pages_occupied == 0; })) << "VRAM pages were left behind";
  EXPECT_EQ(outstanding_pins(), 0);
}

INSTANTIATE_TEST_SUITE_P(Table, PageState, testing::ValuesIn(all_cells()), cell_name);

}  // namespace
}  // namespace kfdlab::states
