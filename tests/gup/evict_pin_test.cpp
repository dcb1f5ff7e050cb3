// SPDX-License-Identifier: MIT
// Page references against eviction by TTM: while another process fills the rest of VRAM, whoever holds pages keeps
// them, byte for byte, and nobody else gets their frames. Released, they leave like any other page.
#include <algorithm>
#include <cerrno>
#include <set>

#include "tests/gup/gup_fixture.h"
#include "tests/support/needs.h"
#include "tests/support/page_pipe.h"
#include "tests/support/pattern.h"
#include "tests/support/vram_user.h"

namespace kfdlab {
namespace {

constexpr std::size_t kLeft = 512;  // pages of VRAM that are not reserved
constexpr std::size_t kHeld = 8;
constexpr std::uint64_t kOther = 9;  // seed of the process that wants the room

class EvictPinTest : public GupTest {
 protected:
  void SetUp() override {
    GupTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    const kfdlab_test_counters now = counters();
    ASSERT_EQ(device().reserve(gpu_id(), now.vram_size - now.vram_held - kLeft * kPageSize), 0);
    start_ = counters();
  }
  [[nodiscard]] std::uint64_t held_pages() const { return (counters().vram_held - start_.vram_held) / kPageSize; }
  [[nodiscard]] std::set<std::uint64_t> frames(Pages pages) const {
    const std::vector<std::uint64_t> frames = oracle().frames(pages.data(), count(pages));
    return {frames.begin(), frames.end()};
  }
  // The other process has all of VRAM but the held pages, and none of their frames.
  void expect_all_but(const VramUser& other, const VramView& view, const std::set<std::uint64_t>& held) const {
    EXPECT_TRUE(view.fine()) << testing::PrintToString(view);
    EXPECT_EQ(view.census.vram, kLeft - held.size());
    EXPECT_EQ(held_pages(), kLeft);
    EXPECT_TRUE(std::none_of(other.frames().begin(), other.frames().end(), [&](std::uint64_t frame) {
      return held.contains(frame);
    })) << "a frame that is held was handed out again";
  }
  [[nodiscard]] const kfdlab_test_counters& start() const { return start_; }

 private:
  kfdlab_test_counters start_{};
};

// GupEvict.<rule>/<flavour>, and without a flavour.
#define EVICT_PIN_TEST_EACH(rule, selection)                                                   \
  class GupEvict_##rule : public EvictPinTest {                                                \
    void TestBody() override;                                                                  \
  };                                                                                           \
  [[maybe_unused]] const bool GupEvict_##rule##_registered =                                   \
      register_gup_tests<GupEvict_##rule>("GupEvict", #rule, selection(), __FILE__, __LINE__); \
  void GupEvict_##rule::TestBody()

std::vector<GupCase> nothing_special() { return {{kPinFastWrite, kHeld, "pin_fast_write"}}; }

// One of each kind of reference; the mm side of the others is the same.
std::vector<GupCase> short_term() {
  std::vector<GupCase> cases;
  for (const GupFlavour& flavour : {kGetFastRead, kPinFastWrite, GupFlavour{KFDLAB_GUP_SLOW, KFDLAB_GUP_PIN},
                                    GupFlavour{KFDLAB_GUP_REMOTE, KFDLAB_GUP_WRITE}}) {
    cases.push_back({flavour, kHeld, flavour.name()});
  }
  return cases;
}

EVICT_PIN_TEST_EACH(ShortTermHoldKeepsItsPagesWhileAnotherFillsTheRestOfVram, short_term) {
  VramUser other(gpu_id(), kLeft, kOther);
  Buffer buffer(kLeft / 2);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.pages(100, kHeld), &held), 0);
  const std::set<std::uint64_t> where = frames(buffer.pages(100, kHeld));

  VramView view = other.to_vram();

  expect_all_but(other, view, where);
  EXPECT_EQ(frames(buffer.pages(100, kHeld)), where);
  EXPECT_TRUE(all_in_ram(buffer.pages(0, 100)));
  EXPECT_TRUE(all_in_ram(buffer.pages(100 + kHeld, kLeft / 2 - 100 - kHeld)));
  EXPECT_GT(counters().evictions, start().evictions);
  EXPECT_GT(counters().orphan_blocks, start().orphan_blocks);
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
  EXPECT_TRUE(intact_through(held, buffer.pages(100, kHeld), kFirst));
  fill_pattern(buffer.bytes(), kSecond);
  EXPECT_TRUE(intact_through(held, buffer.pages(100, kHeld), kSecond)) << "still the process's own pages";

  ASSERT_EQ(held.release(), 0);
  view = other.to_vram();
  EXPECT_TRUE(view.all_vram()) << "released, they became evictable: " << testing::PrintToString(view);
  EXPECT_TRUE(all_in_ram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kSecond));
  EXPECT_EQ(counters().orphan_blocks, start().orphan_blocks);
  other.kill();
  EXPECT_TRUE(eventually([&] { return held_pages() == 0; }));
}

// A long-term pin takes its pages out of VRAM before it has them, so it never stands in the way of an eviction.
EVICT_PIN_TEST_EACH(LongtermPinnedPagesLeaveAllOfVramToOthers, nothing_special) {
  VramUser other(gpu_id(), kLeft, kOther);
  Buffer buffer(kLeft / 2);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  GupHold held;
  ASSERT_EQ(hold(kPinFastLongtermWrite, buffer.bytes(), &held), 0);
  EXPECT_EQ(held_pages(), 0u) << "a long-term pin holds no VRAM";
  const VramView view = other.to_vram();
  EXPECT_TRUE(view.all_vram()) << testing::PrintToString(view);
  EXPECT_EQ(counters().orphan_blocks, start().orphan_blocks);
  EXPECT_EQ(counters().evictions, start().evictions);
  EXPECT_TRUE(intact_through(held, buffer.bytes(), kFirst));
}

// Pages that somebody else holds cannot leave for a long-term pin either: the attempt fails, changes nothing, and a
// process that tries again and again does not keep its pages from being evicted once they are free.
EVICT_PIN_TEST_EACH(FailedLongtermAttemptsNeitherMoveNorStrandHeldPages, nothing_special) {
  VramUser other(gpu_id(), kLeft, kOther);
  Buffer buffer(kLeft / 2);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  GupHold first;
  ASSERT_EQ(hold(kGetFastRead, buffer.pages(3, kHeld), &first), 0);
  const std::set<std::uint64_t> where = frames(buffer.pages(3, kHeld));
  for (int attempt = 0; attempt < 3; ++attempt) {
    GupHold longterm;
    EXPECT_EQ(hold(kPinFastLongtermWrite, buffer.pages(3, kHeld), &longterm), EBUSY);
    const VramView view = other.to_vram();
    expect_all_but(other, view, where);
    EXPECT_EQ(frames(buffer.pages(3, kHeld)), where);
  }
  EXPECT_TRUE(intact_through(first, buffer.pages(3, kHeld), kFirst));
  ASSERT_EQ(first.release(), 0);
  EXPECT_TRUE(other.to_vram().all_vram());
  EXPECT_TRUE(all_in_ram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

EVICT_PIN_TEST_EACH(VmsplicedPagesKeepTheirBytesWhileAnotherFillsTheRestOfVram, nothing_special) {
  VramUser other(gpu_id(), kLeft, kOther);
  Buffer buffer(kLeft);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  PagePipe pipe;
  ASSERT_TRUE(pipe.hold(buffer.pages(200, 64)));
  const std::set<std::uint64_t> where = frames(buffer.pages(200, 64));
  expect_all_but(other, other.to_vram(), where);
  EXPECT_EQ(frames(buffer.pages(200, 64)), where);
  fill_pattern(buffer.bytes(), kSecond);
  EXPECT_EQ(pattern_error(pipe.drain(), buffer.page_address(200), kSecond), "");
  EXPECT_TRUE(other.to_vram().all_vram());
  EXPECT_TRUE(all_in_ram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kSecond));
}

EVICT_PIN_TEST_EACH(HoldThatOutlivesTheOwnerKeepsExactlyItsVram, nothing_special) {
  VramUser other(gpu_id(), kLeft, kOther);
  VramUser owner(gpu_id(), kLeft, kFirst);
  ASSERT_TRUE(owner.to_vram().all_vram());
  std::byte* const start = owner.data() + 50 * kPageSize;
  GupHold held;
  ASSERT_EQ(gup().hold({KFDLAB_GUP_REMOTE, KFDLAB_GUP_PIN | KFDLAB_GUP_WRITE}, start, kHeld, &held, owner.pid()), 0);
  ASSERT_EQ(held.vram(), kHeld);
  const std::set<std::uint64_t> where(owner.frames().begin() + 50, owner.frames().begin() + 50 + kHeld);
  owner.kill();
  EXPECT_TRUE(eventually([&] { return counters().svm_pages_occupied == kHeld; }));

  expect_all_but(other, other.to_vram(), where);
  EXPECT_TRUE(intact_through(held, {start, kHeld * kPageSize}, kFirst));
  ASSERT_EQ(held.release(), 0);
  EXPECT_TRUE(other.to_vram().all_vram());
}

}  // namespace
}  // namespace kfdlab
