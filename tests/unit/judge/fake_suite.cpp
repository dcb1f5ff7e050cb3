// SPDX-License-Identifier: MIT
// Tests that misbehave in every way a real one can; suite_runner_test.cpp says what the runner must make of them.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

namespace {

TEST(Fake, Passes) { RecordProperty("pages", 42); }

TEST(Fake, Fails) {
  std::puts("printed by the failing test");
  EXPECT_EQ(1, 2) << "because one is not two";
}

TEST(Fake, Skips) { GTEST_SKIP() << "there is no such device"; }

TEST(Fake, Crashes) { ::raise(SIGSEGV); }

TEST(Fake, ExitsEarly) { ::_exit(7); }

TEST(Fake, Hangs) {
  ::signal(SIGTERM, SIG_IGN);
  for (;;) {
    ::pause();
  }
}

TEST(Fake, DISABLED_IsNeverRun) {}

TEST(Fake, IsLast) {}

}  // namespace
