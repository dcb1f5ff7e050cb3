// SPDX-License-Identifier: MIT
// LeakListener: after every test no pin, no page in VRAM, no range, no buffer object and no process may be left
// that was not there before it. A test that leaves something behind fails and names what.
//
// "Before" is taken when the first test of a suite starts, after SetUpTestSuite(), so what a suite's fixture holds is
// not held against its tests; the runner checks that a finished suite left nothing at all. Nothing runs between two
// tests of a suite, so what one left is the next one's "before": a look at the pins interrupts every CPU.
#pragma once

#include <gtest/gtest.h>

#include <optional>

#include "tests/support/leak_snapshot.h"

namespace kfdlab {

class LeakListener : public testing::EmptyTestEventListener {
 public:
  void OnTestSuiteStart(const testing::TestSuite& suite) override;
  void OnTestStart(const testing::TestInfo& info) override;
  void OnTestEnd(const testing::TestInfo& info) override;

 private:
  std::optional<LeakSnapshot> before_;
  bool said_ = false;
};

}  // namespace kfdlab
