// SPDX-License-Identifier: MIT
// Ranges that are not simply eight pages in VRAM: mixed homes, holes, protections, mlock. The rule stays what it is
// page by page, and a call that cannot have everything leaves nothing behind.
#include <sys/mman.h>

#include <cerrno>

#include "tests/gup/gup_fixture.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

// Page 3k is in VRAM, 3k+1 in RAM, 3k+2 has never been touched.
constexpr std::size_t kTriples = 3;
constexpr std::size_t kMixedPages = 3 * kTriples;

class MixedBuffer {
 public:
  MixedBuffer() : buffer_(kMixedPages) {
    for (std::size_t i = 0; i < kMixedPages; i += 3) {
      fill_pattern(buffer_.pages(i, 2), kFirst);
    }
  }
  [[nodiscard]] const Buffer& buffer() const { return buffer_; }
  [[nodiscard]] std::span<std::byte> vram(std::size_t triple) const { return buffer_.pages(3 * triple, 1); }
  [[nodiscard]] std::span<std::byte> ram(std::size_t triple) const { return buffer_.pages(3 * triple + 1, 1); }
  [[nodiscard]] std::span<std::byte> hole(std::size_t triple) const { return buffer_.pages(3 * triple + 2, 1); }
  // What the process wrote, and zeros where it wrote nothing.
  [[nodiscard]] std::string error() const {
    for (std::size_t i = 0; i < kTriples; ++i) {
      std::string wrong = pattern_error(buffer_.pages(3 * i, 2), kFirst);
      for (const std::byte byte : hole(i)) {
        wrong += byte == std::byte{0} || !wrong.empty() ? "" : "a page never written is not zero";
      }
      if (!wrong.empty()) {
        return wrong;
      }
    }
    return {};
  }

 private:
  Buffer buffer_;
};

GUP_TEST_EACH(GupPin, LongtermMovesOnlyTheVramPagesOfAMixedRange, longterm_pins) {
  const MixedBuffer mixed;
  std::uint64_t ram_frames[kTriples];
  for (std::size_t i = 0; i < kTriples; ++i) {
    ASSERT_TRUE(move_to_vram(mixed.vram(i)));
    ram_frames[i] = oracle().frame(mixed.ram(i).data());
  }
  ASSERT_EQ(census(mixed.buffer().bytes()), (PageCensus{kTriples, kTriples, kTriples}));
  const kfdlab_test_counters before = counters();

  GupHold held;
  ASSERT_EQ(hold(flavour(), mixed.buffer().bytes(), &held), 0);

  EXPECT_TRUE(departed(held, mixed.buffer().bytes(), kTriples, before));
  for (std::size_t i = 0; i < kTriples; ++i) {
    EXPECT_EQ(oracle().frame(mixed.ram(i).data()), ram_frames[i]) << "a RAM page has no reason to move";
  }
  EXPECT_EQ(mixed.error(), "");
}

GUP_TEST_EACH(GupPin, OrdinaryLeavesAMixedRangeWhereItIs, ordinary_flavours) {
  const MixedBuffer mixed;
  for (std::size_t i = 0; i < kTriples; ++i) {
    ASSERT_TRUE(move_to_vram(mixed.vram(i)));
  }
  const kfdlab_test_counters before = counters();

  GupHold held;
  ASSERT_EQ(hold(flavour(), mixed.buffer().bytes(), &held), 0);

  // Without faults the call ends at the first hole.
  EXPECT_EQ(held.npages(), flavour().faults() ? kMixedPages : 2);
  EXPECT_EQ(held.vram(), flavour().faults() ? kTriples : 1);
  for (std::size_t i = 0; i < kTriples; ++i) {
    EXPECT_TRUE(all_in_vram(mixed.vram(i)));
    EXPECT_TRUE(all_in_ram(mixed.ram(i)));
    EXPECT_EQ(oracle().home(mixed.hole(i).data()), flavour().faults() ? PageHome::Ram : PageHome::None);
  }
  EXPECT_EQ(counters().pages_left_by_pin, before.pages_left_by_pin);
  EXPECT_EQ(mixed.error(), "");
}

GUP_TEST_EACH(GupPin, LongtermShortCountMovesWhatItHolds, longterm_pins) {
  Buffer buffer(8);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  buffer.unmap(5, 3);
  const kfdlab_test_counters before = counters();

  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);

  EXPECT_TRUE(departed(held, buffer.pages(0, 5), 5, before));
  EXPECT_TRUE(intact(buffer.pages(0, 5), kFirst));
  EXPECT_TRUE(intact_through(held, buffer.pages(0, 5), kFirst));
}

GUP_TEST_EACH(GupPin, OrdinaryShortCountLeavesWhatItHolds, ordinary_flavours) {
  Buffer buffer(8);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  buffer.unmap(5, 3);
  const kfdlab_test_counters before = counters();

  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);

  EXPECT_TRUE(stayed(held, buffer.pages(0, 5), before));
  EXPECT_TRUE(intact_through(held, buffer.pages(0, 5), kFirst));
}

// What a call that can have no page at all answers: an error, or zero pages from the one that never faults.
void expect_nothing_held(const GupFlavour& flavour, int error, const GupHold& held) {
  if (flavour.faults()) {
    EXPECT_EQ(error, EFAULT);
    EXPECT_FALSE(held.held());
  } else {
    EXPECT_EQ(error, 0);
    EXPECT_EQ(held.npages(), 0u);
  }
}

GUP_TEST_EACH(GupPin, HoleInFrontFailsAndMovesNothing, every_flavour) {
  Buffer buffer(8);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  buffer.unmap(0, 1);
  const kfdlab_test_counters before = counters();

  GupHold held;
  const int error = hold(flavour(), buffer.bytes(), &held);

  expect_nothing_held(flavour(), error, held);
  EXPECT_TRUE(all_in_vram(buffer.pages(1, 7)));
  EXPECT_EQ(counters().pages_left_by_pin, before.pages_left_by_pin);
  EXPECT_TRUE(intact(buffer.pages(1, 7), kFirst));
}

GUP_TEST_EACH(GupPin, LongtermMovesReadOnlyPages, longterm_read_pins) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  buffer.protect(0, npages(), PROT_READ);
  const kfdlab_test_counters before = counters();

  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);

  EXPECT_TRUE(departed(held, buffer.bytes(), npages(), before));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
  EXPECT_TRUE(intact_through(held, buffer.bytes(), kFirst));
}

GUP_TEST_EACH(GupPin, OrdinaryLeavesReadOnlyPagesInVram, ordinary_read_flavours) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  buffer.protect(0, npages(), PROT_READ);
  const kfdlab_test_counters before = counters();

  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);
  EXPECT_TRUE(stayed(held, buffer.bytes(), before));
  EXPECT_TRUE(intact_through(held, buffer.bytes(), kFirst));
}

GUP_TEST_EACH(GupPin, WritingToReadOnlyPagesFailsAndMovesNothing, writing_flavours) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  buffer.protect(0, npages(), PROT_READ);
  const kfdlab_test_counters before = counters();

  GupHold held;
  const int error = hold(flavour(), buffer.bytes(), &held);

  expect_nothing_held(flavour(), error, held);
  EXPECT_TRUE(all_in_vram(buffer.bytes()));
  EXPECT_EQ(counters().pages_left_by_pin, before.pages_left_by_pin);
}

GUP_TEST_EACH(GupPin, PagesWithoutAccessCannotBeHeld, every_flavour) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  buffer.protect(0, npages(), PROT_NONE);

  GupHold held;
  const int error = hold(flavour(), buffer.bytes(), &held);

  expect_nothing_held(flavour(), error, held);
  buffer.protect(0, npages(), PROT_READ | PROT_WRITE);
  EXPECT_TRUE(all_in_vram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

GUP_TEST_EACH(GupPin, LongtermMovesMlockedPages, longterm_pins) {
  Buffer buffer(npages());
  ASSERT_EQ(::mlock(buffer.data(), buffer.size()), 0);
  ASSERT_TRUE(fill_in_vram(buffer.bytes())) << "mlock keeps pages resident, not in place";
  const kfdlab_test_counters before = counters();

  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);

  EXPECT_TRUE(departed(held, buffer.bytes(), npages(), before));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

GUP_TEST_EACH(GupPin, OrdinaryLeavesMlockedPagesInVram, ordinary_flavours) {
  Buffer buffer(npages());
  ASSERT_EQ(::mlock(buffer.data(), buffer.size()), 0);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const kfdlab_test_counters before = counters();

  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);
  EXPECT_TRUE(stayed(held, buffer.bytes(), before));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

}  // namespace
}  // namespace kfdlab
