// SPDX-License-Identifier: MIT
// Holders and owners that are different processes, and processes that die while they hold: references end with the
// file that has them, memory ends with its last reference, and neither order loses a page.
#include <signal.h>

#include <cerrno>
#include <cstring>

#include "tests/support/child.h"
#include "tests/gup/gup_fixture.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

constexpr std::size_t kPages = 8;
constexpr GupFlavour kPinRemoteWrite{KFDLAB_GUP_REMOTE, KFDLAB_GUP_PIN | KFDLAB_GUP_WRITE};
constexpr GupFlavour kPinRemoteLongtermWrite{KFDLAB_GUP_REMOTE,
                                             KFDLAB_GUP_PIN | KFDLAB_GUP_LONGTERM | KFDLAB_GUP_WRITE};

// In a child: memory of its own, with the pattern, in VRAM. /dev/kfd does not survive fork, so it opens its own.
bool fill_in_own_vram(std::span<std::byte> pages, std::uint32_t gpu_id) {
  const auto kfd = KfdClient::open();
  const auto oracle = PageOracle::open();
  if (!kfd.ok() || !oracle.ok()) {
    return false;
  }
  fill_pattern(pages, kFirst);
  const auto address = reinterpret_cast<std::uintptr_t>(pages.data());
  return kfd.value().svm_prefetch(address, pages.size(), gpu_id) == 0 &&
         oracle.value().census(pages.data(), pages.size() / kPageSize).vram == pages.size() / kPageSize;
}

// A child that owns pages in VRAM, tells where they are and waits for its parent.
class Owner {
 public:
  explicit Owner(std::uint32_t gpu_id)
      : child_([gpu_id](Peer& parent) {
          Buffer buffer(kPages);
          const std::uint64_t where = fill_in_own_vram(buffer.bytes(), gpu_id) ? buffer.address() : 0;
          (void)(parent.send(where) && parent.await());
          const PageCensus census = PageOracle::open().value().census(buffer.data(), kPages);
          return census.ram == kPages && !find_mismatch(buffer.bytes(), kFirst) ? 0 : 1;
        }) {
    std::uint64_t where = 0;
    if (child_.peer().receive(&where)) {
      where_ = where;
    }
  }
  // The address in the child, null: it could not bring its pages to VRAM.
  [[nodiscard]] std::byte* start() const { return reinterpret_cast<std::byte*>(where_); }
  [[nodiscard]] Child& child() { return child_; }

 private:
  Child child_;
  std::uint64_t where_ = 0;
};

GUP_TEST(GupPin, LongtermByAnotherProcessMovesTheOwnersPages) {
  Owner owner(gpu_id());
  ASSERT_NE(owner.start(), nullptr);
  const kfdlab_test_counters before = counters();

  GupHold held;
  ASSERT_EQ(gup().hold(kPinRemoteLongtermWrite, owner.start(), kPages, &held, owner.child().pid()), 0);

  EXPECT_EQ(held.npages(), kPages);
  EXPECT_EQ(held.vram(), 0u);
  EXPECT_EQ(counters().pages_left_by_pin - before.pages_left_by_pin, kPages);
  EXPECT_TRUE(intact_through(held, {owner.start(), kPages * kPageSize}, kFirst));
  ASSERT_TRUE(owner.child().peer().signal());
  EXPECT_EQ(owner.child().wait(), 0) << "the owner found its pages outside RAM or changed";
}

GUP_TEST(GupPin, OrdinaryHoldOutlivesTheOwnerOfTheMemory) {
  const kfdlab_test_counters before = counters();
  Owner owner(gpu_id());
  ASSERT_NE(owner.start(), nullptr);
  GupHold held;
  ASSERT_EQ(gup().hold(kPinRemoteWrite, owner.start(), kPages, &held, owner.child().pid()), 0);
  ASSERT_EQ(held.vram(), kPages);

  EXPECT_EQ(owner.child().kill(), 128 + SIGKILL);

  EXPECT_EQ(counters().svm_pages_occupied - before.svm_pages_occupied, kPages) << "held VRAM is not free";
  EXPECT_EQ(evict().moved, 0u) << "a page without a mapping has nowhere to move";
  EXPECT_TRUE(intact_through(held, {owner.start(), kPages * kPageSize}, kFirst));
  ASSERT_EQ(held.release(), 0);
  EXPECT_TRUE(eventually([&] { return counters().svm_pages_occupied == before.svm_pages_occupied; }));
}

GUP_TEST(GupPin, LongtermHoldOutlivesTheOwnerOfTheMemory) {
  const kfdlab_test_counters before = counters();
  Owner owner(gpu_id());
  ASSERT_NE(owner.start(), nullptr);
  GupHold held;
  ASSERT_EQ(gup().hold(kPinRemoteLongtermWrite, owner.start(), kPages, &held, owner.child().pid()), 0);
  ASSERT_EQ(held.vram(), 0u);

  EXPECT_EQ(owner.child().kill(), 128 + SIGKILL);

  EXPECT_TRUE(eventually([&] { return counters().svm_pages_occupied == before.svm_pages_occupied; }))
      << "a long-term pin holds no VRAM";
  EXPECT_TRUE(intact_through(held, {owner.start(), kPages * kPageSize}, kFirst));
}

// Flavours that leave the pages in VRAM and such that do not.
std::vector<GupCase> killed_holders() {
  std::vector<GupCase> cases;
  for (const GupFlavour& flavour : {kGetFastRead, kPinFastWrite, kPinFastLongtermWrite, kPinSlowLongtermWrite}) {
    cases.push_back({flavour, kPages, flavour.name()});
  }
  return cases;
}

GUP_TEST_EACH(GupProcess, KilledHolderLeavesNothingHeld, killed_holders) {
  const std::int64_t pins = outstanding_pins();
  const kfdlab_test_counters before = counters();
  Child child([&](Peer& parent) {
    const auto client = GupClient::open();
    Buffer buffer(kPages);
    GupHold held;
    const bool ready = client.ok() && fill_in_own_vram(buffer.bytes(), gpu_id()) &&
                       client.value().hold(flavour(), buffer.data(), kPages, &held) == 0 && held.npages() == kPages;
    (void)(parent.send(ready) && parent.await());
    return 0;
  });
  bool ready = false;
  ASSERT_TRUE(child.peer().receive(&ready) && ready);
  EXPECT_EQ(outstanding_pins() - pins, flavour().pins() ? static_cast<std::int64_t>(kPages) : 0);

  EXPECT_EQ(child.kill(), 128 + SIGKILL);

  EXPECT_EQ(outstanding_pins(), pins);
  EXPECT_TRUE(eventually([&] { return counters().svm_pages_occupied == before.svm_pages_occupied; }));
}

GUP_TEST(GupProcess, ClosingTheFileReleasesItsHolds) {
  Buffer buffer(kPages);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const std::int64_t pins = outstanding_pins();
  {
    auto client = GupClient::open();
    ASSERT_TRUE(client.ok()) << client.error().message;
    kfdlab_gup_hold request{};
    request.addr = buffer.address();
    request.npages = kPages;
    request.path = KFDLAB_GUP_FAST;
    request.flags = KFDLAB_GUP_PIN | KFDLAB_GUP_WRITE;
    ASSERT_EQ(client.value().raw(KFDLAB_GUP_HOLD, &request), 0);
    EXPECT_EQ(outstanding_pins() - pins, static_cast<std::int64_t>(kPages));
  }
  EXPECT_EQ(outstanding_pins(), pins);
  EXPECT_EQ(evict().moved, kPages);
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

GUP_TEST(GupProcess, MemoryCanBeUnmappedWhileHeld) {
  const kfdlab_test_counters before = counters();
  GupHold held;
  std::byte* start = nullptr;
  {
    Buffer buffer(kPages);
    ASSERT_TRUE(fill_in_vram(buffer.bytes()));
    start = buffer.data();
    ASSERT_EQ(hold(kPinFastWrite, buffer.bytes(), &held), 0);
  }
  EXPECT_EQ(counters().svm_pages_occupied - before.svm_pages_occupied, kPages);
  EXPECT_TRUE(intact_through(held, {start, kPages * kPageSize}, kFirst));
  ASSERT_EQ(held.release(), 0);
  EXPECT_TRUE(eventually([&] { return counters().svm_pages_occupied == before.svm_pages_occupied; }));
}

}  // namespace
}  // namespace kfdlab
