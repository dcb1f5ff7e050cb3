// SPDX-License-Identifier: MIT
// The runner against a suite that misbehaves: every test gets exactly one result, with the right reason.
#include "tools/judge/suite_runner.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace kfdlab::judge {
namespace {

class ResultsOnly : public RunSink {
 public:
  void on_start(const std::string&, const std::string&) override {}
  void on_suite(const std::string&, unsigned tests) override { announced = tests; }
  void on_begin(const std::string&, const std::string&) override {}
  void on_result(const TestResult& test) override { results.push_back(test); }
  void on_note(const std::string&) override {}
  void on_done(const KernelLogSummary&, bool, const std::string&) override {}

  [[nodiscard]] TestResult of(const std::string& name) const {
    const auto found = std::find_if(results.begin(), results.end(), [&](const auto& r) { return r.name == name; });
    EXPECT_NE(found, results.end()) << name << " has no result";
    return found == results.end() ? TestResult{} : *found;
  }
  std::vector<TestResult> results;
  unsigned announced = 0;
};

class SuiteRunnerTest : public testing::Test {
 protected:
  void run(const std::string& filter, const std::string& executable = KFDLAB_FAKE_SUITE) {
    SuiteRun suite{
        .suite = "fake", .executable = executable, .filter = filter, .env = {}, .limit = std::chrono::seconds(2)};
    suite.judges_kernel = false;
    KernelLog log;
    EXPECT_TRUE(SuiteRunner(suite, expectations, {"6.1", "none", "hardware"}, &log, &sink).run());
  }
  Expectations expectations;
  ResultsOnly sink;
};

TEST_F(SuiteRunnerTest, ReportsPassWithCounters) {
  run("Fake.Passes");
  EXPECT_EQ(sink.announced, 1u);
  const TestResult result = sink.of("Fake.Passes");
  EXPECT_EQ(result.verdict, Verdict::Pass);
  EXPECT_EQ(result.counters.at("pages"), 42);
  EXPECT_EQ(sink.of("Suite.EndsCleanly").verdict, Verdict::Pass);
}

TEST_F(SuiteRunnerTest, ReportsFailureWithReasonAndOutput) {
  run("Fake.Fails");
  const TestResult result = sink.of("Fake.Fails");
  EXPECT_EQ(result.verdict, Verdict::Fail);
  EXPECT_NE(result.reason.find("because one is not two"), std::string::npos);
  EXPECT_NE(result.reason.find("fake_suite.cpp:"), std::string::npos);
  EXPECT_NE(result.log.find("printed by the failing test"), std::string::npos);
}

TEST_F(SuiteRunnerTest, AnUnlistedSkipFailsWithItsReason) {
  run("Fake.Skips");
  EXPECT_EQ(sink.of("Fake.Skips").verdict, Verdict::Fail);
  EXPECT_EQ(sink.of("Fake.Skips").reason, "unexpected skip: there is no such device");
}

TEST_F(SuiteRunnerTest, ACrashFailsItsTestAndTheRestStillRuns) {
  run("Fake.Passes:Fake.Crashes:Fake.ExitsEarly:Fake.IsLast");
  EXPECT_EQ(sink.of("Fake.Passes").verdict, Verdict::Pass);
  EXPECT_EQ(sink.of("Fake.Crashes").reason, "the process died of SIGSEGV in this test");
  EXPECT_EQ(sink.of("Fake.ExitsEarly").reason, "the process exited with status 7 in this test");
  EXPECT_EQ(sink.of("Fake.IsLast").verdict, Verdict::Pass);
  EXPECT_EQ(sink.results.size(), 5u);
}

TEST_F(SuiteRunnerTest, AHangFailsItsTestAndTheRestStillRuns) {
  run("Fake.Hangs:Fake.IsLast");
  EXPECT_EQ(sink.of("Fake.Hangs").reason, "hangs: no end within 2 s");
  EXPECT_EQ(sink.of("Fake.IsLast").verdict, Verdict::Pass);
}

TEST_F(SuiteRunnerTest, ADisabledTestIsAnUnexpectedSkip) {
  run("Fake.DISABLED_*");
  EXPECT_EQ(sink.of("Fake.DISABLED_IsNeverRun").verdict, Verdict::Fail);
}

TEST_F(SuiteRunnerTest, AFilterThatMatchesNothingReportsNothing) {
  run("No.Such");
  EXPECT_TRUE(sink.results.empty());
}

TEST_F(SuiteRunnerTest, AMissingExecutableFailsTheSuite) {
  run("", "/nonexistent/kfdlab_none_tests");
  ASSERT_EQ(sink.results.size(), 1u);
  EXPECT_EQ(sink.of("Suite.EndsCleanly").verdict, Verdict::Fail);
}

TEST_F(SuiteRunnerTest, AProgramThatIsNoSuiteFailsTheSuite) {
  run("", "/bin/true");
  EXPECT_EQ(sink.of("Suite.EndsCleanly").verdict, Verdict::Fail);
}

}  // namespace
}  // namespace kfdlab::judge
