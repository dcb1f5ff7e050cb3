// SPDX-License-Identifier: MIT
// main() of the suite of HIP processes: this process never starts HIP, its roles do (tests/hip/role.h). So a test may
// kill the GPU, and every leak is a leak.
#include <gtest/gtest.h>

#include "tests/hip/role.h"
#include "tests/support/leaks.h"
#include "tests/support/listener.h"

int main(int argc, char** argv) {
  if (int status = 0; kfdlab::run_role(argc, argv, &status)) {
    return status;
  }
  testing::InitGoogleTest(&argc, argv);
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  listeners.Append(new kfdlab::ResultListener(kfdlab::ResultListener::Marks::Kernel));
  listeners.Append(new kfdlab::LeakListener);
  return RUN_ALL_TESTS();
}
