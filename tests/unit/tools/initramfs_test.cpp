// SPDX-License-Identifier: MIT
// The archive is unpacked by the cpio program, which knows the format independently of us.
#include "tools/vm/initramfs.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tools/host/paths.h"
#include "tools/host/process.h"

namespace kfdlab {
namespace {

std::string example() {
  CpioWriter cpio;
  cpio.add_directory("a");
  for (std::size_t size : {0, 1, 2, 3, 4, 5, 70001}) {
    cpio.add_file("a/file" + std::to_string(size), std::string(size, static_cast<char>('0' + size % 10)), 0640);
  }
  cpio.add_file("init", "#!/bin/sh\n", 0755);
  cpio.add_char_device("console", 5, 1);
  return cpio.finish();
}

TEST(CpioWriter, EveryPartIsAlignedToFourBytes) {
  EXPECT_EQ(example().size() % 4, 0u);
  EXPECT_EQ(example().substr(0, 6), "070701");
}

TEST(CpioWriter, WritesWhatCpioReads) {
  auto directory = TemporaryDirectory::create(std::filesystem::temp_directory_path());
  ASSERT_TRUE(directory.ok());
  const auto root = directory.value().path();
  std::ofstream(root / "archive", std::ios::binary) << example();
  const auto listed = run_helper({"sh", "-c", "cpio -t --quiet < archive"}, root.string());
  ASSERT_TRUE(listed.ok());
  if (listed.value().status == 127) {
    GTEST_SKIP() << "no cpio program on this machine";
  }
  EXPECT_EQ(listed.value().out,
            "a\na/file0\na/file1\na/file2\na/file3\na/file4\na/file5\na/file70001\ninit\nconsole\n");
  const auto unpacked = run_helper({"sh", "-c", "cpio -i --quiet 'a*' init < archive"}, root.string());
  ASSERT_EQ(unpacked.value().status, 0) << unpacked.value().err;
  for (std::size_t size : {0, 1, 2, 3, 4, 5, 70001}) {
    const auto text = read_file(root / "a" / ("file" + std::to_string(size)));
    ASSERT_TRUE(text.ok());
    EXPECT_EQ(text.value(), std::string(size, static_cast<char>('0' + size % 10)));
  }
  struct stat info {};
  ASSERT_EQ(::stat((root / "init").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0755u);
}

}  // namespace
}  // namespace kfdlab
