// SPDX-License-Identifier: MIT
// Prefetch to VRAM and back: which pages move, how, and what they hold afterwards.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <string>

#include "tests/support/child.h"
#include "tests/kfd/svm_fixture.h"

namespace kfdlab {
namespace {

constexpr uint64_t kSeed = 7;

class SvmMigrate : public SvmTest {
 protected:
  static std::string contents(const Buffer& buffer) { return pattern_error(buffer.bytes(), kSeed); }
};

// Bytes that this process has in its memory cgroup is not asked: RssAnon of /proc/self/status counts device pages too.
std::size_t resident_anonymous_pages() {
  FILE* const file = std::fopen("/proc/self/status", "re");
  char line[256];
  std::size_t kib = 0;
  while (file != nullptr && std::fgets(line, sizeof line, file) != nullptr) {
    if (std::sscanf(line, "RssAnon: %zu", &kib) == 1) {
      break;
    }
  }
  if (file != nullptr) {
    std::fclose(file);
  }
  return kib * 1024 / kPageSize;
}

TEST_F(SvmMigrate, PrefetchMovesEveryPageAndBack) {
  for (const std::size_t npages : {1u, 5u, 511u, 512u, 513u, 4096u}) {
    const Buffer buffer(npages);
    fill_pattern(buffer.bytes(), kSeed);
    const kfdlab_test_counters start = counters();
    ASSERT_TRUE(prefetch_to_vram(buffer));
    EXPECT_EQ(census(buffer), all_vram(npages));
    const kfdlab_test_counters there = counters();
    EXPECT_EQ(there.pages_to_vram - start.pages_to_vram, npages);
    EXPECT_EQ(there.svm_pages_occupied - start.svm_pages_occupied, npages);
    EXPECT_EQ(there.pages_failed, start.pages_failed);
    EXPECT_EQ(there.bytes_copied_device + there.bytes_copied_cpu - start.bytes_copied_device - start.bytes_copied_cpu,
              npages * kPageSize);
    EXPECT_EQ(contents(buffer), "");

    ASSERT_TRUE(prefetch_to_ram(buffer));
    EXPECT_EQ(census(buffer), all_ram(npages));
    const kfdlab_test_counters back = counters();
    EXPECT_EQ(back.pages_to_ram_prefetch - there.pages_to_ram_prefetch, npages);
    EXPECT_EQ(back.svm_pages_occupied, start.svm_pages_occupied);
    EXPECT_EQ(back.pages_left_by_pin, start.pages_left_by_pin);
    EXPECT_EQ(back.pages_freed, start.pages_freed);
    EXPECT_EQ(contents(buffer), "");
  }
}

TEST_F(SvmMigrate, LargeBatchesAreCopiedByTheDevice) {
  const Buffer buffer(1024);
  fill_pattern(buffer.bytes(), kSeed);
  const kfdlab_test_counters before = counters();
  ASSERT_TRUE(prefetch_to_vram(buffer));
  const kfdlab_test_counters after = counters();
  EXPECT_EQ(after.bytes_copied_device - before.bytes_copied_device, buffer.size());
  EXPECT_EQ(after.bytes_copied_cpu, before.bytes_copied_cpu);
  EXPECT_EQ(after.migrations - before.migrations, 2u);
}

TEST_F(SvmMigrate, SecondPrefetchMovesNothing) {
  const Buffer buffer(512);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  const uint64_t frame = oracle().frame(buffer.data());
  const kfdlab_test_counters before = counters();
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(counters().migrations, before.migrations);
  EXPECT_EQ(oracle().frame(buffer.data()), frame);
}

TEST_F(SvmMigrate, VramPagesAreReadAndWrittenInPlace) {
  const Buffer buffer(64);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  fill_pattern(buffer.bytes(), kSeed + 1);
  EXPECT_EQ(census(buffer), all_vram(64));
  ASSERT_TRUE(prefetch_to_ram(buffer));
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed + 1), "");
}

TEST_F(SvmMigrate, HolesBecomeZeroPagesOfTheProcess) {
  const Buffer buffer(600);
  const std::size_t before = resident_anonymous_pages();
  const kfdlab_test_counters start = counters();
  ASSERT_TRUE(prefetch_to_vram(buffer));
  const kfdlab_test_counters end = counters();
  EXPECT_EQ(census(buffer), all_vram(600));
  EXPECT_EQ(zero_bytes(buffer.bytes()), buffer.size());
  EXPECT_EQ(end.bytes_filled_device + end.bytes_filled_cpu - start.bytes_filled_device - start.bytes_filled_cpu,
            buffer.size());
  // Other allocations of this process may come and go beside it, but not by hundreds of pages.
  EXPECT_NEAR(static_cast<double>(resident_anonymous_pages() - before), 600, 40);
}

TEST_F(SvmMigrate, ZeroesAreFreshAfterOtherContents) {
  {
    const Buffer buffer(512);
    std::memset(buffer.data(), 0xff, buffer.size());
    ASSERT_TRUE(prefetch_to_vram(buffer));
  }
  ASSERT_TRUE(eventually([&] { return counters().svm_pages_occupied == 0; }));
  const Buffer buffer(512);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(zero_bytes(buffer.bytes()), buffer.size());
}

TEST_F(SvmMigrate, PartlyPopulatedMemoryMovesWhole) {
  const Buffer buffer(1024);
  for (std::size_t page = 0; page < 1024; page += 3) {
    fill_pattern(buffer.pages(page, 1), kSeed);
  }
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(census(buffer), all_vram(1024));
  for (std::size_t page = 0; page < 1024; ++page) {
    if (page % 3 == 0) {
      ASSERT_EQ(pattern_error(buffer.pages(page, 1), kSeed), "") << "page " << page;
    } else {
      ASSERT_EQ(zero_bytes(buffer.pages(page, 1)), kPageSize) << "page " << page;
    }
  }
}

TEST_F(SvmMigrate, OnlyThePagesAskedForMove) {
  const Buffer buffer(1024);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_EQ(kfd().svm_prefetch(buffer.page_address(300), 400 * kPageSize, gpu()), 0);
  EXPECT_EQ(census(buffer, 0, 300), all_ram(300));
  EXPECT_EQ(census(buffer, 300, 400), all_vram(400));
  EXPECT_EQ(census(buffer, 700, 324), all_ram(324));
  ASSERT_EQ(kfd().svm_prefetch(buffer.page_address(500), 100 * kPageSize, kSvmSystem), 0);
  EXPECT_EQ(census(buffer, 300, 400), (PageCensus{.none = 0, .ram = 100, .vram = 300}));
  EXPECT_EQ(contents(buffer), "");
}

TEST_F(SvmMigrate, ProtectionIsKept) {
  const Buffer buffer(12);
  fill_pattern(buffer.bytes(), kSeed);
  buffer.protect(0, 4, PROT_READ);
  buffer.protect(4, 4, PROT_NONE);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(census(buffer, 0, 4), all_vram(4));
  EXPECT_EQ(census(buffer, 8, 4), all_vram(4));
  EXPECT_EQ(pattern_error(buffer.pages(0, 4), kSeed), "");
  const int status = in_child([&] {
    std::memset(buffer.data(), 0, 1);
    return 0;
  });
  EXPECT_EQ(status, 128 + SIGSEGV) << "a PROT_READ page became writable";
  buffer.protect(0, 12, PROT_READ | PROT_WRITE);
  EXPECT_EQ(contents(buffer), "");
}

TEST_F(SvmMigrate, SeveralMappingsInOneCall) {
  const Buffer buffer(1024);
  fill_pattern(buffer.bytes(), kSeed);
  buffer.protect(100, 50, PROT_READ);
  buffer.protect(600, 1, PROT_READ);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(census(buffer), all_vram(1024));
  ASSERT_TRUE(prefetch_to_ram(buffer));
  EXPECT_EQ(census(buffer), all_ram(1024));
  EXPECT_EQ(contents(buffer), "");
}

TEST_F(SvmMigrate, ExecutableMemoryIsCopiedByTheCpu) {
  const Buffer buffer(64);
  fill_pattern(buffer.bytes(), kSeed);
  buffer.protect(0, 64, PROT_READ | PROT_WRITE | PROT_EXEC);
  const kfdlab_test_counters before = counters();
  ASSERT_TRUE(prefetch_to_vram(buffer));
  ASSERT_TRUE(prefetch_to_ram(buffer));
  const kfdlab_test_counters after = counters();
  EXPECT_EQ(after.bytes_copied_device, before.bytes_copied_device);
  EXPECT_EQ(after.bytes_copied_cpu - before.bytes_copied_cpu, 2 * buffer.size());
  EXPECT_EQ(contents(buffer), "");
}

// Pages referenced by a pipe until somebody reads them out of it.
class Pipe {
 public:
  Pipe() {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    out_ = Fd(ends[0]);
    in_ = Fd(ends[1]);
  }
  void hold(std::span<std::byte> pages) {
    const iovec held{pages.data(), pages.size()};
    EXPECT_EQ(vmsplice(in_.get(), &held, 1, 0), static_cast<ssize_t>(held.iov_len));
    size_ = pages.size();
  }
  // What the pipe holds; afterwards it holds nothing.
  [[nodiscard]] std::vector<std::byte> drain() {
    std::vector<std::byte> bytes(size_);
    EXPECT_EQ(read(out_.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    return bytes;
  }

 private:
  Fd out_, in_;
  std::size_t size_ = 0;
};

TEST_F(SvmMigrate, RamPagesHeldByAPipeStayInRam) {
  const Buffer buffer(16);
  fill_pattern(buffer.bytes(), kSeed);
  Pipe pipe;
  pipe.hold(buffer.pages(4, 4));
  const kfdlab_test_counters before = counters();
  ASSERT_TRUE(prefetch_to_vram(buffer));
  const kfdlab_test_counters after = counters();
  EXPECT_EQ(census(buffer), (PageCensus{.none = 0, .ram = 4, .vram = 12}));
  EXPECT_EQ(census(buffer, 4, 4), all_ram(4));
  EXPECT_EQ(after.pages_to_vram - before.pages_to_vram, 12u);
  EXPECT_EQ(after.pages_failed - before.pages_failed, 4u);
  EXPECT_EQ(after.svm_pages_occupied - before.svm_pages_occupied, 12u);
  EXPECT_EQ(contents(buffer), "");

  EXPECT_EQ(pattern_error(pipe.drain(), buffer.page_address(4), kSeed), "");
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(census(buffer), all_vram(16));
}

// Nothing of the chunk is collected then, and still it is tried and counted. Pages that are there already are not.
TEST_F(SvmMigrate, RamPagesAllHeldAreCounted) {
  const Buffer buffer(16);
  fill_pattern(buffer.bytes(), kSeed);
  Pipe pipe;
  pipe.hold(buffer.bytes());
  const kfdlab_test_counters before = counters();
  ASSERT_TRUE(prefetch_to_vram(buffer));
  const kfdlab_test_counters held = counters();
  EXPECT_EQ(census(buffer), all_ram(16));
  EXPECT_EQ(held.pages_failed - before.pages_failed, 16u);
  EXPECT_EQ(held.pages_to_vram, before.pages_to_vram);

  EXPECT_EQ(pattern_error(pipe.drain(), buffer.address(), kSeed), "");
  ASSERT_TRUE(prefetch_to_vram(buffer));
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(census(buffer), all_vram(16));
  EXPECT_EQ(counters().pages_failed, held.pages_failed);
}

// Collection takes a referenced device page; only the last step refuses it. A driver that counts too early is wrong.
TEST_F(SvmMigrate, VramPagesHeldByAPipeStayInVramAndAreCounted) {
  const Buffer buffer(16);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  Pipe pipe;
  pipe.hold(buffer.pages(4, 4));
  const kfdlab_test_counters before = counters();
  ASSERT_TRUE(prefetch_to_ram(buffer));
  const kfdlab_test_counters after = counters();
  EXPECT_EQ(census(buffer, 4, 4), all_vram(4));
  EXPECT_EQ(census(buffer), (PageCensus{.none = 0, .ram = 12, .vram = 4}));
  EXPECT_EQ(after.pages_to_ram_prefetch - before.pages_to_ram_prefetch, 12u);
  EXPECT_EQ(after.pages_failed - before.pages_failed, 4u);
  EXPECT_EQ(before.svm_pages_occupied - after.svm_pages_occupied, 12u);
  fill_pattern(buffer.pages(4, 4), kSeed + 1);
  EXPECT_EQ(pattern_error(pipe.drain(), buffer.page_address(4), kSeed + 1), "") << "the pipe has the very pages";
  ASSERT_TRUE(prefetch_to_ram(buffer));
  EXPECT_EQ(census(buffer), all_ram(16));
}

TEST_F(SvmMigrate, VramPagesHeldByAPipeOutliveMunmap) {
  const uint64_t occupied = counters().svm_pages_occupied;
  Pipe pipe;
  uint64_t address = 0;
  {
    const Buffer buffer(8);
    address = buffer.address();
    fill_pattern(buffer.bytes(), kSeed);
    ASSERT_TRUE(prefetch_to_vram(buffer));
    pipe.hold(buffer.bytes());
  }
  EXPECT_EQ(counters().svm_pages_occupied - occupied, 8u);
  auto evicted = device().evict(gpu());
  ASSERT_TRUE(evicted.ok());
  EXPECT_EQ(evicted.value().moved, 0u);
  EXPECT_EQ(evicted.value().stayed, 8u);
  // Their frames are nobody else's meanwhile.
  const Buffer other(512);
  std::memset(other.data(), 0xee, other.size());
  ASSERT_TRUE(prefetch_to_vram(other));
  EXPECT_EQ(pattern_error(pipe.drain(), address, kSeed), "");
  EXPECT_TRUE(eventually([&] { return counters().svm_pages_occupied == occupied + 512; }));
}

TEST_F(SvmMigrate, EvictionByPageFrameBringsAllPagesToRam) {
  const Buffer buffer(1500);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  ASSERT_EQ(census(buffer), all_vram(1500));
  const kfdlab_test_counters before = counters();
  auto evicted = device().evict(gpu());
  ASSERT_TRUE(evicted.ok()) << evicted.error().message;
  EXPECT_EQ(evicted.value().moved, 1500u);
  EXPECT_EQ(evicted.value().stayed, 0u);
  EXPECT_EQ(census(buffer), all_ram(1500));
  EXPECT_EQ(counters().pages_to_ram_evict - before.pages_to_ram_evict, 1500u);
  EXPECT_EQ(counters().svm_pages_occupied, 0u);
  EXPECT_EQ(contents(buffer), "");
}

TEST_F(SvmMigrate, ForkSharedPagesMoveOnceForBoth) {
  const Buffer buffer(16);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  Child child([&](Peer& parent) {
    const auto mine = PageOracle::open();
    if (!mine.ok() || !parent.signal() || !parent.await()) {
      return 1;
    }
    const PageCensus where = mine.value().census(buffer.data(), 16);
    if (!parent.send(where) || !parent.await()) {
      return 2;
    }
    return pattern_error(buffer.bytes(), kSeed).empty() ? 0 : 3;
  });
  ASSERT_TRUE(child.peer().await());
  auto evicted = device().evict(gpu());
  ASSERT_TRUE(evicted.ok());
  EXPECT_EQ(evicted.value().moved, 16u);
  ASSERT_TRUE(child.peer().signal());
  PageCensus where;
  ASSERT_TRUE(child.peer().receive(&where));
  EXPECT_EQ(where, all_ram(16));
  fill_pattern(buffer.bytes(), kSeed + 1);  // COW: not the child's any more
  ASSERT_TRUE(child.peer().signal());
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed + 1), "");
}

TEST_F(SvmMigrate, PagesOfADeadParentAreEvictedFromItsChild) {
  const Buffer buffer(16);
  Child parent([&](Peer& test) {
    fill_pattern(buffer.bytes(), kSeed);
    auto own = KfdClient::open();
    if (!own.ok() || own.value().svm_prefetch(buffer.address(), buffer.size(), gpu()) != 0) {
      return 1;
    }
    // The grandchild owns the pages once its parent is gone; it answers over the same socket.
    if (fork() == 0) {
      if (!test.signal() || !test.await()) {
        _exit(1);
      }
      const bool right = pattern_error(buffer.bytes(), kSeed).empty();
      _exit(test.send(right) ? 0 : 1);
    }
    return 0;
  });
  ASSERT_TRUE(parent.peer().await());
  EXPECT_EQ(parent.wait(), 0);
  EXPECT_EQ(counters().svm_pages_occupied, 16u);
  auto evicted = device().evict(gpu());
  ASSERT_TRUE(evicted.ok());
  EXPECT_EQ(evicted.value().moved, 16u);
  ASSERT_TRUE(parent.peer().signal());
  bool right = false;
  ASSERT_TRUE(parent.peer().receive(&right));
  EXPECT_TRUE(right);
}

TEST_F(SvmMigrate, KilledProcessFreesItsVram) {
  const kfdlab_test_counters before = counters();
  Child child([&](Peer& parent) {
    const Buffer buffer(2048);
    fill_pattern(buffer.bytes(), kSeed);
    auto own = KfdClient::open();
    if (!own.ok() || own.value().svm_prefetch(buffer.address(), buffer.size(), gpu()) != 0) {
      return 1;
    }
    return parent.signal() && parent.await() ? 0 : 2;
  });
  ASSERT_TRUE(child.peer().await());
  EXPECT_EQ(counters().svm_pages_occupied - before.svm_pages_occupied, 2048u);
  EXPECT_EQ(child.kill(), 128 + SIGKILL);
  EXPECT_TRUE(eventually([&] {
    const kfdlab_test_counters now = counters();
    return now.svm_pages_occupied == before.svm_pages_occupied && now.vram_held == before.vram_held &&
           now.svm_ranges == before.svm_ranges;
  }));
}

TEST_F(SvmMigrate, ClosingTheFileLeavesPagesWhereTheyAre) {
  const Buffer buffer(64);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  close_kfd();
  EXPECT_EQ(census(buffer), all_vram(64));
  EXPECT_EQ(contents(buffer), "");
}

TEST_F(SvmMigrate, MunmapGivesVramBack) {
  const kfdlab_test_counters before = counters();
  Buffer buffer(1024);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  buffer.unmap(10, 500);
  EXPECT_EQ(counters().svm_pages_occupied - before.svm_pages_occupied, 524u);
  EXPECT_EQ(counters().pages_freed - before.pages_freed, 500u);
  ASSERT_EQ(madvise(buffer.page(600), 100 * kPageSize, MADV_DONTNEED), 0);
  EXPECT_EQ(counters().svm_pages_occupied - before.svm_pages_occupied, 424u);
  EXPECT_EQ(zero_bytes(buffer.pages(600, 100)), 100 * kPageSize);
  EXPECT_EQ(pattern_error(buffer.pages(0, 10), kSeed), "");
  EXPECT_EQ(pattern_error(buffer.pages(700, 324), kSeed), "");
}

// More memory than there is VRAM: every call succeeds, what does not fit is in RAM, nothing is lost. Most of it is
// holes, which are quick to bring and cost RAM only when they are evicted.
TEST_F(SvmMigrate, MoreThanVramSucceedsAndKeepsContents) {
  const kfdlab_test_counters before = counters();
  const std::size_t vram = before.vram_size / kPageSize;
  constexpr std::size_t kMore = 8192;
  const std::size_t free_ram = static_cast<std::size_t>(sysconf(_SC_AVPHYS_PAGES));
  KFDLAB_NEEDS(free_ram > 4 * kMore, "not enough free RAM to overfill VRAM");
  const Buffer first(kMore / 2);
  const Buffer holes(vram);
  const Buffer second(kMore / 2);
  fill_pattern(first.bytes(), kSeed);
  fill_pattern(second.bytes(), kSeed);
  ASSERT_TRUE(prefetch_to_vram(first));
  ASSERT_TRUE(prefetch_to_vram(holes));
  ASSERT_TRUE(prefetch_to_vram(second));

  const std::size_t in_vram = census(first).vram + census(holes).vram + census(second).vram;
  EXPECT_GT(in_vram, vram / 2);
  EXPECT_LE(in_vram, vram);
  EXPECT_EQ(census(second), all_vram(second.npages())) << "the newest must have made room";
  const kfdlab_test_counters after = counters();
  EXPECT_GE(after.pages_to_ram_evict - before.pages_to_ram_evict, kMore);
  EXPECT_EQ(after.svm_pages_occupied - before.svm_pages_occupied, in_vram);
  EXPECT_EQ(contents(first), "");
  EXPECT_EQ(contents(second), "");
  for (std::size_t page = 0; page < vram; page += 101) {
    ASSERT_EQ(zero_bytes(holes.pages(page, 1)), kPageSize) << "page " << page;
  }
}

TEST_F(SvmMigrate, EveryPageFrameHasOneOwner) {
  const Buffer buffer(3000);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  std::vector<uint64_t> frames;
  for (std::size_t page = 0; page < buffer.npages(); ++page) {
    frames.push_back(oracle().frame(buffer.page(page)));
  }
  std::sort(frames.begin(), frames.end());
  EXPECT_EQ(std::adjacent_find(frames.begin(), frames.end()), frames.end());
  EXPECT_NE(frames.front(), 0u);
}

TEST_F(SvmMigrate, AlignedChunkOfTwoMegabytesIsContiguousInVram) {
  const Buffer buffer(512);
  ASSERT_EQ(buffer.address() % (2 << 20), 0u);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  const uint64_t first = oracle().frame(buffer.data());
  EXPECT_EQ(first % 512, 0u);
  for (std::size_t page = 0; page < 512; ++page) {
    ASSERT_EQ(oracle().frame(buffer.page(page)), first + page);
  }
}

}  // namespace
}  // namespace kfdlab
