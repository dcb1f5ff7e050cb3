// SPDX-License-Identifier: MIT
// The witnesses of tests/support/pages.h agree. Everything else in the suites trusts the first of them alone.
#include "tests/gup/gup_fixture.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

GUP_TEST(PageOracle, AllWitnessesAgreeOnEveryPage) {
  // Runs of VRAM, RAM and nothing of lengths that meet no boundary.
  Buffer buffer(640);
  fill_pattern(buffer.pages(0, 500), kFirst);
  ASSERT_TRUE(move_to_vram(buffer.pages(3, 300)));
  const std::vector<PageHome> homes = oracle().homes(buffer.data(), buffer.npages());
  auto pages = device().pages(buffer.data(), buffer.npages());
  ASSERT_TRUE(pages.ok()) << pages.error().message;

  for (std::size_t i = 0; i < buffer.npages(); ++i) {
    const PageHome expected = i >= 500 ? PageHome::None : i >= 3 && i < 303 ? PageHome::Vram : PageHome::Ram;
    ASSERT_EQ(homes[i], expected) << "page " << i;
    const kfdlab_page& page = pages.value()[i];
    const bool vram = expected == PageHome::Vram;
    ASSERT_EQ((page.flags & KFDLAB_PAGE_PRESENT) != 0, expected != PageHome::None) << "page " << i;
    ASSERT_EQ((page.flags & KFDLAB_PAGE_VRAM) != 0, vram) << "page " << i;
    ASSERT_EQ(page.gpu_id, vram ? gpu_id() : 0) << "page " << i;
    ASSERT_EQ(page.pfn, oracle().frame(buffer.page(i))) << "page " << i;
  }
  EXPECT_EQ(census(buffer.bytes()), (PageCensus{140, 200, 300}));
  EXPECT_EQ(numa_maps_pages(buffer.data()), 200u) << "numa_maps counts the pages in RAM only";
}

GUP_TEST(PageOracle, LookingMovesAndHoldsNothing) {
  Buffer buffer(64);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const kfdlab_test_counters before = counters();
  for (int look = 0; look < 3; ++look) {
    auto pages = device().pages(buffer.data(), buffer.npages());
    ASSERT_TRUE(pages.ok()) << pages.error().message;
    for (const kfdlab_page& page : pages.value()) {
      ASSERT_EQ(page.mapcount, 1u);
      ASSERT_EQ(page.refcount, 1u) << "a device page nobody holds has one reference per mapping";
      ASSERT_NE(page.flags & KFDLAB_PAGE_EXCLUSIVE, 0u);
      ASSERT_EQ(page.flags & KFDLAB_PAGE_LRU, 0u);
    }
    ASSERT_TRUE(all_in_vram(buffer.bytes()));
  }
  EXPECT_EQ(counters().svm_pages_occupied, before.svm_pages_occupied);
  EXPECT_EQ(evict().moved, buffer.npages());
}

}  // namespace
}  // namespace kfdlab
