// SPDX-License-Identifier: MIT
#include "tools/judge/checkers.h"

#include <gtest/gtest.h>

#include "tools/judge/kernel_log.h"

namespace kfdlab::judge {
namespace {

KernelLine line(int level, const std::string& text) {
  return {.sequence = 0, .microseconds = 0, .level = level, .text = text};
}

TEST(Checkers, LockdepIsOnUnlessItSaysOtherwise) {
  EXPECT_TRUE(lockdep_is_on(" lock-classes: 1200\n debug_locks:                             1\n"));
  EXPECT_FALSE(lockdep_is_on(" lock-classes: 1200\n debug_locks:                             0\n"));
  EXPECT_TRUE(lockdep_is_on(""));
}

TEST(Checkers, AFullTableIsNoVerdict) {
  EXPECT_TRUE(says_checker_gave_up("turning off the locking correctness validator."));
  EXPECT_TRUE(says_checker_gave_up("kmemleak: Kernel memory leak detector disabled"));
  EXPECT_FALSE(says_checker_gave_up("WARNING: possible circular locking dependency detected"));
  LogWindows windows;
  windows.feed(
      {line(3, "BUG: MAX_LOCKDEP_ENTRIES too low!"), line(3, "turning off the locking correctness validator.")});
  EXPECT_EQ(windows.gave_up(), "turning off the locking correctness validator.");
  EXPECT_NE(checkers_trouble(windows.gave_up(), false, 1), "");
}

TEST(Checkers, LockdepThatIsOffBecauseOfAReportLeavesTheReportItsVerdict) {
  EXPECT_EQ(checkers_trouble("", false, 1), "");
  EXPECT_NE(checkers_trouble("", false, 0), "");
  EXPECT_EQ(checkers_trouble("", true, 0), "");
}

TEST(KernelLogRule, TakesALockdepReportAsOneAndNamesIt) {
  const std::vector<KernelLine> lines = {
      line(4, "======================================================"),
      line(4, "WARNING: possible circular locking dependency detected"),
      line(4, "6.12.117-kfdlab-debug #1 Tainted: G           O"),
      line(4, "------------------------------------------------------"),
      line(4, "kfdlab_kfd_test/300 is trying to acquire lock:"),
      line(6, "something else"),
      line(4, "and a warning of its own"),
  };
  EXPECT_EQ(
      judge_window(lines, {}, {}).unexpected,
      (std::vector<std::string>{"WARNING: possible circular locking dependency detected", "and a warning of its own"}));
}

TEST(KernelLogRule, TakesAKasanReportAsOneUpToItsLastRule) {
  const std::vector<KernelLine> lines = {
      line(3, "=================================================================="),
      line(3, "BUG: KASAN: slab-use-after-free in kfd_release+0x1/0x2 [kfdlab_amdgpu]"),
      line(3, "Read of size 8 at addr ffff888004b1f000 by task kfdlab/300"),
      line(3, "=================================================================="),
      line(4, "Disabling lock debugging due to kernel taint"),
  };
  EXPECT_EQ(judge_window(lines, {}, {}).unexpected.size(), 2u);
  EXPECT_EQ(judge_window(lines, {}, {}).unexpected[0],
            "BUG: KASAN: slab-use-after-free in kfd_release+0x1/0x2 [kfdlab_amdgpu]");
}

TEST(KernelLogRule, BlamesWhatTheCheckersPrint) {
  for (const char* text :
       {"BUG: sleeping function called from invalid context at mm/gup.c:1", "WARNING: inconsistent lock state",
        "WARNING: suspicious RCU usage", "WARNING: possible recursive locking detected",
        "INFO: possible recursive locking detected", "INFO: trying to register non-static key.",
        "ODEBUG: free active (active state 0) object: 0 object type: work_struct hint: f",
        "BUG kmalloc-64 (Tainted: G O): Poison overwritten", "page dumped because: VM_BUG_ON_PAGE(x)",
        "INFO: task kfd:1 blocked for more than 360 seconds.", "INFO: lockdep is turned off.",
        "[ BUG: Invalid wait context ]", "BUG: workqueue lockup - pool cpus=0 stuck for 91s!"}) {
    EXPECT_TRUE(reports_defect(text)) << text;
  }
}

}  // namespace
}  // namespace kfdlab::judge
