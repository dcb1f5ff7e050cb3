// SPDX-License-Identifier: MIT
// The rules of a long-term pin, on everything a stock kernel offers that takes one: no page is held in VRAM, data goes
// where the process sees it, a held page is nobody's to move, and what was taken is given back.
#include <algorithm>
#include <cerrno>
#include <iterator>

#include "tests/pins/pins_fixture.h"
#include "tests/pins/system.h"
#include "tests/support/child.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab::pins {
namespace {

class LongtermPinner : public PinsTest, public testing::WithParamInterface<PinnerRow> {
 protected:
  void SetUp() override {
    PinsTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    auto made = GetParam().make();
    KFDLAB_NEEDS(made.ok(), made.error().message);
    pinner_ = made.take();
    pins_ = outstanding_pins();
  }
  void TearDown() override {
    pinner_.reset();
    PinsTest::TearDown();
  }
  [[nodiscard]] Pinner& pinner() { return *pinner_; }
  [[nodiscard]] std::size_t npages() const { return GetParam().npages; }
  // Pins that were held before the test.
  [[nodiscard]] std::int64_t pins_before() const { return pins_; }
  // For the verdict: of `pages` pages in VRAM, `left` were in RAM when they were held.
  void record(std::size_t pages, std::size_t left) {
    const Road road = GetParam().road;
    const bool fast = road == Road::Fast || (road == Road::FastSince6_12 && kernel_at_least(6, 12));
    record_departure(fast ? kPinFastLongtermWrite : kPinSlowLongtermWrite, pages, left);
  }
  [[nodiscard]] static int on_read_only_memory() {
    const PinnerRow& row = GetParam();
    return kernel_at_least(6, 12) ? row.read_only_memory : row.read_only_memory_6_1.value_or(row.read_only_memory);
  }

 private:
  std::unique_ptr<Pinner> pinner_;
  std::int64_t pins_ = 0;
};

TEST_P(LongtermPinner, MovesAllVramPagesToRamBeforeItHolds) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const kfdlab_test_counters before = counters();

  ASSERT_EQ(pinner().hold(buffer.bytes()), 0);
  EXPECT_TRUE(all_in_ram(buffer.bytes()));
  EXPECT_TRUE(left_by_pin(before, npages()));
  EXPECT_EQ(counters().svm_pages_occupied, before.svm_pages_occupied - npages());
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
  record(npages(), census(buffer.bytes()).ram);

  EXPECT_EQ(pinner().release(), 0);
  EXPECT_TRUE(all_in_ram(buffer.bytes())) << "release must not move anything";
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

TEST_P(LongtermPinner, MovesTheVramPagesOfAMixedRange) {
  Buffer buffer(npages());
  fill_pattern(buffer.bytes(), kFirst);
  for (std::size_t page = 1; page < npages(); page += 2) {
    ASSERT_TRUE(move_to_vram(buffer.pages(page, 1)));
  }
  const kfdlab_test_counters before = counters();
  ASSERT_EQ(pinner().hold(buffer.bytes()), 0);
  EXPECT_TRUE(all_in_ram(buffer.bytes()));
  EXPECT_TRUE(left_by_pin(before, npages() / 2));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

// Pinners whose device reads, and those whose device writes.
class LoadingPinner : public LongtermPinner {};
class StoringPinner : public LongtermPinner {};

TEST_P(LoadingPinner, DeviceFindsWhatTheProcessSees) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  ASSERT_EQ(pinner().hold(buffer.bytes()), 0);
  ASSERT_TRUE(intact(buffer.bytes(), kFirst));
  const auto found = pinner().load();
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(difference(buffer.bytes(), found.value()), "");
  EXPECT_TRUE(all_in_ram(buffer.bytes()));
}

TEST_P(StoringPinner, ProcessSeesWhatTheDeviceStored) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  ASSERT_EQ(pinner().hold(buffer.bytes()), 0);
  std::vector<std::byte> expected(buffer.bytes().begin(), buffer.bytes().end());

  const auto stored = pinner().store(kSecond);
  ASSERT_TRUE(stored.ok()) << stored.error().message;
  overlay(expected, stored.value());
  EXPECT_EQ(difference(buffer.bytes(), stored.value()), "");
  EXPECT_EQ(first_difference(expected, buffer.bytes()), "") << "what the device was not told to store";

  ASSERT_EQ(pinner().release(), 0);
  ASSERT_TRUE(pins_are(pins_before()));
  EXPECT_TRUE(move_to_vram(buffer.bytes()));
  EXPECT_EQ(first_difference(expected, buffer.bytes()), "") << "in VRAM again";
}

TEST_P(LongtermPinner, HeldPagesStayInRamUntilReleased) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  ASSERT_EQ(pinner().hold(buffer.bytes()), 0);

  EXPECT_EQ(prefetch_to_vram(buffer.bytes()), 0) << "a held page is no error of the caller";
  EXPECT_TRUE(all_in_ram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));

  ASSERT_EQ(pinner().release(), 0);
  ASSERT_TRUE(pins_are(pins_before()));
  EXPECT_TRUE(move_to_vram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

TEST_P(LongtermPinner, EvictionDoesNotTouchHeldPages) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  ASSERT_EQ(pinner().hold(buffer.bytes()), 0);
  const auto held = frames(buffer.bytes());
  const TestDevice::Evicted evicted = evict();
  EXPECT_EQ(evicted.moved, 0u);
  EXPECT_EQ(evicted.stayed, 0u) << "no page held for long may be in VRAM";
  EXPECT_EQ(frames(buffer.bytes()), held);
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

TEST_P(LongtermPinner, EveryPinIsCountedAndReleased) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const auto before = read_pin_counts();
  ASSERT_EQ(pinner().hold(buffer.bytes()), 0);
  EXPECT_EQ(outstanding_pins() - pins_before(), static_cast<std::int64_t>(npages()));
  ASSERT_EQ(pinner().release(), 0);
  EXPECT_TRUE(pins_are(pins_before()));
  const auto after = read_pin_counts();
  ASSERT_TRUE(before.ok() && after.ok());
  // The first attempt's pins, on pages that had to move, count too.
  EXPECT_GE(after.value().acquired - before.value().acquired, npages());
  EXPECT_EQ(after.value().acquired - before.value().acquired, after.value().released - before.value().released);
}

TEST_P(LongtermPinner, ReleaseByTheEndOfItsFilesIsEnough) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  {
    auto other = GetParam().make();
    ASSERT_TRUE(other.ok()) << other.error().message;
    ASSERT_EQ(other.value()->hold(buffer.bytes()), 0);
    EXPECT_EQ(outstanding_pins() - pins_before(), static_cast<std::int64_t>(npages()));
  }
  EXPECT_TRUE(pins_are(pins_before()));
  EXPECT_TRUE(move_to_vram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

// Somebody else's reference keeps a page in VRAM, so the pin must fail, and then it must hold nothing at all.
TEST_P(LongtermPinner, IsRefusedWhileSomebodyElseHoldsAPageInVram) {
  expect_refusals(GetParam());
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  GupHold other;
  ASSERT_EQ(hold(kGetFastRead, buffer.pages(npages() / 2, 1), &other), 0);
  EXPECT_EQ(pinner().hold(buffer.bytes()), EBUSY);
  EXPECT_TRUE(pins_are(pins_before()));
  EXPECT_EQ(oracle().home(buffer.page(npages() / 2)), PageHome::Vram);
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));

  ASSERT_EQ(other.release(), 0);
  ASSERT_EQ(pinner().hold(buffer.bytes()), 0) << "a failed attempt spoils nothing";
  EXPECT_TRUE(all_in_ram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

TEST_P(LongtermPinner, ReadOnlyMemoryIsHeldByReadersOnly) {
  expect_refusals(GetParam());
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  buffer.protect(0, npages(), PROT_READ);
  EXPECT_EQ(pinner().hold(buffer.bytes()), on_read_only_memory());
  if (on_read_only_memory() == 0) {
    EXPECT_TRUE(all_in_ram(buffer.bytes()));
  } else {
    EXPECT_TRUE(all_in_vram(buffer.bytes()));
    EXPECT_TRUE(pins_are(pins_before()));
  }
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

// Pages shared since fork: the holder needs the process's own, so the kernel unshares them, and a copy lies in RAM.
TEST_P(LongtermPinner, ForkSharedPagesAreCopiedForTheHolder) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  Child child([&](Peer& parent) {
    const bool told = parent.signal() && parent.await();
    const auto oracle = PageOracle::open();
    const bool kept = oracle.ok() && oracle.value().census(buffer.data(), npages()).vram == npages() &&
                      !find_mismatch(buffer.bytes(), kFirst);
    return told && parent.send(kept) ? 0 : 1;
  });
  ASSERT_TRUE(child.peer().await());
  const kfdlab_test_counters before = counters();
  ASSERT_EQ(pinner().hold(buffer.bytes()), 0);
  EXPECT_TRUE(all_in_ram(buffer.bytes()));
  EXPECT_TRUE(nothing_moved(before)) << "the pages in VRAM are the child's now";
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
  bool kept = false;
  ASSERT_TRUE(child.peer().signal() && child.peer().receive(&kept));
  EXPECT_TRUE(kept) << "what the parent holds is not the child's business";
}

std::vector<PinnerRow> pinners_that(bool PinnerRow::*can) {
  std::vector<PinnerRow> rows;
  std::ranges::copy_if(all_pinners(), std::back_inserter(rows), [can](const PinnerRow& row) { return row.*can; });
  return rows;
}

INSTANTIATE_TEST_SUITE_P(Every, LongtermPinner, testing::ValuesIn(all_pinners().begin(), all_pinners().end()),
                         row_name<PinnerRow>);
INSTANTIATE_TEST_SUITE_P(Every, LoadingPinner, testing::ValuesIn(pinners_that(&PinnerRow::loads)), row_name<PinnerRow>);
INSTANTIATE_TEST_SUITE_P(Every, StoringPinner, testing::ValuesIn(pinners_that(&PinnerRow::stores)), row_name<PinnerRow>);

}  // namespace
}  // namespace kfdlab::pins
