// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "tools/options.h"

namespace kfdlab {
namespace {

TEST(ParseSize, UnderstandsPowersOf1024) {
  EXPECT_EQ(parse_size("0"), 0u);
  EXPECT_EQ(parse_size("4096"), 4096u);
  EXPECT_EQ(parse_size("1K"), 1024u);
  EXPECT_EQ(parse_size("512M"), 512ull << 20);
  EXPECT_EQ(parse_size("3g"), 3ull << 30);
  EXPECT_EQ(parse_size("2T"), 2ull << 40);
}

TEST(ParseSize, RefusesWhatIsNoSize) {
  for (const char* text : {"", "M", "1.5G", "-1", "+1", " 1", "1 ", "1GB", "0x10", "G1", "99999999999999999999",
                           "18446744073709551615K"}) {
    EXPECT_FALSE(parse_size(text)) << '"' << text << '"';
  }
}

TEST(CommonOptions, RefuseSizesTheVirtualHardwareCannotHave) {
  VmOptions vm;
  CommonOptions options;
  EXPECT_TRUE(apply_common_options(options, vm).ok());
  EXPECT_EQ(vm.memory_bytes, 3ull << 30);
  options.memory_bytes = 1ull << 30;
  EXPECT_TRUE(apply_common_options(options, vm).ok());
  options.memory_bytes = 100ull << 20;
  EXPECT_FALSE(apply_common_options(options, vm).ok());
  options.memory_bytes = (1ull << 30) + 4096;
  EXPECT_FALSE(apply_common_options(options, vm).ok());
  options.memory_bytes = 1ull << 30;
  options.vram_bytes = (64ull << 20) + 4096;
  EXPECT_FALSE(apply_common_options(options, vm).ok());
}

}  // namespace
}  // namespace kfdlab
