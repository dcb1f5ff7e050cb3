// SPDX-License-Identifier: MIT
// LeakListener: after every test no pin, no page in VRAM, no range, no buffer object and no process may be left
// that was not there before it. A test that leaves something behind fails and names what.
//
// "Before" is taken when the test starts, after SetUpTestSuite(), so what a suite's fixture holds is not held
// against its tests; the runner checks that a finished suite left nothing at all.
#pragma once

#include <gtest/gtest.h>

#include "tests/support/leak_snapshot.h"

namespace kfdlab {

class LeakListener : public testing::EmptyTestEventListener {
 public:
  void OnTestStart(const testing::TestInfo& info) override;
  void OnTestEnd(const testing::TestInfo& info) override;

 private:
  LeakSnapshot before_;
  bool said_ = false;
};

}  // namespace kfdlab
