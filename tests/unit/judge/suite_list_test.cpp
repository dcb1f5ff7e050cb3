// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "tools/judge/suites.h"

namespace kfdlab::judge {
namespace {

TEST(SuiteList, ReadsGtestsListing) {
  const std::vector<std::string> expected = {"A.one", "A.two", "Inst/B.three/0", "Inst/B.three/1"};
  EXPECT_EQ(parse_test_list("Running main() from gtest_main.cc\nA.\n  one\n  two\nInst/B.  # TypeParam = int\n"
                            "  three/0  # GetParam() = 3\n  three/1  # GetParam() = \"a  b\"\n"),
            expected);
}

TEST(SuiteList, ReadsNothingFromNothing) {
  EXPECT_TRUE(parse_test_list("").empty());
  EXPECT_TRUE(parse_test_list("  stray\n").empty());
}

TEST(SuiteList, EverySuiteIsFoundByItsName) {
  for (const Suite& suite : all_suites()) {
    EXPECT_EQ(find_suite(suite.name), &suite);
  }
  EXPECT_EQ(find_suite("nosuch"), nullptr);
}

}  // namespace
}  // namespace kfdlab::judge
