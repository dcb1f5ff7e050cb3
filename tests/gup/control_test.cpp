// SPDX-License-Identifier: MIT
// Negative controls: the assertions of this suite, applied where they must fail. An assertion that cannot fail
// proves nothing where it passes. (The other half is the runner's: the suite with kfdlab_gup drop_longterm=1.)
#include <gtest/gtest-spi.h>

#include "tests/gup/gup_fixture.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

GUP_TEST(GupControl, DepartureAssertionFailsForOrdinaryPin) {
  Buffer buffer(8);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const kfdlab_test_counters before = counters();
  GupHold held;
  ASSERT_EQ(hold(kPinFastWrite, buffer.bytes(), &held), 0);
  EXPECT_NONFATAL_FAILURE(EXPECT_TRUE(departed(held, buffer.bytes(), 8, before)), "pages are held in VRAM");
}

GUP_TEST(GupControl, DepartureAssertionFailsForPagesThatMovedByThemselves) {
  Buffer buffer(8);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const kfdlab_test_counters before = counters();
  // In RAM alright, but not by the pin's doing.
  ASSERT_EQ(prefetch_to_ram(buffer.bytes()), 0);
  GupHold held;
  ASSERT_EQ(hold(kPinFastWrite, buffer.bytes(), &held), 0);
  EXPECT_NONFATAL_FAILURE(EXPECT_TRUE(departed(held, buffer.bytes(), 8, before)), "the driver counted 0");
}

GUP_TEST(GupControl, StayAssertionFailsForPagesInRam) {
  Buffer buffer(8);
  fill_pattern(buffer.bytes(), kFirst);
  const kfdlab_test_counters before = counters();
  GupHold held;
  ASSERT_EQ(hold(kPinFastWrite, buffer.bytes(), &held), 0);
  EXPECT_NONFATAL_FAILURE(EXPECT_TRUE(stayed(held, buffer.bytes(), before)), "pages left VRAM");
}

GUP_TEST(GupControl, ContentAssertionSeesOneWrongByte) {
  Buffer buffer(8);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  GupHold held;
  ASSERT_EQ(hold(kPinFastWrite, buffer.bytes(), &held), 0);
  buffer.page(5)[4091] ^= std::byte{1};
  EXPECT_NONFATAL_FAILURE(EXPECT_TRUE(intact(buffer.bytes(), kFirst)), "wrong contents");
  EXPECT_NONFATAL_FAILURE(EXPECT_TRUE(intact_through(held, buffer.bytes(), kFirst)), "wrong contents");
}

}  // namespace
}  // namespace kfdlab
