// SPDX-License-Identifier: MIT
// The rule: a long-term pin moves a device-coherent page to RAM before it holds it, whatever function takes it, and
// while it is held the page cannot come back. Every test named GupPin.Longterm* fails when FOLL_LONGTERM is left
// out (kfdlab_gup drop_longterm=1), which the runner's negative control makes sure of.
#include <cerrno>
#include <cstring>
#include <latch>
#include <thread>

#include "tests/gup/gup_fixture.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

std::vector<GupCase> range_sizes() {
  std::vector<GupCase> cases;
  // Around the 2 MiB block of the driver and of migrate_vma batches; 16384 pages are 64 MiB.
  for (const std::size_t npages : {1u, 2u, 511u, 512u, 513u, 4096u, 16384u}) {
    cases.push_back({kPinFastLongtermWrite, npages, "fast_" + std::to_string(npages) + "_pages"});
  }
  for (const std::size_t npages : {1u, 513u, 4096u}) {
    cases.push_back({kPinSlowLongtermWrite, npages, "slow_" + std::to_string(npages) + "_pages"});
  }
  return cases;
}

GUP_TEST_EACH(GupPin, LongtermMovesVramPagesToRam, longterm_pins) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const kfdlab_test_counters before = counters();

  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);

  EXPECT_TRUE(departed(held, buffer.bytes(), npages(), before));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
  EXPECT_TRUE(intact_through(held, buffer.bytes(), kFirst));
  record_departure(flavour(), npages(), census(buffer.bytes()).ram);

  EXPECT_EQ(held.release(), 0);
  EXPECT_TRUE(all_in_ram(buffer.bytes())) << "release must not move anything";
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

GUP_TEST_EACH(GupPin, LongtermMovesEveryPageOfTheRange, range_sizes) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const kfdlab_test_counters before = counters();

  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);

  EXPECT_TRUE(departed(held, buffer.bytes(), npages(), before));
  EXPECT_EQ(counters().svm_pages_occupied, before.svm_pages_occupied - npages());
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
  record_departure(flavour(), npages(), census(buffer.bytes()).ram);
}

GUP_TEST_EACH(GupPin, LongtermPinnedPagesCannotMoveToVramUntilUnpinned, longterm_pins) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);

  EXPECT_EQ(prefetch_to_vram(buffer.bytes()), 0) << "a held page is no error of the caller";
  EXPECT_TRUE(all_in_ram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
  EXPECT_TRUE(intact_through(held, buffer.bytes(), kFirst)) << "the holder must still see the process's pages";

  ASSERT_EQ(held.release(), 0);
  EXPECT_TRUE(move_to_vram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

GUP_TEST_EACH(GupPin, LongtermPinnedPagesAreNobodysToEvict, longterm_pins) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);

  const TestDevice::Evicted evicted = evict();
  EXPECT_EQ(evicted.moved, 0u);
  EXPECT_EQ(evicted.stayed, 0u) << "no long-term pinned page may be in VRAM";
  EXPECT_TRUE(intact_through(held, buffer.bytes(), kFirst));
}

GUP_TEST_EACH(GupPin, LongtermHolderAndProcessSeeEachOthersWrites, longterm_write_pins) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const kfdlab_test_counters before = counters();
  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);
  ASSERT_TRUE(departed(held, buffer.bytes(), npages(), before));

  std::vector<std::byte> from_device(buffer.size());
  fill_pattern(from_device, buffer.address(), kSecond);
  ASSERT_EQ(held.write(0, from_device), 0);
  EXPECT_TRUE(intact(buffer.bytes(), kSecond));

  fill_pattern(buffer.bytes(), kFirst);
  EXPECT_TRUE(intact_through(held, buffer.bytes(), kFirst));

  ASSERT_EQ(held.release(true), 0);
  EXPECT_TRUE(move_to_vram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

GUP_TEST_EACH(GupPin, LongtermTwicePinnedPagesStayUntilTheLastRelease, longterm_pins) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const kfdlab_test_counters before = counters();
  GupHold first, second;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &first), 0);
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &second), 0);
  EXPECT_TRUE(departed(second, buffer.bytes(), npages(), before)) << "the second pin finds them in RAM";

  ASSERT_EQ(first.release(), 0);
  EXPECT_EQ(prefetch_to_vram(buffer.bytes()), 0);
  EXPECT_TRUE(all_in_ram(buffer.bytes())) << "one pin is left";

  ASSERT_EQ(second.release(), 0);
  EXPECT_TRUE(move_to_vram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

// A page moves only if the migration holds the one reference beside the mapping. Somebody else's reference makes
// the pin fail, and then it must hold nothing at all.
GUP_TEST_EACH(GupPin, LongtermIsBusyWhileSomebodyElseHoldsThePage, longterm_pins) {
  for (const GupFlavour& other_flavour : {kGetFastRead, kPinFastWrite}) {
    SCOPED_TRACE(other_flavour.name());
    Buffer buffer(4);
    ASSERT_TRUE(fill_in_vram(buffer.bytes()));
    const kfdlab_test_counters before = counters();
    GupHold other;
    ASSERT_EQ(hold(other_flavour, buffer.pages(2, 1), &other), 0);
    const std::int64_t pins = outstanding_pins();

    GupHold held;
    EXPECT_EQ(hold(flavour(), buffer.bytes(), &held), EBUSY);
    EXPECT_EQ(outstanding_pins(), pins);
    EXPECT_EQ(oracle().home(buffer.page(2)), PageHome::Vram);
    EXPECT_TRUE(intact(buffer.bytes(), kFirst));
    EXPECT_TRUE(intact_through(other, buffer.pages(2, 1), kFirst));

    ASSERT_EQ(other.release(), 0);
    ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);
    EXPECT_TRUE(departed(held, buffer.bytes(), 4, before)) << "both attempts together move each page once";
    EXPECT_TRUE(intact(buffer.bytes(), kFirst));
  }
}

// Each thread's pin is an unexpected reference for the other one's migration, so either may get EBUSY, or both.
GUP_TEST_EACH(GupPin, LongtermByTwoThreadsAtOnceLosesNothing, longterm_write_pins) {
  constexpr int kRounds = 10;
  Buffer buffer(1);
  fill_pattern(buffer.bytes(), kFirst);
  const kfdlab_test_counters before = counters();
  std::uint64_t departures = 0;
  int busy = 0;
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_TRUE(move_to_vram(buffer.bytes()));
    GupHold holds[2];
    int errors[2] = {};
    std::latch start(2);
    auto pin = [&](int me) {
      start.arrive_and_wait();
      errors[me] = hold(flavour(), buffer.bytes(), &holds[me]);
    };
    std::thread other(pin, 1);
    pin(0);
    other.join();

    for (int i = 0; i < 2; ++i) {
      busy += errors[i] == EBUSY;
      ASSERT_TRUE(errors[i] == 0 || errors[i] == EBUSY) << std::strerror(errors[i]);
      ASSERT_TRUE(errors[i] == EBUSY || (holds[i].npages() == 1 && holds[i].vram() == 0));
      ASSERT_TRUE(errors[i] == EBUSY || all_in_ram(buffer.bytes()));
    }
    departures += census(buffer.bytes()).ram;
    ASSERT_TRUE(intact(buffer.bytes(), kFirst));
  }
  EXPECT_EQ(counters().pages_left_by_pin - before.pages_left_by_pin, departures);
  RecordProperty("ebusy_allowed", std::to_string(busy));
}

}  // namespace
}  // namespace kfdlab
