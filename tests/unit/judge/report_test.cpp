// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "tools/report/json.h"
#include "tools/report/junit.h"
#include "tools/report/proof.h"
#include "tools/report/text.h"

namespace kfdlab::report {
namespace {

using judge::Report;
using judge::RunResult;
using judge::TestResult;
using judge::Verdict;

RunResult run_of(const std::string& release, std::vector<TestResult> tests) {
  RunResult run;
  run.kernel = "6.1";
  run.release = release;
  run.backend = "coherent";
  run.accel = "tcg";
  run.tests = std::move(tests);
  return run;
}

TestResult pin(std::uint64_t pages, std::uint64_t left) {
  TestResult test{.suite = "gup", .name = "GupPin.LongtermFast"};
  test.counters = {{kPinnedPages, pages}, {kLeftPages, left}};
  return test;
}

Report sample() {
  Report report;
  report.runs.push_back(run_of("6.1.0-56-amd64", {pin(4096, 4096)}));
  report.runs.push_back(run_of("6.12.117+deb12-amd64", {pin(10, 10)}));
  return report;
}

Report failing() {
  Report report = sample();
  report.runs[1].tests.push_back({.suite = "kfd",
                                  .name = "Svm.Splits",
                                  .verdict = Verdict::Fail,
                                  .reason = "a < b & \"c\"\nmore",
                                  .log = "bell \a and \xff\n"});
  return report;
}

TEST(JsonReport, HasTheSchemaOfTheContract) {
  const nlohmann::json json = to_json(failing());
  EXPECT_EQ(json.at("schema"), 1);
  EXPECT_EQ(json.at("verdict"), "fail");
  EXPECT_EQ(json.at("counts"), (nlohmann::json{{"pass", 2}, {"fail", 1}, {"skip", 0}, {"known", 0}}));
  const nlohmann::json& run = json.at("runs").at(1);
  for (const char* key : {"kernel", "release", "backend", "accel", "seconds", "kernel_log", "tests"}) {
    EXPECT_TRUE(run.contains(key)) << key;
  }
  const nlohmann::json& test = run.at("tests").at(1);
  for (const char* key : {"suite", "name", "result", "reason", "seconds", "log", "counters"}) {
    EXPECT_TRUE(test.contains(key)) << key;
  }
  EXPECT_EQ(test.at("result"), "fail");
}

TEST(JsonReport, IsValidJsonWhateverATestPrinted) {
  EXPECT_FALSE(nlohmann::json::parse(json_file(failing()), nullptr, false).is_discarded());
}

TEST(JsonReport, SaysErrorWhenTheHarnessFailed) {
  Report report = sample();
  report.runs[0].harness_error = "the VM hangs";
  EXPECT_EQ(to_json(report).at("verdict"), "error");
  EXPECT_EQ(to_json(Report{}).at("verdict"), "error");
}

TEST(JunitReport, EscapesWhatXmlCannotHold) {
  EXPECT_EQ(xml_escape("a<b>&\"c\""), "a&lt;b&gt;&amp;&quot;c&quot;");
  EXPECT_EQ(xml_escape("\a\x1b\xff ok\n\t"), "??? ok\n\t");
  EXPECT_EQ(xml_escape("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(xml_escape("\xc0\x80\xed\xa0\x80\xe2\x82"), "???????");
}

TEST(JunitReport, CountsWhatItLists) {
  const std::string xml = junit_file(failing());
  EXPECT_NE(xml.find("<testsuites name=\"kfdlab\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"0\">"),
            std::string::npos);
  EXPECT_NE(xml.find("<testsuite name=\"6.12.117+deb12-amd64.kfd\" tests=\"1\" failures=\"1\""), std::string::npos);
  EXPECT_NE(xml.find("<failure message=\"a &lt; b &amp; &quot;c&quot;\">"), std::string::npos);
}

TEST(JunitReport, SaysThatARunDidNotComeToItsEnd) {
  Report report = sample();
  report.runs[0].harness_error = "the VM hangs";
  EXPECT_NE(junit_file(report).find("<error message=\"the VM hangs\"/>"), std::string::npos);
}

TEST(Verdict, SaysWhatWasProvenAndWhere) {
  EXPECT_EQ(
      verdict_sentence(sample()),
      "PASS: 4106 of 4106 pages left VRAM before pin_user_pages_fast(FOLL_LONGTERM) held them, on 6.1.0-56-amd64 and "
      "6.12.117+deb12-amd64.");
}

TEST(Verdict, DoesNotClaimWhatWasNotRun) {
  Report report = sample();
  for (RunResult& run : report.runs) {
    run.tests[0].counters = nlohmann::json::object();
  }
  EXPECT_EQ(verdict_sentence(report).find("left VRAM"), std::string::npos);
}

TEST(Verdict, NamesTheFirstFailure) {
  EXPECT_EQ(verdict_sentence(failing()), "FAIL: Svm.Splits (6.12.117+deb12-amd64) failed.");
}

TEST(Verdict, SaysWhoseCodeWasJudged) {
  EXPECT_NE(scope_sentence(sample()).find("not their amdkfd"), std::string::npos);
  Report report = sample();
  report.runs[0].accel = report.runs[1].accel = "hardware";
  EXPECT_EQ(scope_sentence(report), "");
}

TEST(CountsLine, CountsKnownFailuresAsSkipped) {
  Report report = failing();
  report.runs[0].tests.push_back({.suite = "a", .name = "b.c", .verdict = Verdict::Known});
  report.runs[0].tests.push_back({.suite = "a", .name = "b.d", .verdict = Verdict::Skip});
  EXPECT_EQ(counts_line(report), "2 passed, 1 failed, 2 skipped");
}

TEST(Repeat, IsTheCommandThatRunsExactlyThatTest) {
  const Repeat repeat{"6.1", {"--vram", "256M"}};
  EXPECT_EQ(repeat.command("gup", "GupPin.X/0"),
            "./kfdlab validate --kernel 6.1 --vram 256M --suite gup --filter GupPin.X/0");
  EXPECT_EQ(repeat.command("gup", "Suite.EndsCleanly"), "./kfdlab validate --kernel 6.1 --vram 256M --suite gup");
  EXPECT_EQ(Repeat{}.command("gup", "A.b"), "./kfdlab validate --here --suite gup --filter A.b");
  EXPECT_EQ(Repeat{}.command("unit", "A.b"), "./kfdlab test --suite unit --filter A.b");
}

TEST(Table, HasARowForEachKernelAndSuite) {
  const std::string text = table(failing());
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4);
  EXPECT_NE(text.find("6.1.0-56-amd64"), std::string::npos);
}

}  // namespace
}  // namespace kfdlab::report
