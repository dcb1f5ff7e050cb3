// SPDX-License-Identifier: MIT
#include "device/options.h"

#include <gtest/gtest.h>

namespace kfdlab::device {
namespace {

TEST(Options, RamMapTakesSegmentsInHexAndDecimal) {
  const Result<std::vector<RamMapOption>> map = parse_ram_map("0:0xc0000000:0,0x100000000:1073741824:0xc0000000");
  ASSERT_TRUE(map.ok());
  ASSERT_EQ(map.value().size(), 2u);
  EXPECT_EQ(map.value()[0].size, 0xc0000000u);
  EXPECT_EQ(map.value()[1].address, 0x100000000u);
  EXPECT_EQ(map.value()[1].size, 1u << 30);
  EXPECT_EQ(map.value()[1].file_offset, 0xc0000000u);
}

TEST(Options, RamMapRefusesWhatIsNoSegment) {
  for (const char* text :
       {"", "0", "0:1", "0:1:2:3", "0:1:2,", "x:1:2", "0:-1:2", "0:0x:2", "0:1:99999999999999999999"}) {
    EXPECT_FALSE(parse_ram_map(text).ok()) << text;
  }
}

TEST(Options, GpuTakesDescriptorsInOrder) {
  const Result<GpuOption> gpu = parse_gpu("index=1,bar=5,kick=6:7:8,irq=9:10:11:12");
  ASSERT_TRUE(gpu.ok());
  EXPECT_EQ(gpu.value().index, 1u);
  EXPECT_EQ(gpu.value().bar_fd, 5);
  EXPECT_EQ(gpu.value().kick_fds, (std::vector<int>{6, 7, 8}));
  EXPECT_EQ(gpu.value().irq_fds, (std::vector<int>{9, 10, 11, 12}));
}

TEST(Options, GpuRefusesMissingUnknownAndMalformedFields) {
  for (const char* text : {"", "index=0", "index=0,bar=5,kick=6:7:8", "bar=5,kick=6:7:8,irq=9:10:11:12",
                           "index=0,bar=-1,kick=6:7:8,irq=9:10:11:12", "index=0,bar=5,kick=6:7,irq=9:10:11:12",
                           "index=0,bar=5,kick=6:7:8,irq=9:10:11", "index=0,bar=5,kick=6:7:x,irq=9:10:11:12",
                           "index=0,bar=5,kick=6:7:8,irq=9:10:11:12,colour=red", "index=0 bar=5"}) {
    EXPECT_FALSE(parse_gpu(text).ok()) << text;
  }
}

}  // namespace
}  // namespace kfdlab::device
