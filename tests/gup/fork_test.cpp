// SPDX-License-Identifier: MIT
// Device-coherent pages shared by fork. A pin needs a page that is the caller's alone, so that later copy-on-write
// cannot part the holder from the process: the kernel unshares first, and the copy it makes lies in RAM. FOLL_GET
// that only reads is satisfied with the shared page.
#include <cerrno>

#include "tests/support/child.h"
#include "tests/gup/gup_fixture.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

constexpr std::size_t kPages = 4;

// What a child sees at the addresses of its parent's buffer.
struct View {
  std::size_t vram = 0;
  std::size_t ram = 0;
  bool intact = false;
};

View look(std::span<std::byte> pages, std::uint64_t seed) {
  const auto oracle = PageOracle::open();
  if (!oracle.ok()) {
    return {};
  }
  const PageCensus census = oracle.value().census(pages.data(), pages.size() / kPageSize);
  return {census.vram, census.ram, !find_mismatch(pages, seed)};
}

// Looks whenever the parent says so, until the parent goes.
int look_on_demand(Peer& parent, std::span<std::byte> pages) {
  while (parent.await()) {
    if (!parent.send(look(pages, kFirst))) {
      break;
    }
  }
  return 0;
}

GUP_TEST_EACH(GupPin, ForkSharedPagesAreUnsharedExceptForReadingGets, every_flavour) {
  Buffer buffer(kPages);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  Child child([&](Peer& parent) { return look_on_demand(parent, buffer.bytes()); });
  ASSERT_TRUE(child.peer().signal());
  View childs;
  ASSERT_TRUE(child.peer().receive(&childs));
  ASSERT_EQ(childs.vram, kPages) << "fork shares device pages";
  const kfdlab_test_counters before = counters();

  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);

  if (!flavour().pins() && !flavour().writes()) {
    EXPECT_TRUE(stayed(held, buffer.bytes(), before));
  } else if (!flavour().faults()) {
    EXPECT_EQ(held.npages(), 0u) << "unsharing takes a fault";
    EXPECT_TRUE(all_in_vram(buffer.bytes()));
  } else {
    // The copy is the process's; the device page is the child's, so none came back to the driver.
    EXPECT_TRUE(departed(held, buffer.bytes(), 0, before));
  }
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
  ASSERT_TRUE(child.peer().signal());
  ASSERT_TRUE(child.peer().receive(&childs));
  EXPECT_EQ(childs.vram, kPages) << "what the parent does with its copy is not the child's business";
  EXPECT_TRUE(childs.intact);
}

// The child has written, so it has copies and the parent is the last that maps the device pages. They count as the
// parent's own again, although fork had marked them shared: an ordinary pin leaves them where they are.
class LastSharer {
 public:
  explicit LastSharer(const Buffer& buffer)
      : child_([&buffer](Peer& parent) {
          fill_pattern(buffer.bytes(), kSecond);
          const View view = look(buffer.bytes(), kSecond);
          (void)(parent.send(view) && parent.await());
          return 0;
        }) {}
  [[nodiscard]] bool child_has_copies() {
    View view;
    return child_.peer().receive(&view) && view.ram == kPages && view.intact;
  }

 private:
  Child child_;
};

GUP_TEST_EACH(GupPin, LongtermOfTheLastSharerMovesItsPages, longterm_pins) {
  Buffer buffer(kPages);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  LastSharer sharer(buffer);
  ASSERT_TRUE(sharer.child_has_copies());
  ASSERT_TRUE(all_in_vram(buffer.bytes()));
  const kfdlab_test_counters before = counters();

  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);
  EXPECT_TRUE(departed(held, buffer.bytes(), kPages, before));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
  EXPECT_TRUE(intact_through(held, buffer.bytes(), kFirst));
}

GUP_TEST_EACH(GupPin, OrdinaryOfTheLastSharerLeavesItsPages, ordinary_flavours) {
  Buffer buffer(kPages);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  LastSharer sharer(buffer);
  ASSERT_TRUE(sharer.child_has_copies());
  const kfdlab_test_counters before = counters();

  GupHold held;
  ASSERT_EQ(hold(flavour(), buffer.bytes(), &held), 0);
  if (flavour().faults() || !flavour().writes()) {
    EXPECT_TRUE(stayed(held, buffer.bytes(), before));
  } else {
    EXPECT_EQ(held.npages(), 0u) << "the mapping is write-protected until the next fault";
  }
  EXPECT_TRUE(all_in_vram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

// What a device may write to at any moment cannot be shared: fork copies it for the child at once.
GUP_TEST(GupPin, ForkCopiesPinnedPagesForTheChild) {
  Buffer buffer(kPages);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  GupHold held;
  ASSERT_EQ(hold(kPinFastWrite, buffer.pages(0, 2), &held), 0);

  Child child([&](Peer& parent) { return look_on_demand(parent, buffer.bytes()); });
  ASSERT_TRUE(child.peer().signal());
  View childs;
  ASSERT_TRUE(child.peer().receive(&childs));

  EXPECT_EQ(childs.ram, 2u);
  EXPECT_EQ(childs.vram, kPages - 2);
  EXPECT_TRUE(childs.intact);
  EXPECT_TRUE(all_in_vram(buffer.bytes())) << "the parent keeps the pages its holder has";
  EXPECT_TRUE(intact_through(held, buffer.pages(0, 2), kFirst));
}

}  // namespace
}  // namespace kfdlab
