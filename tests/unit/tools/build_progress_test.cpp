// SPDX-License-Identifier: MIT
#include "tools/kernels/build_progress.h"

#include <gtest/gtest.h>

#include "tools/host/paths.h"
#include "tools/kernels/make_process.h"

namespace kfdlab {
namespace {

TEST(BuildProgress, CountsObjectsOnly) {
  BuildProgress progress(10, 0);
  EXPECT_TRUE(progress.feed("  CC      mm/gup.o"));
  EXPECT_TRUE(progress.feed("  CC [M]  lib/test_hmm.o"));
  EXPECT_TRUE(progress.feed("  AS      arch/x86/entry/entry_64.o"));
  for (const char* other : {"  AR      mm/built-in.a", "  LD [M]  fs/x.ko", "  HOSTCC  scripts/x.o", "make[1]: x.o", "",
                            "  CC      vdso/vgetcpu.s", "CC mm/gup.o"}) {
    EXPECT_FALSE(progress.feed(other)) << other;
  }
  EXPECT_EQ(progress.objects(), 3u);
  EXPECT_EQ(progress.percent(), 30u);
}

TEST(BuildProgress, NeverSaysThatItIsDone) {
  BuildProgress progress(2, 2);
  EXPECT_EQ(progress.percent(), 99u);
  EXPECT_TRUE(progress.feed("  CC      a.o"));
  EXPECT_EQ(progress.text(std::chrono::seconds(192)), "99 % (3 of about 3 objects), 3 min 12 s");
  EXPECT_EQ(BuildProgress(0, 0).percent(), 0u);
}

TEST(BuildProgress, GoesOnWhereAnInterruptedBuildStopped) {
  EXPECT_EQ(BuildProgress(200, 50).text(std::chrono::seconds(5)), "25 % (50 of about 200 objects), 5 s");
}

TEST(MakeProcess, HandsOutLinesAndKeepsEverything) {
  auto directory = TemporaryDirectory::create(std::filesystem::temp_directory_path());
  ASSERT_TRUE(directory.ok());
  const auto log = directory.value().path() / "log";
  std::vector<std::string> lines;
  const auto status = run_make({"sh", "-c", "echo one; echo two >&2; printf three; exit 3"}, log,
                               [&](std::string_view line) { lines.emplace_back(line); });
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status.value(), 3);
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(read_file(log).value(), "one\ntwo\nthree");
}

TEST(MakeProcess, SaysWhatCannotBeStarted) {
  const auto status = run_make({"/no/such/make"}, "/dev/null", [](std::string_view) {});
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("/no/such/make"), std::string::npos);
}

}  // namespace
}  // namespace kfdlab
