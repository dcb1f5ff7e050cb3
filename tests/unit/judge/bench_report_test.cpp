// SPDX-License-Identifier: MIT
#include "tools/bench/bench_report.h"

#include <gtest/gtest.h>

namespace kfdlab::bench {
namespace {

TEST(BenchReport, ComparesWithinOneRun) {
  const auto json = nlohmann::json::parse(R"({"rows":[
    {"operation":"memcpy","bytes":1048576,"median_us":256},
    {"operation":"to_vram","bytes":1048576,"median_us":512},
    {"operation":"to_vram_loop","bytes":1048576,"median_us":2048}]})");
  const std::string text = table(json);
  EXPECT_NE(text.find("1 MiB"), std::string::npos);
  EXPECT_NE(text.find("1000000"), std::string::npos);  // memcpy: 256 pages in 256 us
  EXPECT_NE(text.find("0.50"), std::string::npos);     // half as fast as memcpy
  EXPECT_NE(text.find("4.00"), std::string::npos);     // four times the loop
}

TEST(BenchReport, ShowsNothingForWhatWasNotMeasured) {
  EXPECT_NO_FATAL_FAILURE(static_cast<void>(table(nlohmann::json::object())));
  const auto json = nlohmann::json::parse(R"({"rows":[{"operation":"memcpy","bytes":4096,"median_us":0}]})");
  EXPECT_NE(table(json).find(" -"), std::string::npos);
}

TEST(BenchReport, CountsOnlyPrivateMappings) {
  const char* smaps =
      "55d0-55d1 r-xp 00000000 00:01 1 /usr/bin/x\nSize: 8 kB\nRss:                  12 kB\n"
      "7f00-7f10 rw-s 00000000 00:01 5 /memfd:kfdlab-ram (deleted)\nRss:                4096 kB\n"
      "7f20-7f21 rw-p 00000000 00:00 0 \nRss:                   8 kB\nVmFlags: rd wr\n";
  EXPECT_EQ(private_resident_bytes(smaps), 20u << 10);
  EXPECT_EQ(private_resident_bytes(""), 0u);
}

}  // namespace
}  // namespace kfdlab::bench
