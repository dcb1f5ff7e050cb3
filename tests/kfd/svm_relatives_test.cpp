// SPDX-License-Identifier: MIT
// What KSM does to a relative's memory, seen from a process that prefetches its own.
#include <sys/mman.h>

#include <set>
#include <string>
#include <vector>

#include "tests/kfd/merging.h"
#include "tests/kfd/svm_fixture.h"
#include "tests/support/child.h"
#include "uapi/kfdlab_test.h"

namespace kfdlab {
namespace {

constexpr uint64_t kSeed = 11;

class SvmRelatives : public SvmTest, public ::testing::WithParamInterface<int> {
 protected:
  // Pages of ours that KSM made merged ones.
  [[nodiscard]] std::set<std::size_t> merged_pages(const Buffer& buffer) const {
    std::set<std::size_t> merged;
    const auto pages = device().pages(buffer.data(), buffer.npages());
    for (std::size_t page = 0; pages.ok() && page < buffer.npages(); ++page) {
      if ((pages.value()[page].flags & KFDLAB_PAGE_KSM) != 0) {
        merged.insert(page);
      }
    }
    return merged;
  }
};

// When a child registers for merging, KSM makes pages that it shares with us merged ones in place. Our mapping of them
// is in no list of KSM's: collected by page table it would keep its migration entry for ever, and touching that is a
// BUG(). Memory without permissions cannot be looked at, so nothing of it may go.
TEST_P(SvmRelatives, PagesThatAChildMergedStayAndTheOthersMove) {
  const Merging merging;
  KFDLAB_NEEDS(merging.works(), "this kernel has no KSM");
  constexpr std::size_t kPairs = 24, kAlone = 8;
  const Buffer buffer(2 * kPairs + kAlone);
  const auto seed_of = [](std::size_t page) { return page < 2 * kPairs ? kSeed + page / 2 : kSeed + page; };
  for (std::size_t page = 0; page < buffer.npages(); ++page) {
    fill_pattern(buffer.pages(page, 1), buffer.address(), seed_of(page));
  }
  Child child([&](Peer& peer) {
    return madvise(buffer.data(), buffer.size(), MADV_MERGEABLE) == 0 && peer.signal() && peer.await() ? 0 : 1;
  });
  ASSERT_TRUE(child.peer().await());
  const std::vector<uint64_t> before = oracle().frames(buffer.data(), buffer.npages());
  // At least one of each pair: if KSM is kept from merging the second, the first stays a merged page of ours.
  ASSERT_TRUE(eventually([&] { return merged_pages(buffer).size() >= kPairs; }));
  merging.pause();
  const std::set<std::size_t> merged = merged_pages(buffer);
  for (std::size_t page = 2 * kPairs; page < buffer.npages(); ++page) {
    ASSERT_EQ(merged.count(page), 0u) << "page " << page << " is like no other";
  }

  buffer.protect(0, buffer.npages(), GetParam());
  ASSERT_TRUE(prefetch_to_vram(buffer));
  buffer.protect(0, buffer.npages(), PROT_READ | PROT_WRITE);
  for (std::size_t page = 0; page < buffer.npages(); ++page) {
    EXPECT_EQ(pattern_error(buffer.pages(page, 1), buffer.address(), seed_of(page)), "") << "page " << page;
    const bool stays = GetParam() == PROT_NONE || merged.count(page) != 0;
    EXPECT_EQ(oracle().frame(buffer.page(page)) == before[page], stays) << "page " << page;
    EXPECT_EQ(oracle().home(buffer.page(page)), stays ? PageHome::Ram : PageHome::Vram) << "page " << page;
  }
  ASSERT_TRUE(child.peer().signal());
  EXPECT_EQ(child.wait(), 0);
}

INSTANTIATE_TEST_SUITE_P(Protections, SvmRelatives,
                         ::testing::Values(PROT_READ | PROT_WRITE, int{PROT_READ}, int{PROT_NONE}),
                         [](const ::testing::TestParamInfo<int>& p) {
                           return p.param == PROT_NONE ? "None" : p.param == PROT_READ ? "Read" : "ReadWrite";
                         });

}  // namespace
}  // namespace kfdlab
