// SPDX-License-Identifier: MIT
#include "tools/judge/kmsg.h"

#include <gtest/gtest.h>

namespace kfdlab::judge {
namespace {

TEST(KmsgRecord, SplitsLevelSequenceTimeAndText) {
  const auto line = parse_kmsg_record("4,1234,5678901,-;amdkfd: a warning\n");
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->level, 4);
  EXPECT_EQ(line->sequence, 1234u);
  EXPECT_EQ(line->microseconds, 5678901u);
  EXPECT_EQ(line->text, "amdkfd: a warning");
}

TEST(KmsgRecord, IgnoresFacilityAndLaterFields) {
  const auto line = parse_kmsg_record("12,7,8,c,caller=T12;from user space\n");
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->level, 4);  // 12 = facility 1, level 4
  EXPECT_EQ(line->text, "from user space");
}

TEST(KmsgRecord, LeavesDevicePropertiesOut) {
  const auto line = parse_kmsg_record("6,1,2,-;pci found\n SUBSYSTEM=pci\n DEVICE=+pci:0000:00:04.0\n");
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->text, "pci found");
}

TEST(KmsgRecord, KeepsSemicolonsOfTheText) { EXPECT_EQ(parse_kmsg_record("6,1,2,-;a;b")->text, "a;b"); }

TEST(KmsgRecord, RejectsWhatIsNoRecord) {
  for (const char* text : {"", ";", "x,1,2,-;t", "6,1;t", "6,,2,-;t", "6,1,2,- no semicolon", "6,1x,2,-;t"}) {
    EXPECT_FALSE(parse_kmsg_record(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace kfdlab::judge
