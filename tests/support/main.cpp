// SPDX-License-Identifier: MIT
// main() of every suite that runs in the VM. Alone it is a plain gtest program; under the runner it also streams
// results and marks the kernel log. Leak checks run in both cases.
#include <gtest/gtest.h>

#include "tests/support/leaks.h"
#include "tests/support/listener.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  // gtest calls OnTestEnd() in reverse order: the leak check, which may fail the test, must come before the report.
  listeners.Append(new kfdlab::ResultListener(kfdlab::ResultListener::Marks::Kernel));
  listeners.Append(new kfdlab::LeakListener);
  return RUN_ALL_TESTS();
}
