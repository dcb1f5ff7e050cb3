// SPDX-License-Identifier: MIT
// The counterpart: a reference that is not long-term (FOLL_GET, or FOLL_PIN without FOLL_LONGTERM) leaves an
// exclusive device-coherent page in VRAM, and while it is held the page can go nowhere.
#include "tests/gup/gup_fixture.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

std::vector<std::uint64_t> frames(const PageOracle& oracle, const Buffer& buffer) {
  std::vector<std::uint64_t> frames;
  for (std::size_t i = 0; i < buffer.npages(); ++i) {
    frames.push_back(oracle.frame(buffer.page(i)));
  }
  return frames;
}

std::vector<GupCase> large_range() { return {{kPinFastWrite, 16384, "fast_16384_pages"}}; }

GUP_TEST_EACH(GupPin, OrdinaryLeavesVramPagesInPlace, ordinary_flavours) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const std::vector<std::uint64_t> where = frames(oracle(), buffer);
  const kfdlab_test_counters before = counters();

  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);

  EXPECT_TRUE(stayed(held, buffer.bytes(), before));
  EXPECT_EQ(frames(oracle(), buffer), where);
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
  EXPECT_TRUE(intact_through(held, buffer.bytes(), kFirst));

  EXPECT_EQ(held.release(), 0);
  EXPECT_EQ(frames(oracle(), buffer), where);
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

GUP_TEST_EACH(GupPin, OrdinaryLeavesALargeRangeInPlace, large_range) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const kfdlab_test_counters before = counters();
  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);
  EXPECT_TRUE(stayed(held, buffer.bytes(), before));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

GUP_TEST_EACH(GupPin, OrdinaryHoldKeepsPagesInVramAgainstEviction, ordinary_flavours) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);

  const TestDevice::Evicted refused = evict();
  EXPECT_EQ(refused.moved, 0u);
  EXPECT_EQ(refused.stayed, npages());
  EXPECT_EQ(prefetch_to_ram(buffer.bytes()), 0) << "a held page is no error of the caller";
  EXPECT_TRUE(all_in_vram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
  EXPECT_TRUE(intact_through(held, buffer.bytes(), kFirst)) << "the holder must still see the process's pages";

  ASSERT_EQ(held.release(), 0);
  const TestDevice::Evicted moved = evict();
  EXPECT_EQ(moved.moved, npages());
  EXPECT_EQ(moved.stayed, 0u);
  EXPECT_TRUE(all_in_ram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

GUP_TEST(GupPin, OrdinaryHoldOfSomePagesLetsTheOthersBeEvicted) {
  Buffer buffer(8);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  GupHold held;
  ASSERT_EQ(hold(kPinFastWrite, buffer.pages(2, 3), &held), 0);

  const TestDevice::Evicted evicted = evict();
  EXPECT_EQ(evicted.moved, 5u);
  EXPECT_EQ(evicted.stayed, 3u);
  EXPECT_TRUE(all_in_ram(buffer.pages(0, 2)));
  EXPECT_TRUE(all_in_vram(buffer.pages(2, 3)));
  EXPECT_TRUE(all_in_ram(buffer.pages(5, 3)));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
  EXPECT_TRUE(intact_through(held, buffer.pages(2, 3), kFirst));
}

GUP_TEST_EACH(GupPin, OrdinaryHolderAndProcessSeeEachOthersWritesInVram, ordinary_write_flavours) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const kfdlab_test_counters before = counters();
  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);

  std::vector<std::byte> from_device(buffer.size());
  fill_pattern(from_device, buffer.address(), kSecond);
  ASSERT_EQ(held.write(0, from_device), 0);
  EXPECT_TRUE(intact(buffer.bytes(), kSecond));

  fill_pattern(buffer.bytes(), kFirst);
  EXPECT_TRUE(intact_through(held, buffer.bytes(), kFirst));
  EXPECT_TRUE(stayed(held, buffer.bytes(), before)) << "writing is no reason to move";

  ASSERT_EQ(held.release(true), 0);
  EXPECT_EQ(prefetch_to_ram(buffer.bytes()), 0);
  EXPECT_TRUE(all_in_ram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

GUP_TEST_EACH(GupPin, RamPagesStayWhereTheyAre, every_flavour) {
  Buffer buffer(npages());
  fill_pattern(buffer.bytes(), kFirst);
  const std::vector<std::uint64_t> where = frames(oracle(), buffer);
  const kfdlab_test_counters before = counters();

  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);

  EXPECT_TRUE(departed(held, buffer.bytes(), 0, before));
  EXPECT_EQ(frames(oracle(), buffer), where);
  EXPECT_TRUE(intact_through(held, buffer.bytes(), kFirst));
}

GUP_TEST_EACH(GupPin, EveryPageOfAPinIsCountedOnceAndGivenBack, every_pin) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const std::int64_t before = outstanding_pins();
  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);
  EXPECT_EQ(outstanding_pins() - before, static_cast<std::int64_t>(npages()));
  ASSERT_EQ(held.release(), 0);
  EXPECT_EQ(outstanding_pins(), before);
}

}  // namespace
}  // namespace kfdlab
