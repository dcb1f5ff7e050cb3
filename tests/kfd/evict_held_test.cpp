// SPDX-License-Identifier: MIT
// Pages that somebody holds stay where they are, byte for byte, and take exactly their own VRAM. The search for room
// goes on around them, and once released they leave like any other page.
#include <sys/mman.h>

#include <set>
#include <thread>

#include "tests/kfd/evict_fixture.h"

namespace kfdlab {
namespace {

class EvictHeld : public Evict {
 protected:
  // Every `step`th page of a buffer in a pipe, and the frames they are in.
  struct Held {
    PagePipe pipe;
    std::vector<std::size_t> pages;
    std::set<std::uint64_t> frames;
  };
  [[nodiscard]] Held hold_every(const Buffer& buffer, std::size_t step, std::size_t first = 0) const {
    Held held;
    for (std::size_t page = first; page < buffer.npages(); page += step) {
      EXPECT_TRUE(held.pipe.hold(buffer.pages(page, 1)));
      held.pages.push_back(page);
      held.frames.insert(oracle().frame(buffer.page(page)));
    }
    return held;
  }
  // The held pages, and only those, are where they were.
  void expect_exactly_held_in_vram(const Buffer& buffer, const Held& held) const {
    EXPECT_EQ(census(buffer), (PageCensus{.ram = buffer.npages() - held.pages.size(), .vram = held.pages.size()}));
    std::set<std::uint64_t> now;
    for (const std::size_t page : held.pages) {
      now.insert(oracle().frame(buffer.page(page)));
    }
    EXPECT_EQ(now, held.frames);
    EXPECT_EQ(contents(buffer), "");
  }
  static std::string wrong_in_pipe(Held* held, const Buffer& buffer, std::uint64_t seed) {
    const std::vector<std::byte> bytes = held->pipe.drain();
    std::string wrong;
    for (std::size_t i = 0; i < held->pages.size() && wrong.empty(); ++i) {
      wrong =
          pattern_error(std::span(bytes).subspan(i * kPageSize, kPageSize), buffer.page_address(held->pages[i]), seed);
    }
    return wrong;
  }
};

// Nobody wants the VRAM: the objects stay with TTM, each with the few pages that are held.
TEST_F(EvictHeld, VramOfThosePagesThatLeftIsFreeForTheirReturn) {
  const auto memory = in_vram(kLeft);
  Held held = hold_every(*memory, 100, 7);
  const std::size_t count = held.pages.size();
  const auto evicted = device().evict(gpu());
  ASSERT_TRUE(evicted.ok());
  EXPECT_EQ(evicted.value().moved, kLeft - count);
  expect_exactly_held_in_vram(*memory, held);
  EXPECT_EQ(orphans(), 0u);
  EXPECT_EQ(held_pages(), count);

  EXPECT_EQ(wrong_in_pipe(&held, *memory, kSeed), "");
  EXPECT_EQ(move_to_vram(*memory), all_vram(kLeft));
  EXPECT_EQ(held_pages(), kLeft);
  EXPECT_EQ(contents(*memory), "");
}

TEST_F(EvictHeld, HeldPagesKeepExactlyTheirVramAndEverythingElseIsReused) {
  constexpr std::size_t kStep = 100;
  VramUser other(gpu(), kLeft, kSeed + 1);
  const auto memory = in_vram(kLeft);
  Held held = hold_every(*memory, kStep, 7);
  const std::size_t count = held.pages.size();
  const std::vector<std::uint64_t> all = oracle().frames(memory->data(), kLeft);
  const std::uint64_t failed = counters().pages_failed;

  VramView view = other.to_vram();

  expect_exactly_held_in_vram(*memory, held);
  EXPECT_TRUE(view.fine()) << testing::PrintToString(view);
  EXPECT_EQ(view.census, (PageCensus{.ram = count, .vram = kLeft - count})) << "everything else is reused";
  std::set<std::uint64_t> used(other.frames().begin(), other.frames().end());
  std::size_t reused = 0;
  for (const std::uint64_t frame : all) {
    reused += used.contains(frame);
    EXPECT_FALSE(used.contains(frame) && held.frames.contains(frame)) << "frame " << frame << " has two owners";
  }
  EXPECT_EQ(reused, kLeft - count);
  EXPECT_EQ(counters().svm_pages_occupied, kLeft);
  EXPECT_EQ(held_pages(), kLeft) << "all of VRAM is held, no page of it twice";
  EXPECT_GT(orphans(), 0u);
  EXPECT_EQ(pages_evicted(), kLeft - count);
  EXPECT_GE(counters().pages_failed - failed, count);
  RecordProperty("held_pages", static_cast<int>(count));
  RecordProperty("orphan_blocks", static_cast<int>(orphans()));

  // Owner and holder still see the same bytes.
  fill_pattern(memory->bytes(), kSeed + 2);
  EXPECT_EQ(wrong_in_pipe(&held, *memory, kSeed + 2), "");

  view = other.to_vram();
  EXPECT_TRUE(view.all_vram()) << "released, they became evictable: " << testing::PrintToString(view);
  EXPECT_EQ(census(*memory), all_ram(kLeft));
  EXPECT_EQ(contents(*memory, kSeed + 2), "");
  EXPECT_EQ(orphans(), 0u);
  other.kill();
  EXPECT_TRUE(eventually([&] { return held_pages() == 0; })) << held_pages() << " pages of VRAM still held";
}

TEST_F(EvictHeld, OneHeldPageDoesNotEndTheSearchForRoom) {
  VramUser other(gpu(), kLeft, kSeed + 1);
  const auto memory = in_vram(kLeft);
  // In the block that TTM asks first.
  Held held = hold_every(*memory, kLeft, 5);
  const VramView view = other.to_vram();
  EXPECT_TRUE(view.fine()) << testing::PrintToString(view);
  EXPECT_GE(view.census.vram, kLeft - 512) << "the other blocks are all free";
  expect_exactly_held_in_vram(*memory, held);
  EXPECT_EQ(wrong_in_pipe(&held, *memory, kSeed), "");
}

TEST_F(EvictHeld, AllPagesHeldMakeAPrefetchMoveNothingAndSucceed) {
  constexpr std::size_t kPages = 256;  // as many as fit in a pipe
  leave(kPages);
  VramUser other(gpu(), 32, kSeed + 1);
  const auto memory = in_vram(kPages);
  Held held = hold_every(*memory, 1);
  ASSERT_EQ(held.pages.size(), kPages);

  VramView view = other.to_vram();
  EXPECT_TRUE(view.all_ram()) << testing::PrintToString(view);
  EXPECT_GT(counters().no_vram, start().no_vram);
  EXPECT_EQ(census(*memory), all_vram(kPages));

  EXPECT_EQ(wrong_in_pipe(&held, *memory, kSeed), "");
  view = other.to_vram();
  EXPECT_TRUE(view.all_vram()) << testing::PrintToString(view);
  EXPECT_EQ(contents(*memory), "");
}

// What the mm has forgotten the pipe still has; only the last reference makes the frame free.
TEST_F(EvictHeld, HeldPagesOutliveTheMemoryAndKeepTheirVram) {
  constexpr std::size_t kStep = 64;
  VramUser other(gpu(), kLeft, kSeed + 1);
  auto memory = in_vram(kLeft);
  Held held = hold_every(*memory, kStep);
  const std::uint64_t address = memory->address();
  memory.reset();
  EXPECT_EQ(counters().svm_pages_occupied, held.pages.size());

  VramView view = other.to_vram();
  EXPECT_EQ(view.census.vram, kLeft - held.pages.size());
  for (const std::uint64_t frame : other.frames()) {
    ASSERT_FALSE(held.frames.contains(frame));
  }
  const std::vector<std::byte> bytes = held.pipe.drain();
  for (std::size_t i = 0; i < held.pages.size(); ++i) {
    ASSERT_EQ(
        pattern_error(std::span(bytes).subspan(i * kPageSize, kPageSize), address + held.pages[i] * kPageSize, kSeed),
        "");
  }
  view = other.to_vram();
  EXPECT_TRUE(view.all_vram()) << testing::PrintToString(view);
}

TEST_F(EvictHeld, LockedPageStaysUntilItIsUnlocked) {
  VramUser other(gpu(), kLeft, kSeed + 1);
  const auto memory = in_vram(kLeft);
  const SharedWord word;
  int error = -1;
  std::thread holder([&] { error = hold_lock(KFDLAB_HOLD_PAGE, memory->page(33), word); });
  EXPECT_TRUE(eventually([&] { return word.get() == 1; }));
  const std::uint64_t frame = oracle().frame(memory->page(33));

  VramView view = other.to_vram();

  EXPECT_EQ(word.get(), 1u);
  EXPECT_EQ(oracle().frame(memory->page(33)), frame);
  EXPECT_EQ(census(*memory), (PageCensus{.ram = kLeft - 1, .vram = 1}));
  EXPECT_EQ(view.census, (PageCensus{.ram = 1, .vram = kLeft - 1}));
  EXPECT_EQ(contents(*memory), "");
  word.set(2);
  holder.join();
  EXPECT_EQ(error, 0);

  view = other.to_vram();
  EXPECT_TRUE(view.all_vram()) << testing::PrintToString(view);
  EXPECT_EQ(census(*memory), all_ram(kLeft));
  EXPECT_EQ(contents(*memory), "");
}

TEST_F(EvictHeld, MlockedPagesLeaveAndStayMlocked) {
  VramUser other(gpu(), kLeft, kSeed + 1);
  const auto memory = in_vram(kLeft);
  ASSERT_EQ(::mlock(memory->data(), memory->size()), 0);
  const VramView view = other.to_vram();
  EXPECT_TRUE(view.all_vram()) << testing::PrintToString(view);
  EXPECT_EQ(census(*memory), all_ram(kLeft));
  EXPECT_EQ(contents(*memory), "");
  ASSERT_EQ(::munlock(memory->data(), memory->size()), 0);
}

// A pipe in one process holds a page that another shares by fork: no mapping can be moved, in neither.
TEST_F(EvictHeld, HeldPageSharedByForkStaysForBoth) {
  VramUser other(gpu(), kLeft, kSeed + 1);
  const auto memory = in_vram(kLeft);
  Held held = hold_every(*memory, kLeft, 9);
  const std::uint64_t frame = *held.frames.begin();
  Child sharer([&](Peer& parent) {
    const auto own = PageOracle::open();
    return own.ok() && parent.await() && parent.send(own.value().frame(memory->page(9))) &&
                   parent.send(!find_mismatch(memory->bytes(), kSeed))
               ? 0
               : 1;
  });
  const VramView view = other.to_vram();
  EXPECT_TRUE(view.fine());
  std::uint64_t childs = 0;
  bool intact = false;
  ASSERT_TRUE(sharer.peer().signal() && sharer.peer().receive(&childs) && sharer.peer().receive(&intact));
  EXPECT_EQ(childs, frame);
  EXPECT_TRUE(intact);
  expect_exactly_held_in_vram(*memory, held);
}

}  // namespace
}  // namespace kfdlab
