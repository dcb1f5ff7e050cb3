// SPDX-License-Identifier: MIT
#include "tools/kernels/package.h"

#include <gtest/gtest.h>

#include "tools/kernels/catalog.h"

namespace kfdlab {
namespace {

TEST(AptOutput, DependsNamesTheImage) {
  EXPECT_EQ(parse_depends("linux-image-amd64\n  Depends: linux-image-6.1.0-56-amd64\n"), "linux-image-6.1.0-56-amd64");
  EXPECT_EQ(parse_depends("x\n  Depends: linux-base\n  Depends: linux-image-6.12.9-amd64\n"),
            "linux-image-6.12.9-amd64");
  EXPECT_FALSE(parse_depends(""));
  EXPECT_FALSE(parse_depends("x\n  Depends: linux-base\n"));
  EXPECT_FALSE(parse_depends("x\n  Conflicts: linux-image-6.1\n"));
}

TEST(AptOutput, PolicyNamesTheCandidate) {
  EXPECT_EQ(parse_policy("p:\n  Installed: (none)\n  Candidate: 6.1.192-2\n  Version table:\n"), "6.1.192-2");
  EXPECT_FALSE(parse_policy("p:\n  Installed: (none)\n  Candidate: (none)\n"));
  EXPECT_FALSE(parse_policy(""));
}

TEST(PackageDirectory, HasNoColon) {
  const auto path = package_directory("/c", {"linux-image-x", "1:2.3-4", "x"});
  EXPECT_EQ(path, "/c/kernels/linux-image-x_1.2.3-4");
}

TEST(Catalog, ExpandsStockAndRefusesTheUnknown) {
  const auto all = expand_kernel_names({"stock", "6.1"});
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all.value(), (std::vector<std::string>{"6.1", "6.12"}));
  EXPECT_FALSE(expand_kernel_names({"5.10"}).ok());
  EXPECT_FALSE(expand_kernel_names({"/home/me/linux"}).ok());
}

}  // namespace
}  // namespace kfdlab
