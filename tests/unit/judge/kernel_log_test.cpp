// SPDX-License-Identifier: MIT
#include "tools/judge/kernel_log.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace kfdlab::judge {
namespace {

KernelLine line(int level, const std::string& text) {
  return {.sequence = 0, .microseconds = 0, .level = level, .text = text};
}

std::vector<std::string> texts(const std::vector<KernelLine>& lines) {
  std::vector<std::string> result;
  for (const KernelLine& one : lines) {
    result.push_back(one.text);
  }
  return result;
}

using Texts = std::vector<std::string>;

const std::vector<KernelLine> kWarn = {
    line(4, "------------[ cut here ]------------"),
    line(4, "the control was asked for"),
    line(4, "WARNING: CPU: 0 PID: 1 at kernel/amdkfd/kfd_test.c:1 f+0x1/0x2"),
    line(4, "Call Trace:"),
    line(4, "---[ end trace 0000000000000000 ]---"),
};

TEST(KernelLogRule, AllowsLinesBelowWarning) {
  EXPECT_TRUE(judge_window({line(5, "notice"), line(6, "info"), line(7, "debug")}, {}, {}).clean());
}

TEST(KernelLogRule, BlamesEveryLineFromWarningUp) {
  const LogVerdict verdict = judge_window({line(4, "a"), line(3, "b"), line(0, "c")}, {}, {});
  EXPECT_EQ(verdict.unexpected, (Texts{"a", "b", "c"}));
}

TEST(KernelLogRule, BlamesDefectsWhateverTheirLevel) {
  for (const char* text : {"BUG: unable to handle page fault", "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
                           "INFO: task kworker/0:1 blocked for more than 120 seconds.", "Oops: 0000 [#1]",
                           "WARNING: possible circular locking dependency detected", "BUG: KASAN: use-after-free",
                           "watchdog: BUG: soft lockup - CPU#0 stuck", "refcount_t: underflow; use-after-free."}) {
    EXPECT_FALSE(judge_window({line(6, text)}, {}, {}).clean()) << text;
  }
}

TEST(KernelLogRule, CountsAReportOfManyLinesOnceByItsHeadline) {
  EXPECT_EQ(judge_window(kWarn, {}, {}).unexpected, (Texts{"the control was asked for"}));
}

TEST(KernelLogRule, SeesAReportBehindAnotherOne) {
  std::vector<KernelLine> lines = kWarn;
  lines.insert(lines.end(), kWarn.begin(), kWarn.end());
  lines.push_back(line(4, "after"));
  EXPECT_EQ(judge_window(lines, {}, {}).unexpected.size(), 3u);
}

TEST(KernelLogRule, AllowsTheTaintLinesOfOurModulesOnly) {
  EXPECT_TRUE(judge_window({line(4, "kfdlab_ttm: loading out-of-tree module taints kernel.")}, {}, {}).clean());
  EXPECT_TRUE(judge_window({line(5,
                                 "kfdlab_ttm: module verification failed: signature and/or required key missing - "
                                 "tainting kernel")},
                           {}, {})
                  .clean());
  EXPECT_FALSE(judge_window({line(4, "other: loading out-of-tree module taints kernel.")}, {}, {}).clean());
  EXPECT_FALSE(judge_window({line(4, "kfdlab_ttm: something else")}, {}, {}).clean());
}

TEST(KernelLogRule, ADeclaredLineIsExpectedAsOftenAsDeclared) {
  const std::vector<KernelLine> three = {line(3, "Memory failure: 0x1: recovery"),
                                         line(3, "Memory failure: 0x2: recovery"),
                                         line(3, "Memory failure: 0x3: recovery")};
  EXPECT_TRUE(judge_window(three, {{"Memory failure: 0x[0-9]+", 3}}, {}).clean());
  const LogVerdict verdict = judge_window(three, {{"Memory failure: 0x[0-9]+", 2}}, {});
  EXPECT_EQ(verdict.unexpected, (Texts{"Memory failure: 0x3: recovery"}));
  EXPECT_TRUE(verdict.missing.empty());
}

TEST(KernelLogRule, ADeclaredLineThatDoesNotComeIsAFailure) {
  const LogVerdict verdict = judge_window({line(4, "expected 1")}, {{"expected", 2}, {"never", 1}}, {});
  EXPECT_TRUE(verdict.unexpected.empty());
  ASSERT_EQ(verdict.missing.size(), 2u);
  EXPECT_NE(verdict.missing[0].find("came 1 of 2 times"), std::string::npos);
  EXPECT_FALSE(verdict.clean());
}

TEST(KernelLogRule, CountZeroMeansAnyNumberAndNoneNeeded) {
  EXPECT_TRUE(judge_window({}, {{"x", 0}}, {}).clean());
  EXPECT_TRUE(judge_window({line(4, "x"), line(4, "x")}, {{"x", 0}}, {}).clean());
}

TEST(KernelLogRule, ADeclarationCoversAWholeReport) {
  EXPECT_TRUE(judge_window(kWarn, {{"WARNING: CPU: [0-9]+ PID", 1}}, {}).clean());
}

TEST(KernelLogRule, ABadPatternFailsInsteadOfMatchingNothing) {
  EXPECT_FALSE(judge_window({}, {{"(", 1}}, {}).clean());
}

TEST(KernelLogRule, AllowsLinesOfTheEnvironment) {
  const AllowedLine allowed{"^hrtimer: ", std::regex("^hrtimer: ")};
  EXPECT_TRUE(judge_window({line(4, "hrtimer: interrupt took 5 ns")}, {}, {allowed}).clean());
  EXPECT_FALSE(judge_window({line(4, "not hrtimer: x")}, {}, {allowed}).clean());
}

KernelLine begin(const std::string& test) { return line(6, "kfdlab-test: begin " + test); }
KernelLine end(const std::string& test) { return line(6, "kfdlab-test: end " + test); }

TEST(LogWindows, SeparatesBootBaselineFromModuleLoading) {
  LogWindows windows;
  windows.feed({line(4, "stock warning"), line(6, "Kernel command line: kfdlab.x"),
                line(4, "kfdlab_ttm: loading out-of-tree module taints kernel."), line(4, "after")});
  windows.end_of_boot();
  EXPECT_EQ(texts(windows.baseline()), (Texts{"stock warning", "Kernel command line: kfdlab.x"}));
  EXPECT_EQ(texts(windows.loading()), (Texts{"kfdlab_ttm: loading out-of-tree module taints kernel.", "after"}));
}

TEST(LogWindows, GivesLinesToTheTestInWhoseWindowTheyFell) {
  LogWindows windows;
  windows.end_of_boot();
  windows.feed({begin("A.one"), line(4, "in one"), end("A.one"), begin("A.two"), line(4, "in two"), end("A.two")});
  EXPECT_EQ(texts(windows.take_window("A.two")), (Texts{"in two"}));
  EXPECT_EQ(texts(windows.take_window("A.one")), (Texts{"in one"}));
}

TEST(LogWindows, GivesLinesBetweenTwoTestsToTheFirst) {
  LogWindows windows;
  windows.end_of_boot();
  windows.feed({begin("A.one"), end("A.one"), line(4, "late"), begin("A.two")});
  windows.feed({line(4, "in two")});
  EXPECT_EQ(texts(windows.take_window("A.one")), (Texts{"late"}));
  EXPECT_EQ(texts(windows.take_window("A.two")), (Texts{"in two"}));
}

TEST(LogWindows, HandsEachLineOutOnce) {
  LogWindows windows;
  windows.end_of_boot();
  windows.feed({begin("A.one"), line(4, "first")});
  EXPECT_EQ(windows.take_window("A.one").size(), 1u);
  windows.feed({line(4, "after the end of the process")});
  EXPECT_EQ(texts(windows.take_rest()), (Texts{"after the end of the process"}));
  EXPECT_TRUE(windows.take_rest().empty());
}

TEST(LogWindows, KeepsLinesBeforeTheFirstTestForTheSuite) {
  LogWindows windows;
  windows.feed({line(4, "boot")});
  windows.end_of_boot();
  windows.feed({line(4, "between boot and tests")});
  EXPECT_EQ(texts(windows.baseline()), (Texts{"boot"}));
  EXPECT_EQ(texts(windows.take_rest()), (Texts{"between boot and tests"}));
}

}  // namespace
}  // namespace kfdlab::judge
