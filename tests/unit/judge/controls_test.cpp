// SPDX-License-Identifier: MIT
#include "tools/judge/controls.h"

#include <gtest/gtest.h>

namespace kfdlab::judge {
namespace {

TestResult result(const std::string& name, Verdict verdict, const std::string& reason = "") {
  return {.suite = "gup", .name = name, .verdict = verdict, .reason = reason};
}

TEST(ControlDroppedLongterm, PassesWhenEveryTestFailed) {
  const TestResult verdict = judge_dropped_longterm(
      {result("GupPin.LongtermA", Verdict::Fail), result("GupPin.LongtermB", Verdict::Fail),
       result("GupPin.LongtermC", Verdict::Skip, "not here"), result("Suite.EndsCleanly", Verdict::Pass)});
  EXPECT_EQ(verdict.verdict, Verdict::Pass);
  EXPECT_EQ(verdict.counters.at("tests"), 2);
  EXPECT_EQ(verdict.counters.at("failed"), 2);
}

TEST(ControlDroppedLongterm, FailsAndNamesATestThatPasses) {
  const TestResult verdict =
      judge_dropped_longterm({result("GupPin.LongtermA", Verdict::Fail), result("GupPin.LongtermB", Verdict::Pass)});
  EXPECT_EQ(verdict.verdict, Verdict::Fail);
  EXPECT_NE(verdict.reason.find("GupPin.LongtermB"), std::string::npos);
}

TEST(ControlDroppedLongterm, FailsWhenNothingRan) {
  EXPECT_EQ(judge_dropped_longterm({}).verdict, Verdict::Fail);
  EXPECT_EQ(judge_dropped_longterm({result("GupPin.LongtermA", Verdict::Skip)}).verdict, Verdict::Fail);
  EXPECT_EQ(judge_dropped_longterm({result("Suite.EndsCleanly", Verdict::Fail)}).verdict, Verdict::Fail);
}

TEST(ControlWarning, PassesOnlyWhenTheKernelLogFailedTheVictim) {
  EXPECT_EQ(judge_provoked_warning({result("A.b", Verdict::Fail, "kernel log: WARNING: CPU")}, "A.b").verdict,
            Verdict::Pass);
  EXPECT_EQ(judge_provoked_warning({result("A.b", Verdict::Fail, "it just failed")}, "A.b").verdict, Verdict::Fail);
  EXPECT_EQ(judge_provoked_warning({result("A.b", Verdict::Pass)}, "A.b").verdict, Verdict::Fail);
}

TEST(ControlWarning, BlamingAnotherTestIsNotEnough) {
  EXPECT_EQ(
      judge_provoked_warning(
          {result("A.b", Verdict::Pass), result("Suite.EndsCleanly", Verdict::Fail, "kernel log: WARNING")}, "A.b")
          .verdict,
      Verdict::Fail);
  EXPECT_EQ(judge_provoked_warning({}, "A.b").verdict, Verdict::Fail);
}

}  // namespace
}  // namespace kfdlab::judge
