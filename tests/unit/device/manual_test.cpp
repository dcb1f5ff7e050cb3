// SPDX-License-Identifier: MIT
// docs/device.md is the device's specification: every name a driver author meets in the headers is in it.
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace {

std::string read_source(const std::string& path) {
  std::ifstream file(std::string(KFDLAB_SOURCE_DIR) + "/" + path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// First capture of every match of `pattern` in a header.
std::set<std::string> names(const std::string& header, const char* pattern) {
  const std::string text = read_source("include/hw/" + header);
  const std::regex regex(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator match(text.begin(), text.end(), regex), end; match != end; ++match) {
    found.insert((*match)[1]);
  }
  return found;
}

void expect_documented(const std::set<std::string>& names, std::size_t at_least) {
  const std::string manual = read_source("docs/device.md");
  ASSERT_FALSE(manual.empty());
  EXPECT_GE(names.size(), at_least) << "the pattern no longer fits the header";
  for (const std::string& name : names) {
    EXPECT_TRUE(std::regex_search(manual, std::regex("\\b" + name + "\\b"))) << name << " is not in docs/device.md";
  }
}

TEST(DeviceManual, NamesEveryRegister) { expect_documented(names("regs.h", R"(\n\tuint(?:32|64)_t (\w+)[;\[])"), 30); }

TEST(DeviceManual, NamesEveryStateErrorAndControlOperation) {
  expect_documented(names("regs.h", R"(\n\t(KFDLAB_\w+) = )"), 10);
}

TEST(DeviceManual, NamesEveryPartOfTheBarAndEveryVector) {
  expect_documented(names("bar_layout.h", R"(\n#define (KFDLAB_BAR_\w+))"), 8);
  expect_documented(names("bar_layout.h", R"(\n\t(KFDLAB_(?:KICK|IRQ)_\w+) = )"), 8);
}

TEST(DeviceManual, NamesEveryPacketAndItsFields) {
  expect_documented(names("sdma.h", R"(\n\t(SDMA_OP_(?!NOP)\w+) = )"), 8);
  expect_documented(names("sdma.h", R"(\n\tuint32_t (\w+)[;,])"), 20);
  expect_documented(names("aql.h", R"(\n\t(AQL_(?!INACTIVE|CONDITION)\w+) = )"), 8);
  expect_documented(names("pm4.h", R"(\n\t(PM4_(?!RELEASE_)\w+) = )"), 8);
}

TEST(DeviceManual, NamesEveryPartOfAUserQueue) {
  expect_documented(names("queue.h", R"(\n\t(KFDLAB_\w+) = )"), 18);
  expect_documented(names("queue.h", R"(\n\tuint(?:32|64)_t (\w+)[;\[])"), 16);
}

TEST(DeviceManual, NamesEveryInterrupt) { expect_documented(names("ih.h", R"(\n#define (IH_(?:CLIENT|SOURCE)_\w+))"), 9); }

}  // namespace
