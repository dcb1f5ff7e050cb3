// SPDX-License-Identifier: MIT
#include "tools/vm/host_tsc.h"

#include <gtest/gtest.h>

namespace kfdlab {
namespace {

constexpr std::uint64_t kSpanNs = 50000000;

TEST(HostTsc, KhzIsTicksPerMillisecond) {
  EXPECT_EQ(tsc_khz_between({1000, 7, 100}, {1000 + 2594604 * 50ull, 7 + kSpanNs, 100}), 2594604u);
}

TEST(HostTsc, LongSpansDoNotOverflow) {
  constexpr std::uint64_t kYearNs = 365ull * 24 * 3600 * 1000000000;
  EXPECT_EQ(tsc_khz_between({0, 0, 0}, {kYearNs * 3, kYearNs, 0}), 3000000u);
}

TEST(HostTsc, UncertainOrBackwardSamplesTellNothing) {
  EXPECT_EQ(tsc_khz_between({1000, 0, kSpanNs / 1000}, {2000000, kSpanNs, 1}), 0u) << "more than a thousandth of doubt";
  EXPECT_EQ(tsc_khz_between({1000, 10, 0}, {2000, 10, 0}), 0u) << "no time passed";
  EXPECT_EQ(tsc_khz_between({2000, 0, 0}, {1000, kSpanNs, 0}), 0u) << "the counter was set back";
  EXPECT_EQ(tsc_khz_between({0, 0, 0}, {~0ull, 1000, 0}), 0u) << "no such counter";
}

}  // namespace
}  // namespace kfdlab
