// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "tools/judge/result.h"

namespace kfdlab::judge {
namespace {

Report report_of(std::initializer_list<Verdict> verdicts, const std::string& harness_error = "") {
  Report report;
  report.runs.emplace_back();
  for (const Verdict verdict : verdicts) {
    report.runs[0].tests.push_back({.suite = "s", .name = "A.b", .verdict = verdict});
  }
  report.runs[0].harness_error = harness_error;
  return report;
}

TEST(ExitStatus, IsZeroWhenAllPassOrSkip) { EXPECT_EQ(exit_status(report_of({Verdict::Pass, Verdict::Skip})), 0); }
TEST(ExitStatus, IsZeroWithKnownFailures) { EXPECT_EQ(exit_status(report_of({Verdict::Known})), 0); }
TEST(ExitStatus, IsOneWhenATestFailed) { EXPECT_EQ(exit_status(report_of({Verdict::Pass, Verdict::Fail})), 1); }
TEST(ExitStatus, Is77WhenNothingRan) {
  EXPECT_EQ(exit_status(Report{}), 77);
  EXPECT_EQ(exit_status(report_of({Verdict::Skip})), 77);
  Report own = report_of({Verdict::Skip});
  own.runs[0].tests.push_back({.suite = "s", .name = "Suite.EndsCleanly"});
  EXPECT_EQ(exit_status(own), 77);
}
TEST(ExitStatus, Is99WhenARunDidNotComeToItsEnd) {
  EXPECT_EQ(exit_status(report_of({Verdict::Pass, Verdict::Fail}, "the VM hangs")), 99);
  EXPECT_EQ(exit_status(report_of({}, "the VM did not boot")), 99);
}
TEST(ExitStatus, OneBadRunOfTwoIsEnough) {
  Report report = report_of({Verdict::Pass});
  report.runs.push_back(report_of({Verdict::Fail}).runs[0]);
  EXPECT_EQ(exit_status(report), 1);
}

}  // namespace
}  // namespace kfdlab::judge
