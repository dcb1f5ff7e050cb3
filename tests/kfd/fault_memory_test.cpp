// SPDX-License-Identifier: MIT
// Memory that cannot be had, or is limited, or goes on to swap: prefetches move less and succeed, evictions find room,
// nothing is lost and nobody is killed for it.
#include <sys/mman.h>
#include <sys/swap.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "tests/kfd/evict_fixture.h"
#include "tests/support/memory_cgroup.h"

namespace kfdlab {
namespace {

class FaultMemory : public Evict {};

// What a process in a group found.
struct HolesView {
  int error = -1;
  PageCensus census;
  bool zero = false;
};

TEST_F(FaultMemory, PrefetchOfHolesAtTheCgroupLimitMovesFewerPagesAndKillsNobody) {
  auto group = MemoryCgroup::create("kfdlab-holes");
  KFDLAB_NEEDS(group.ok(), "needs cgroup2 with the memory controller");
  const Buffer holes(kLeft);
  Child child([&](Peer& parent) {
    const bool entered = group.value().enter();
    const auto own = KfdClient::open();
    const auto where = PageOracle::open();
    // Once beforehand, so that what the driver allocates for a process is there.
    const Buffer warm(16);
    if (!entered || !own.ok() || !where.ok() || own.value().svm_prefetch(warm.address(), warm.size(), gpu()) != 0 ||
        !parent.signal()) {
      return 1;
    }
    while (parent.await()) {
      HolesView view;
      view.error = own.value().svm_prefetch(holes.address(), holes.size(), gpu());
      view.census = where.value().census(holes.data(), kLeft);
      view.zero = true;
      const std::vector<PageHome> homes = where.value().homes(holes.data(), kLeft);
      for (std::size_t page = 0; page < kLeft; ++page) {
        view.zero &= homes[page] == PageHome::None || zero_bytes(holes.pages(page, 1)) == kPageSize;
      }
      if (!parent.send(view)) {
        return 2;
      }
    }
    return 0;
  });
  ASSERT_TRUE(child.peer().await());
  // A quarter of what is asked for.
  ASSERT_TRUE(group.value().set_max(group.value().current() + kLeft * kPageSize / 4));

  HolesView view;
  ASSERT_TRUE(child.peer().signal());
  ASSERT_TRUE(child.peer().receive(&view)) << "killed: oom_kill " << group.value().event("oom_kill");
  EXPECT_EQ(view.error, 0);
  EXPECT_EQ(view.census.ram, 0u);
  EXPECT_GT(view.census.vram, 0u);
  EXPECT_LT(view.census.vram, kLeft / 2);
  EXPECT_TRUE(view.zero);
  EXPECT_EQ(group.value().event("oom_kill"), 0u);
  RecordProperty("pages_moved_at_the_limit", static_cast<int>(view.census.vram));

  ASSERT_TRUE(group.value().lift());
  ASSERT_TRUE(child.peer().signal());
  ASSERT_TRUE(child.peer().receive(&view));
  EXPECT_EQ(view.error, 0);
  EXPECT_EQ(view.census, all_vram(kLeft)) << "the limit was the only reason";
  child.kill();
}

// A migrated page takes its charge along, so a group at its limit is no obstacle in either direction.
TEST_F(FaultMemory, PagesOfAGroupAtItsLimitLeaveVramAndComeBack) {
  constexpr std::uint64_t kSlack = 512 << 10;  // kernel memory of the calls themselves
  auto group = MemoryCgroup::create("kfdlab-charge");
  KFDLAB_NEEDS(group.ok(), "needs cgroup2 with the memory controller");
  VramUser other(gpu(), kLeft, kSeed + 1);
  VramUser user(gpu(), kLeft, kSeed, [&] { (void)group.value().enter(); });
  ASSERT_TRUE(user.to_vram().all_vram());
  const std::uint64_t charged = group.value().current();
  ASSERT_GE(charged, kLeft * kPageSize) << "pages in VRAM are charged";
  ASSERT_TRUE(group.value().set_max(charged + kSlack));

  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(other.to_vram().all_vram());
    VramView view = user.look();
    EXPECT_TRUE(view.all_ram()) << testing::PrintToString(view);
    EXPECT_NEAR(static_cast<double>(group.value().current()), static_cast<double>(charged), kSlack);
    view = user.to_vram();
    EXPECT_TRUE(view.all_vram()) << testing::PrintToString(view);
    EXPECT_NEAR(static_cast<double>(group.value().current()), static_cast<double>(charged), kSlack);
  }
  EXPECT_EQ(pages_evicted(), 4 * kLeft);
  EXPECT_EQ(group.value().event("oom_kill"), 0u);
  user.kill();
  EXPECT_TRUE(eventually([&] { return group.value().current() < kLeft * kPageSize / 2; })) << "the charge ended";
}

// The kernel's fault injection for page allocations, for the calling thread only, while it lives.
class NoFreePages {
 public:
  explicit NoFreePages(unsigned percent) {
    put("task-filter", "Y");
    put("ignore-gfp-highmem", "N");
    put("ignore-gfp-wait", "N");
    put("min-order", "0");
    put("interval", "1");
    put("times", "-1");
    put("space", "0");
    put("verbose", "0");
    put("probability", std::to_string(percent));
    std::ofstream("/proc/thread-self/make-it-fail") << 1 << std::flush;
  }
  NoFreePages(const NoFreePages&) = delete;
  NoFreePages& operator=(const NoFreePages&) = delete;
  ~NoFreePages() {
    std::ofstream("/proc/thread-self/make-it-fail") << 0 << std::flush;
    put("probability", "0");
  }
  static constexpr char kNode[] = "/sys/kernel/debug/fail_page_alloc";

 private:
  static void put(const std::string& file, const std::string& value) {
    std::ofstream(std::string(kNode) + "/" + file) << value << std::flush;
  }
};

TEST_F(FaultMemory, EvictionWithoutFreeRamMovesNothingAndLosesNothing) {
  KFDLAB_NEEDS(node_exists(NoFreePages::kNode), "needs a kernel with FAIL_PAGE_ALLOC");
  const auto memory = in_vram(kLeft);
  // RAM is asked for some pages at a time, so most of it must fail for some pages to stay.
  for (const unsigned percent : {100u, 90u}) {
    TestDevice::Evicted evicted;
    {
      const NoFreePages none(percent);
      const auto result = device().evict(gpu());
      ASSERT_TRUE(result.ok()) << result.error().message;
      evicted = result.value();
    }
    EXPECT_EQ(evicted.moved + evicted.stayed, kLeft);
    EXPECT_TRUE(percent < 100 || evicted.moved == 0) << evicted.moved;
    EXPECT_EQ(census(*memory), (PageCensus{.ram = evicted.moved, .vram = evicted.stayed}));
    EXPECT_EQ(contents(*memory), "");
    ASSERT_EQ(move_to_vram(*memory), all_vram(kLeft));
  }
  const auto evicted = device().evict(gpu());
  ASSERT_TRUE(evicted.ok());
  EXPECT_EQ(evicted.value().moved, kLeft) << "with RAM it works again";
  EXPECT_EQ(contents(*memory), "");
}

// A compressed RAM disk as swap, while it lives.
class ZramSwap {
 public:
  ZramSwap() {
    on_ = std::system("modprobe zram num_devices=1 2>/dev/null") == 0 && node_exists("/sys/block/zram0/disksize") &&
          put("/sys/block/zram0/disksize", "32M") && std::system("mkswap /dev/zram0 >/dev/null 2>&1") == 0 &&
          ::swapon("/dev/zram0", 0) == 0;
  }
  ZramSwap(const ZramSwap&) = delete;
  ZramSwap& operator=(const ZramSwap&) = delete;
  ~ZramSwap() {
    if (on_) {
      ::swapoff("/dev/zram0");
      put("/sys/block/zram0/reset", "1");
    }
  }
  [[nodiscard]] bool on() const { return on_; }

 private:
  static bool put(const std::string& file, const std::string& value) {
    return static_cast<bool>(std::ofstream(file) << value << std::flush);
  }
  bool on_ = false;
};

TEST_F(FaultMemory, EvictedPagesMaySwapOutAndReturnToVramWithTheirContents) {
  const ZramSwap swap;
  KFDLAB_NEEDS(swap.on(), "needs zram and mkswap");
  VramUser other(gpu(), kLeft, kSeed + 1);
  const auto memory = in_vram(kLeft);
  ASSERT_EQ(madvise(memory->data(), memory->size(), MADV_PAGEOUT), 0);
  EXPECT_EQ(census(*memory), all_vram(kLeft)) << "VRAM is not swapped";
  ASSERT_TRUE(other.to_vram().all_vram());
  ASSERT_EQ(census(*memory), all_ram(kLeft));

  (void)empty_lru_batches();
  ASSERT_EQ(madvise(memory->data(), memory->size(), MADV_PAGEOUT), 0);
  const PageCensus swapped = census(*memory);
  EXPECT_GT(swapped.none, kLeft / 2) << "an evicted page is as good for swap as any other";
  EXPECT_TRUE(prefetch_to_vram(*memory)) << "what is swapped out stays where it is";
  EXPECT_EQ(contents(*memory), "");
  fill_pattern(memory->bytes(), kSeed + 2);  // written, they need no place in swap any more
  EXPECT_EQ(move_to_vram(*memory), all_vram(kLeft));
  EXPECT_EQ(contents(*memory, kSeed + 2), "");
  RecordProperty("pages_swapped_out", static_cast<int>(swapped.none));
}

}  // namespace
}  // namespace kfdlab
