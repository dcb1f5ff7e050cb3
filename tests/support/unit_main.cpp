// SPDX-License-Identifier: MIT
// main() of the unit tests: they stream results like every suite, but the kernel they run on is not judged.
#include <gtest/gtest.h>

#include "tests/support/listener.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::UnitTest::GetInstance()->listeners().Append(new kfdlab::ResultListener(kfdlab::ResultListener::Marks::None));
  return RUN_ALL_TESTS();
}
