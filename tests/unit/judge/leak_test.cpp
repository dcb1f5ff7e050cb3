// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "tests/support/leak_snapshot.h"

namespace kfdlab {
namespace {

TEST(LeakSnapshot, NamesEverythingThatGrew) {
  LeakSnapshot before{.pins_known = true, .device_known = true};
  LeakSnapshot now = before;
  now.pins = 2;
  now.svm_ranges = 1;
  EXPECT_EQ(describe_leaks(before, now), "2 pins (nr_foll_pin_acquired - nr_foll_pin_released), 1 SVM ranges");
}

TEST(LeakSnapshot, WhatShrankIsNoLeak) {
  LeakSnapshot before{.pins_known = true, .device_known = true};
  before.vram_held = 4096;
  const LeakSnapshot now{.pins_known = true, .device_known = true};
  EXPECT_EQ(describe_leaks(before, now), "");
}

TEST(LeakSnapshot, ComparesOnlyWhatBothKnow) {
  const LeakSnapshot before;
  LeakSnapshot now{.pins_known = true, .device_known = true};
  now.pins = 5;
  now.processes = 1;
  EXPECT_EQ(describe_leaks(before, now), "");
}

}  // namespace
}  // namespace kfdlab
