// SPDX-License-Identifier: MIT
// The rules of who only visits a page: one that is this process's alone stays in VRAM, in its very frame, and the bytes
// are right. Pages shared since fork stay shared for a plain reference that reads, and are copied for the others.
#include <cerrno>

#include "tests/pins/guest.h"
#include "tests/pins/pins_fixture.h"
#include "tests/pins/visitor.h"
#include "tests/support/child.h"
#include "tests/support/needs.h"
#include "tests/support/page_pipe.h"
#include "tests/support/pattern.h"

namespace kfdlab::pins {
namespace {

class VramVisitor : public PinsTest, public testing::WithParamInterface<VisitorRow> {
 protected:
  void SetUp() override {
    PinsTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    auto made = GetParam().make();
    KFDLAB_NEEDS(made.ok(), made.error().message);
    visitor_ = made.take();
  }
  void TearDown() override {
    visitor_.reset();
    PinsTest::TearDown();
  }
  [[nodiscard]] std::size_t npages() const { return GetParam().npages; }
  // Visits, and compares what was read or written with what the process sees.
  void visit(const Buffer& buffer, std::uint64_t seed) {
    std::vector<std::byte> expected(buffer.bytes().begin(), buffer.bytes().end());
    const auto moved = visitor_->visit(buffer.bytes(), seed);
    ASSERT_TRUE(moved.ok()) << moved.error().message;
    if (GetParam().writes) {
      overlay(expected, moved.value());
    }
    EXPECT_EQ(difference(buffer.bytes(), moved.value()), "");
    EXPECT_EQ(first_difference(expected, buffer.bytes()), "");
  }

 private:
  std::unique_ptr<Visitor> visitor_;
};

TEST_P(VramVisitor, LeavesExclusivePagesWhereTheyAre) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const auto there = frames(buffer.bytes());
  const kfdlab_test_counters before = counters();
  const std::int64_t pins = outstanding_pins();

  ASSERT_NO_FATAL_FAILURE(visit(buffer, kSecond));

  EXPECT_TRUE(all_in_vram(buffer.bytes()));
  EXPECT_EQ(frames(buffer.bytes()), there);
  EXPECT_TRUE(nothing_moved(before));
  EXPECT_TRUE(pins_are(pins));
}

TEST_P(VramVisitor, LeavesNothingThatKeepsPagesFromMoving) {
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  ASSERT_NO_FATAL_FAILURE(visit(buffer, kSecond));
  const std::vector<std::byte> expected(buffer.bytes().begin(), buffer.bytes().end());

  EXPECT_EQ(prefetch_to_ram(buffer.bytes()), 0);
  EXPECT_TRUE(all_in_ram(buffer.bytes()));
  EXPECT_EQ(first_difference(expected, buffer.bytes()), "");
  ASSERT_NO_FATAL_FAILURE(visit(buffer, kFirst)) << "in RAM";
  EXPECT_TRUE(move_to_vram(buffer.bytes()));
  ASSERT_NO_FATAL_FAILURE(visit(buffer, kSecond)) << "in VRAM again";
  EXPECT_EQ(evict().moved, npages());
}

TEST_P(VramVisitor, ForkSharedPagesStayOrAreCopied) {
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
  const auto there = frames(buffer.bytes());
  const kfdlab_test_counters before = counters();
  const Shared shared =
      kernel_at_least(6, 12) ? GetParam().shared : GetParam().shared_6_1.value_or(GetParam().shared);

  ASSERT_NO_FATAL_FAILURE(visit(buffer, kSecond));

  if (shared == Shared::Stay) {
    EXPECT_EQ(frames(buffer.bytes()), there);
  } else {
    EXPECT_TRUE(all_in_ram(buffer.bytes()));
  }
  EXPECT_TRUE(nothing_moved(before)) << "the pages in VRAM stay there, for the child";
  bool kept = false;
  ASSERT_TRUE(child.peer().signal() && child.peer().receive(&kept));
  EXPECT_TRUE(kept) << "the child's pages are not the visitor's";
}

INSTANTIATE_TEST_SUITE_P(Every, VramVisitor, testing::ValuesIn(all_visitors().begin(), all_visitors().end()),
                         row_name<VisitorRow>);

class VisitorTime : public PinsTest {};

// A pipe is a plain reference without limit of time: until it is read, the page can neither leave VRAM nor be held for long.
TEST_F(VisitorTime, PipeKeepsItsPagesInVramUntilItIsRead) {
  Buffer buffer(8);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  PagePipe pipe;
  ASSERT_TRUE(pipe.hold(buffer.pages(2, 3)));

  const TestDevice::Evicted evicted = evict();
  EXPECT_EQ(evicted.moved, 5u);
  EXPECT_EQ(evicted.stayed, 3u);
  EXPECT_TRUE(all_in_vram(buffer.pages(2, 3)));
  EXPECT_EQ(prefetch_to_ram(buffer.bytes()), 0) << "a held page is no error of the caller";
  EXPECT_TRUE(all_in_vram(buffer.pages(2, 3)));
  GupHold held;
  EXPECT_EQ(hold(kPinFastLongtermWrite, buffer.pages(2, 3), &held), EBUSY);

  // What the pipe has is the page, not its contents at that time.
  fill_pattern(buffer.bytes(), kSecond);
  EXPECT_EQ(pattern_error(pipe.drain(), buffer.page_address(2), kSecond), "");
  EXPECT_EQ(evict().moved, 3u);
  EXPECT_TRUE(all_in_ram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kSecond));
}

// A guest follows its memory: what moves is unmapped from it first, and found again.
TEST_F(VisitorTime, GuestFollowsItsPagesThroughEveryMove) {
  auto guest = Guest::open();
  KFDLAB_NEEDS(guest.ok(), guest.error().message);
  Buffer buffer(Guest::kPages);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  ASSERT_TRUE(guest.value().map(buffer.bytes()).ok());
  const auto guest_sees = [&](std::uint64_t seed) {
    const Status copied = guest.value().copy(true);
    return copied.ok() ? pattern_error(guest.value().plain(), buffer.address(), seed) : copied.error().message;
  };
  EXPECT_EQ(guest_sees(kFirst), "");
  EXPECT_EQ(evict().moved, buffer.npages()) << "a guest holds nothing";
  EXPECT_EQ(guest_sees(kFirst), "") << "in RAM";
  fill_pattern(guest.value().plain(), buffer.address(), kSecond);
  ASSERT_TRUE(guest.value().copy(false).ok());
  EXPECT_TRUE(intact(buffer.bytes(), kSecond));
  EXPECT_TRUE(move_to_vram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kSecond)) << "what the guest wrote went along";
  EXPECT_EQ(guest_sees(kSecond), "") << "in VRAM again";
  fill_pattern(guest.value().plain(), buffer.address(), kFirst);
  ASSERT_TRUE(guest.value().copy(false).ok());
  EXPECT_TRUE(all_in_vram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));

  GupHold held;
  ASSERT_EQ(hold(kPinFastLongtermWrite, buffer.bytes(), &held), 0);
  EXPECT_TRUE(all_in_ram(buffer.bytes()));
  EXPECT_EQ(guest_sees(kFirst), "") << "in RAM because of a pin";
}

}  // namespace
}  // namespace kfdlab::pins
