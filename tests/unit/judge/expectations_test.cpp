// SPDX-License-Identifier: MIT
#include "tools/judge/expectations.h"

#include <gtest/gtest.h>

namespace kfdlab::judge {
namespace {

constexpr char kList[] = R"({"schema": 1, "tests": [
  {"expect": "skip", "suite": "gup", "test": "GupPin.Unlocked*", "kernel": "6.1.*", "reason": "not in 6.1"},
  {"expect": "skip", "test": "MultiGpu*", "gpus": "1", "reason": "there is one"},
  {"expect": "known", "suite": "kfd", "test": "Svm.Broken", "reason": "bug 17"}],
  "kernel_lines": [{"pattern": "^clocksource: ", "accel": "tcg", "reason": "slow"}]})";

const Where kOld{"6.1.0-56-amd64", "coherent", "tcg"};
const Where kNew{"6.12.117+deb12-amd64", "coherent", "kvm"};

TestResult judged(const Where& where, TestResult test) {
  auto expectations = Expectations::parse(kList);
  EXPECT_TRUE(expectations.ok());
  expectations.value().apply(where, &test);
  return test;
}

TestResult test_of(const std::string& suite, const std::string& name, Verdict verdict) {
  return {.suite = suite, .name = name, .verdict = verdict, .reason = "as it says"};
}

TEST(Expectations, AListedSkipIsASkip) {
  EXPECT_EQ(judged(kOld, test_of("gup", "GupPin.UnlockedLongterm", Verdict::Skip)).verdict, Verdict::Skip);
}

TEST(Expectations, AnUnlistedSkipFails) {
  const TestResult other_kernel = judged(kNew, test_of("gup", "GupPin.UnlockedLongterm", Verdict::Skip));
  EXPECT_EQ(other_kernel.verdict, Verdict::Fail);
  EXPECT_EQ(other_kernel.reason, "unexpected skip: as it says");
  EXPECT_EQ(judged(kOld, test_of("gup", "GupPin.Other", Verdict::Skip)).verdict, Verdict::Fail);
  EXPECT_EQ(judged(kOld, test_of("drm", "GupPin.UnlockedLongterm", Verdict::Skip)).verdict, Verdict::Fail);
}

TEST(Expectations, ASkipListedForOneGpuFailsWithTwo) {
  const Where two{.release = "6.1.0-56-amd64", .backend = "coherent", .accel = "tcg", .gpus = "2"};
  EXPECT_EQ(judged(kOld, test_of("kfd", "MultiGpuAttr.X", Verdict::Skip)).verdict, Verdict::Skip);
  EXPECT_EQ(judged(two, test_of("kfd", "MultiGpuAttr.X", Verdict::Skip)).verdict, Verdict::Fail);
}

TEST(Expectations, AKnownFailureThatFailsIsKnown) {
  const TestResult test = judged(kOld, test_of("kfd", "Svm.Broken", Verdict::Fail));
  EXPECT_EQ(test.verdict, Verdict::Known);
  EXPECT_EQ(test.reason, "bug 17: as it says");
}

TEST(Expectations, AKnownFailureThatPassesFails) {
  EXPECT_EQ(judged(kOld, test_of("kfd", "Svm.Broken", Verdict::Pass)).verdict, Verdict::Fail);
}

TEST(Expectations, LeavesOrdinaryResultsAlone) {
  EXPECT_EQ(judged(kOld, test_of("kfd", "Svm.Fine", Verdict::Pass)).verdict, Verdict::Pass);
  EXPECT_EQ(judged(kOld, test_of("kfd", "Svm.Fine", Verdict::Fail)).verdict, Verdict::Fail);
}

TEST(Expectations, AllowedLinesDependOnTheAccelerator) {
  const auto expectations = Expectations::parse(kList);
  EXPECT_EQ(expectations.value().allowed_lines(kOld).size(), 1u);
  EXPECT_EQ(expectations.value().allowed_lines(kNew).size(), 0u);
}

TEST(Expectations, RejectsEntriesWithoutReasonOrSense) {
  for (const char* text :
       {"", "[]", "{", R"({"tests":[{"expect":"skip","test":"A.b"}]})", R"({"tests":[{"expect":"skip","reason":"r"}]})",
        R"({"tests":[{"expect":"perhaps","test":"A.b","reason":"r"}]})", R"({"tests":[{"expect":3}]})",
        R"({"kernel_lines":[{"pattern":"(","reason":"r"}]})", R"({"kernel_lines":[{"pattern":"x"}]})"}) {
    EXPECT_FALSE(Expectations::parse(text).ok()) << text;
  }
}

TEST(Expectations, TheFileInTheTreeIsValid) {
  const auto expectations = Expectations::load(KFDLAB_SOURCE_DIR "/tests/suites/expectations.json");
  EXPECT_TRUE(expectations.ok()) << expectations.error().message;
}

}  // namespace
}  // namespace kfdlab::judge
