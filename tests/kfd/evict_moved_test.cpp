// SPDX-License-Identifier: MIT
// Eviction looks for pages where they were when they came. mremap() may have taken them elsewhere, and something else
// may be there by now, which is none of its business.
#include <sys/mman.h>

#include <cerrno>

#include "tests/kfd/evict_fixture.h"
#include "tests/kfd/text_files.h"

namespace kfdlab {
namespace {

constexpr std::size_t kPages = 512;  // one block, and one huge page

class EvictMoved : public Evict {
 protected:
  // Takes the pages of `from` to the place of `to`, and maps fresh memory where they were.
  static void swap_places(const Buffer& from, const Buffer& to) {
    ASSERT_EQ(::mremap(from.data(), from.size(), from.size(), MREMAP_MAYMOVE | MREMAP_FIXED, to.data()), to.data());
    ASSERT_EQ(::mmap(from.data(), from.size(), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
              from.data());
  }
};

TEST_F(EvictMoved, HugePageWherePagesOfVramCameFromStaysWhole) {
  const auto memory = in_vram(kPages);
  const Buffer elsewhere(kPages);
  swap_places(*memory, elsewhere);
  ASSERT_EQ(::madvise(memory->data(), memory->size(), MADV_HUGEPAGE), 0);
  fill_pattern(memory->bytes(), kSeed + 1);
  KFDLAB_NEEDS(huge_pages_at(memory->data()) == kPages, "no transparent huge page could be had");

  const auto evicted = device().evict(gpu());
  ASSERT_TRUE(evicted.ok());
  EXPECT_EQ(evicted.value().moved, kPages);
  EXPECT_EQ(evicted.value().stayed, 0u);
  EXPECT_EQ(census(elsewhere), all_ram(kPages));
  EXPECT_EQ(pattern_error(elsewhere.bytes(), memory->address(), kSeed), "");
  EXPECT_EQ(huge_pages_at(memory->data()), kPages);
  EXPECT_EQ(contents(*memory, kSeed + 1), "");
}

// The two blocks trade places: each is looked for where the other one is.
TEST_F(EvictMoved, BlocksThatTradedPlacesLeaveAllTheSame) {
  const auto first = in_vram(kPages);
  const auto second = in_vram(kPages, kSeed + 1);
  const Buffer between(kPages);
  const auto move = [](const Buffer& from, const Buffer& to) {
    EXPECT_EQ(::mremap(from.data(), from.size(), from.size(), MREMAP_MAYMOVE | MREMAP_FIXED, to.data()), to.data());
  };
  move(*first, between);
  move(*second, *first);
  move(between, *second);
  ASSERT_EQ(census(*first), all_vram(kPages));
  ASSERT_EQ(census(*second), all_vram(kPages));

  const auto pressure = press();

  EXPECT_EQ(pages_evicted(), 2 * kPages);
  EXPECT_EQ(orphans(), 0u);
  EXPECT_EQ(census(*first), all_ram(kPages));
  EXPECT_EQ(census(*second), all_ram(kPages));
  EXPECT_EQ(pattern_error(first->bytes(), second->address(), kSeed + 1), "");
  EXPECT_EQ(pattern_error(second->bytes(), first->address(), kSeed), "");
}

// Half of a block went elsewhere, and pages of RAM came in its place: the half that is left goes, the rest does too.
TEST_F(EvictMoved, BlockThatIsInTwoPlacesLeavesBoth) {
  const auto memory = in_vram(kPages);
  const Buffer elsewhere(kPages / 2);
  ASSERT_EQ(::mremap(memory->page(kPages / 4), elsewhere.size(), elsewhere.size(), MREMAP_MAYMOVE | MREMAP_FIXED,
                     elsewhere.data()),
            elsewhere.data());
  ASSERT_EQ(::mmap(memory->page(kPages / 4), elsewhere.size(), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
            memory->page(kPages / 4));
  fill_pattern(memory->pages(kPages / 4, kPages / 2), kSeed);

  const auto evicted = device().evict(gpu());
  ASSERT_TRUE(evicted.ok());
  EXPECT_EQ(evicted.value().moved, kPages);
  EXPECT_EQ(evicted.value().stayed, 0u);
  EXPECT_EQ(census(*memory), all_ram(kPages));
  EXPECT_EQ(census(elsewhere), all_ram(kPages / 2));
  EXPECT_EQ(contents(*memory), "");
  EXPECT_EQ(pattern_error(elsewhere.bytes(), memory->page_address(kPages / 4), kSeed), "");
}

}  // namespace
}  // namespace kfdlab
