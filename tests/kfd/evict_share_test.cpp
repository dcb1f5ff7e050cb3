// SPDX-License-Identifier: MIT
// Processes that share VRAM which is too small for them.
#include "tests/kfd/evict_fixture.h"

namespace kfdlab {
namespace {

class EvictShare : public Evict {
 protected:
  // Counters of the run, for the JSON.
  void record(const kfdlab_test_counters& now) {
    RecordProperty("ttm_evictions", std::to_string(now.evictions - start().evictions));
    RecordProperty("pages_evicted", std::to_string(now.pages_to_ram_evict - start().pages_to_ram_evict));
    RecordProperty("pages_to_vram", std::to_string(now.pages_to_vram - start().pages_to_vram));
    RecordProperty("pages_prefetched_to_ram",
                   std::to_string(now.pages_to_ram_prefetch - start().pages_to_ram_prefetch));
    RecordProperty("pages_taken_by_pins", std::to_string(now.pages_left_by_pin - start().pages_left_by_pin));
  }
};

TEST_F(EvictShare, TwoProcessesThatTogetherPrefetchThreeTimesVramComputeRightSums) {
  constexpr std::size_t kEach = kLeft * 3 / 2;
  constexpr unsigned kRounds = 2;
  VramUser first(gpu(), kEach, kSeed);
  VramUser second(gpu(), kEach, kSeed + 1);
  ASSERT_TRUE(first.start_sums(kLeft / 4, kRounds));
  ASSERT_TRUE(second.start_sums(kLeft / 4, kRounds));
  const VramView one = first.finish();
  const VramView two = second.finish();

  EXPECT_TRUE(one.fine()) << testing::PrintToString(one);
  EXPECT_TRUE(two.fine()) << testing::PrintToString(two);
  EXPECT_EQ(one.sum, kRounds * pattern_sum(first.address(), kEach * kPageSize, kSeed));
  EXPECT_EQ(two.sum, kRounds * pattern_sum(second.address(), kEach * kPageSize, kSeed + 1));
  EXPECT_EQ(first.look().census.vram + second.look().census.vram, counters().svm_pages_occupied);

  const kfdlab_test_counters now = counters();
  const std::uint64_t evicted = now.pages_to_ram_evict - start().pages_to_ram_evict;
  EXPECT_GE(now.evictions - start().evictions, 2 * kLeft / 512) << "TTM asked for it";
  EXPECT_GE(evicted, 2 * kLeft);
  EXPECT_EQ(now.pages_to_vram - start().pages_to_vram, evicted + now.svm_pages_occupied)
      << "eviction is the only way that pages left VRAM";
  EXPECT_EQ(now.pages_to_ram_prefetch, start().pages_to_ram_prefetch);
  EXPECT_EQ(now.pages_left_by_pin, start().pages_left_by_pin);
  record(now);
}

// What a prefetch brought it does not push out again: of more than fits, the beginning is in VRAM. The next call may.
TEST_F(EvictShare, OneProcessMayNeedMoreThanAllOfVram) {
  constexpr std::size_t kPages = 3 * kLeft;
  VramUser user(gpu(), kPages, kSeed);
  ASSERT_TRUE(user.start_sums(kPages, 1));
  VramView view = user.finish();
  EXPECT_TRUE(view.fine()) << testing::PrintToString(view);
  EXPECT_EQ(view.sum, pattern_sum(user.address(), kPages * kPageSize, kSeed));
  EXPECT_EQ(view.census, (PageCensus{.ram = kPages - kLeft, .vram = kLeft}));
  EXPECT_EQ(pages_evicted(), 0u);
  EXPECT_EQ(held_pages(), kLeft);

  ASSERT_TRUE(user.start_sums(kLeft, 1));
  view = user.finish();
  EXPECT_TRUE(view.fine()) << testing::PrintToString(view);
  EXPECT_EQ(view.census, (PageCensus{.ram = kPages - kLeft, .vram = kLeft}));
  EXPECT_EQ(pages_evicted(), kPages - kLeft) << "the first third made room for the second, that for the last";
  EXPECT_EQ(held_pages(), kLeft);
}

TEST_F(EvictShare, VramHeldAddsUpWhileEightProcessesTakeItFromEachOther) {
  constexpr std::size_t kEach = kLeft / 2;
  std::vector<std::unique_ptr<VramUser>> users;
  for (std::uint64_t i = 0; i < 8; ++i) {
    users.push_back(std::make_unique<VramUser>(gpu(), kEach, kSeed + i));
  }
  for (const auto& user : users) {
    ASSERT_TRUE(user->start_sums(kEach / 4, 1));
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_LE(held_pages(), kLeft);
    EXPECT_LE(counters().svm_pages_occupied, kLeft);
  }
  std::size_t in_vram = 0;
  for (std::uint64_t i = 0; i < users.size(); ++i) {
    const VramView view = users[i]->finish();
    EXPECT_TRUE(view.fine()) << testing::PrintToString(view);
    EXPECT_EQ(view.sum, pattern_sum(users[i]->address(), kEach * kPageSize, kSeed + i));
  }
  for (const auto& user : users) {
    in_vram += user->look().census.vram;
  }
  EXPECT_EQ(counters().svm_pages_occupied, in_vram);
  users.clear();
  EXPECT_TRUE(eventually([&] { return held_pages() == 0; }));
}

}  // namespace
}  // namespace kfdlab
