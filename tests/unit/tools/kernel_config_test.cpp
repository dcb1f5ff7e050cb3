// SPDX-License-Identifier: MIT
#include "tools/kernels/kernel_config.h"

#include <gtest/gtest.h>

#include "tools/host/paths.h"

namespace kfdlab {
namespace {

using Names = std::vector<std::string>;

TEST(KernelConfig, ReadsValuesAndUnsetOptions) {
  const auto config = parse_kernel_config(
      "# comment\nCONFIG_A=y\r\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=\"-x\"\nCONFIG_E=17\nnonsense\n");
  EXPECT_EQ(config.size(), 5u);
  EXPECT_EQ(config.at("CONFIG_C"), "n");
  EXPECT_EQ(config.at("CONFIG_D"), "\"-x\"");
  EXPECT_TRUE(config_enabled(config, "CONFIG_A"));
  EXPECT_TRUE(config_enabled(config, "CONFIG_B"));
  EXPECT_FALSE(config_enabled(config, "CONFIG_C"));
  EXPECT_FALSE(config_enabled(config, "CONFIG_NO_SUCH"));
}

TEST(KernelConfig, TheLastLineAboutAnOptionCounts) {
  EXPECT_EQ(parse_kernel_config("CONFIG_A=y\n# CONFIG_A is not set\n").at("CONFIG_A"), "n");
}

TEST(KernelConfig, NamesEveryOptionThatCameOutOtherwise) {
  const auto wanted = parse_kernel_config("CONFIG_A=y\nCONFIG_B=m\nCONFIG_C=17\n# CONFIG_D is not set\nCONFIG_E=y\n");
  const auto got = parse_kernel_config("CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=15\nCONFIG_D=y\n");
  EXPECT_EQ(dropped_options(wanted, got),
            (Names{"CONFIG_B=m (is y)", "CONFIG_C=17 (is 15)", "CONFIG_D=n (is y)", "CONFIG_E=y (is n)"}));
  EXPECT_TRUE(dropped_options(wanted, wanted).empty());
}

TEST(KernelConfig, AFeatureMayBeAModule) {
  const auto wanted = parse_kernel_config("CONFIG_A=y\nCONFIG_B=m\nCONFIG_C=17\nCONFIG_D=y\n");
  EXPECT_EQ(missing_features(wanted, parse_kernel_config("CONFIG_A=m\nCONFIG_B=y\n")), (Names{"CONFIG_D"}));
}

TEST(KernelConfig, OurOwnFilesAskForEveryCheckerOnce) {
  KernelConfig all;
  for (const char* name : {"guest.config", "suites.config", "checkers.config"}) {
    const auto text = read_file(source_directory() / "tools/kernels/config" / name);
    ASSERT_TRUE(text.ok()) << name;
    for (const auto& [option, value] : parse_kernel_config(text.value())) {
      EXPECT_TRUE(all.emplace(option, value).second) << option << " is in two files";
    }
  }
  for (const char* option : {"CONFIG_KASAN_GENERIC", "CONFIG_PROVE_LOCKING", "CONFIG_PROVE_RCU", "CONFIG_DEBUG_VM",
                             "CONFIG_DEBUG_KMEMLEAK", "CONFIG_DEBUG_OBJECTS_WORK", "CONFIG_DEBUG_ATOMIC_SLEEP",
                             "CONFIG_FAIL_PAGE_ALLOC", "CONFIG_FAILSLAB", "CONFIG_DETECT_HUNG_TASK",
                             "CONFIG_DEVICE_PRIVATE", "CONFIG_TEST_HMM", "CONFIG_GUP_TEST", "CONFIG_PAGE_OWNER"}) {
    EXPECT_TRUE(config_enabled(all, option)) << option;
  }
}

}  // namespace
}  // namespace kfdlab
