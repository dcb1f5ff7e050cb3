// SPDX-License-Identifier: MIT
#include "tools/caller.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

namespace kfdlab {
namespace {

TEST(MergeEnvironment, ReplacesWholeNamesOnlyAndAddsTheRest) {
  const auto merged = merge_environment({"A=1", "AB=2", "C=3"}, {"A=9", "D=4", "C="});
  EXPECT_EQ(merged, (std::vector<std::string>{"A=9", "AB=2", "C=", "D=4"}));
}

TEST(InheritFromCaller, TakesUserDirectoryAndUmask) {
  GuestCommand command;
  const mode_t before = ::umask(027);
  inherit_from_caller(command, {"KFDLAB_TEST_VARIABLE=x"}, false);
  ::umask(before);
  EXPECT_EQ(command.umask, 027u);
  EXPECT_EQ(command.uid, ::getuid());
  EXPECT_EQ(command.gid, ::getgid());
  EXPECT_EQ(command.cwd, std::filesystem::current_path());
  EXPECT_TRUE(command.caller_limits);
  EXPECT_NE(std::find(command.env.begin(), command.env.end(), "KFDLAB_TEST_VARIABLE=x"), command.env.end());
}

TEST(InheritFromCaller, RootIsRootWhoeverCalls) {
  GuestCommand command;
  inherit_from_caller(command, {}, true);
  EXPECT_EQ(command.uid, 0u);
  EXPECT_EQ(command.gid, 0u);
  ASSERT_FALSE(command.groups.empty());
  EXPECT_EQ(command.groups[0], 0u);
}

}  // namespace
}  // namespace kfdlab
