// SPDX-License-Identifier: MIT
// main() of the HIP suite: as tests/support/main.cpp, but started with a role it is another process of a test (role.h),
// HIP starts before the first test, so that no test is blamed for its time, and the leak check knows what a ROCm
// process may keep.
#include <gtest/gtest.h>

#include "tests/hip/environment.h"
#include "tests/hip/role.h"
#include "tests/support/listener.h"

int main(int argc, char** argv) {
  if (int status = 0; kfdlab::run_role(argc, argv, &status)) {
    return status;
  }
  testing::InitGoogleTest(&argc, argv);
  testing::AddGlobalTestEnvironment(new kfdlab::HipEnvironment);
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  // gtest calls OnTestEnd() in reverse order: the leak check, which may fail the test, must come before the report.
  listeners.Append(new kfdlab::ResultListener(kfdlab::ResultListener::Marks::Kernel));
  listeners.Append(new kfdlab::HipLeakListener);
  return RUN_ALL_TESTS();
}
