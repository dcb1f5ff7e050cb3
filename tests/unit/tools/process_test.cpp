// SPDX-License-Identifier: MIT
#include "tools/host/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tools/host/paths.h"

namespace kfdlab {
namespace {

TEST(RunHelper, KeepsStreamsApartAndPassesTheStatus) {
  const auto output = run_helper({"sh", "-c", "echo out; echo err >&2; exit 7"});
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(output.value().out, "out\n");
  EXPECT_EQ(output.value().err, "err\n");
  EXPECT_EQ(output.value().status, 7);
}

TEST(RunHelper, ASignalIsOneHundredTwentyEightPlusItsNumber) {
  const auto output = run_helper({"sh", "-c", "kill -TERM $$"});
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(output.value().status, 128 + SIGTERM);
}

TEST(RunHelper, AMissingProgramIsAnError) { EXPECT_FALSE(run_helper({"/no/such/program"}).ok()); }

TEST(RunHelper, TakesMoreOutputThanAPipeHolds) {
  const auto output = run_helper({"sh", "-c", "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2"});
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(output.value().out.size(), 300000u);
  EXPECT_EQ(output.value().err.size(), 300000u);
}

TEST(Child, KeepsOnlyTheDescriptorsItIsGiven) {
  auto kept = memory_file("kept", 0);
  auto other = memory_file("other", 0);
  auto out = memory_file("out", 4096);
  ASSERT_TRUE(kept.ok() && other.ok() && out.ok());
  SpawnOptions options;
  options.argv = {"sh",
                  "-c",
                  "for fd in \"$@\"; do [ -e /proc/self/fd/$fd ] && echo yes || echo no; done",
                  "sh",
                  std::to_string(kept.value().get()),
                  std::to_string(other.value().get())};
  options.keep_fds = {kept.value().get()};
  options.stdout_fd = out.value().get();
  auto child = Child::spawn(options);
  ASSERT_TRUE(child.ok());
  EXPECT_EQ(child.value().reap(), 0);
  char text[64] = {};
  ASSERT_GT(::pread(out.value().get(), text, sizeof(text) - 1, 0), 0);
  EXPECT_STREQ(text, "yes\nno\n");
}

TEST(Child, IsKilledWithItsOwner) {
  pid_t pid = 0;
  {
    SpawnOptions options;
    options.argv = {"sleep", "1000"};
    auto child = Child::spawn(options);
    ASSERT_TRUE(child.ok());
    pid = child.value().pid();
    EXPECT_FALSE(child.value().wait_for(0));
  }
  EXPECT_EQ(::kill(pid, 0), -1);
}

}  // namespace
}  // namespace kfdlab
