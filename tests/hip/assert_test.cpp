// SPDX-License-Identifier: MIT
// An assertion that fails on the device ends its process, and no other.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/hip/compute_call.h"
#include "tests/hip/role.h"
#include "tests/support/needs.h"

namespace kfdlab {
namespace {

int fail_assertion(const Wire&, const std::vector<std::string>&) { return launch_failing_assertion() == hipSuccess ? 0 : 1; }
const RoleName kFailAssertion("fail-assertion", fail_assertion);

TEST(HipCall, AFailedAssertionAbortsAndSaysWhere) {
  KFDLAB_NEEDS_NODE("/dev/kfd");
  RoleProcess process(kFailAssertion);
  EXPECT_EQ(process.wait(), 128 + SIGABRT) << process.output();
  EXPECT_NE(process.output().find("threadIdx.x) < limit"), std::string::npos) << process.output();
}

}  // namespace
}  // namespace kfdlab
