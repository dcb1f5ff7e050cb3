// SPDX-License-Identifier: MIT
#include "tools/judge/console.h"

#include <gtest/gtest.h>

#include "tools/judge/vm_run.h"

namespace kfdlab::judge {
namespace {

using Lines = std::vector<std::string>;

TEST(Console, FindsDefectsWithoutStampsEscapesAndReturns) {
  const std::string console =
      "\x1b[0m[    0.000000] Linux version 6.1\r\n"
      "[   12.345678] BUG: kernel NULL pointer dereference, address: 0000000000000000\r\n"
      "\x1b[1;31mKernel panic - not syncing: Fatal exception\x1b[0m\n";
  EXPECT_EQ(find_defects(console), (Lines{"BUG: kernel NULL pointer dereference, address: 0000000000000000",
                                          "Kernel panic - not syncing: Fatal exception"}));
}

TEST(Console, KeepsBracketsThatAreNoStamp) { EXPECT_EQ(console_tail("[ OK ] started\n", 5), "[ OK ] started\n"); }

TEST(Console, HandlesAnEmptyAndACutConsole) {
  EXPECT_TRUE(find_defects("").empty());
  EXPECT_EQ(find_defects("\x1b[").size(), 0u);
  EXPECT_EQ(find_defects("Kernel pan").size(), 0u);
  EXPECT_EQ(console_tail("", 3), "");
}

TEST(Console, TailIsTheLastLines) { EXPECT_EQ(console_tail("a\nb\n\nc\n", 2), "b\nc\n"); }

TEST(Console, WarningsAreNotFatalAndPanicsAre) {
  EXPECT_FALSE(is_fatal("WARNING: CPU: 0 PID: 1 at f"));
  EXPECT_TRUE(is_fatal("Kernel panic - not syncing"));
  EXPECT_TRUE(is_fatal("BUG: unable to handle page fault"));
}

TEST(Console, ACrashThatNoTestWasBlamedForFails) {
  const std::string console = "[    1.0] BUG: Bad page map in process x\n";
  EXPECT_EQ(judge_console(console, {}).verdict, Verdict::Fail);
  TestResult blamed{
      .suite = "gup", .name = "A.b", .verdict = Verdict::Fail, .reason = "kernel log: BUG: Bad page map in process x"};
  EXPECT_EQ(judge_console(console, {blamed}).verdict, Verdict::Pass);
  EXPECT_EQ(judge_console("all quiet\n", {}).verdict, Verdict::Pass);
}

}  // namespace
}  // namespace kfdlab::judge
