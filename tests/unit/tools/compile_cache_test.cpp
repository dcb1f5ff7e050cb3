// SPDX-License-Identifier: MIT
// What the compile cache keeps on the host.
#include "tools/vm/compile_cache.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <set>
#include <string>

#include "tools/host/paths.h"

namespace kfdlab {
namespace {

namespace fs = std::filesystem;

std::set<std::string> names_in(const fs::path& directory) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.insert(entry.path().filename());
  }
  return names;
}

class CompileCachePruning : public ::testing::Test {
 protected:
  void SetUp() override {
    auto directory = TemporaryDirectory::create(fs::temp_directory_path());
    ASSERT_TRUE(directory.ok());
    directory_.emplace(directory.take());
    const auto now = fs::file_time_type::clock::now();
    int age = 0;
    for (const char* name : {"newest", "middle", "oldest"}) {
      const fs::path path = directory_->path() / name;
      std::ofstream(path) << std::string(100, 'x');
      fs::last_write_time(path, now - std::chrono::hours(age++));
    }
  }

  std::optional<TemporaryDirectory> directory_;
};

TEST_F(CompileCachePruning, TheOldestGoFirstAndNoMoreThanNeeded) {
  prune_files(directory_->path(), 250);
  EXPECT_EQ(names_in(directory_->path()), (std::set<std::string>{"newest", "middle"}));
}

TEST_F(CompileCachePruning, WhatFitsStays) {
  prune_files(directory_->path(), 300);
  EXPECT_EQ(names_in(directory_->path()).size(), 3u);
}

TEST_F(CompileCachePruning, ADirectoryThatIsNotThereIsNoTrouble) {
  prune_files(directory_->path() / "absent", 0);
  EXPECT_EQ(names_in(directory_->path()).size(), 3u);
}

}  // namespace
}  // namespace kfdlab
