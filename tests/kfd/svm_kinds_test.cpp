// SPDX-License-Identifier: MIT
// Kinds of memory that prefetch must treat with care: merged and huge pages, files, memory somebody
// else fills in, charged memory.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "tests/kfd/merging.h"
#include "tests/kfd/svm_fixture.h"
#include "tests/kfd/text_files.h"

namespace kfdlab {
namespace {

constexpr uint64_t kSeed = 11;

class SvmKinds : public SvmTest {
 protected:
  static std::string contents(const Buffer& buffer) { return pattern_error(buffer.bytes(), kSeed); }
};

// A merged page in VRAM would carry every other process's mapping of it along, and any page there may be in the middle
// of being merged.
TEST_F(SvmKinds, MemoryRegisteredForMergingStaysInRamUntilItIsTakenBack) {
  const Merging merging;
  KFDLAB_NEEDS(merging.works(), "this kernel has no KSM");
  constexpr std::size_t kSame = 32;
  const Buffer buffer(2 * kSame);
  // The first half is the same page over and over, the second is different everywhere.
  for (std::size_t page = 0; page < kSame; ++page) {
    fill_pattern(buffer.pages(page, 1), buffer.address(), kSeed);
  }
  fill_pattern(buffer.pages(kSame, kSame), kSeed);
  ASSERT_EQ(madvise(buffer.data(), buffer.size(), MADV_MERGEABLE), 0);
  ASSERT_TRUE(eventually([&] { return number_in("/sys/kernel/mm/ksm/pages_sharing") >= int64_t{kSame} - 1; },
                         std::chrono::seconds(10)));
  merging.pause();
  const uint64_t merged = oracle().frame(buffer.data());

  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(census(buffer, 0, kSame), (PageCensus{.none = 0, .ram = kSame, .vram = 0}));
  EXPECT_EQ(oracle().frame(buffer.page(kSame - 1)), merged);
  EXPECT_EQ(census(buffer, kSame, kSame), (PageCensus{.none = 0, .ram = kSame, .vram = 0}));

  ASSERT_EQ(madvise(buffer.data(), buffer.size(), MADV_UNMERGEABLE), 0);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(census(buffer), (PageCensus{.none = 0, .ram = 0, .vram = 2 * kSame}));
  for (std::size_t page = 0; page < kSame; ++page) {
    ASSERT_EQ(pattern_error(buffer.pages(page, 1), buffer.address(), kSeed), "");
  }
  EXPECT_EQ(pattern_error(buffer.pages(kSame, kSame), kSeed), "");
}

// The scratch disk as swap, while it lives. A RAM disk would not do: pages written to it leave the swap cache at once.
class DiskSwap {
 public:
  DiskSwap() : on_(std::system("mkswap /dev/vda >/dev/null 2>&1") == 0 && ::swapon("/dev/vda", 0) == 0) {}
  DiskSwap(const DiskSwap&) = delete;
  DiskSwap& operator=(const DiskSwap&) = delete;
  ~DiskSwap() {
    if (on_) {
      ::swapoff("/dev/vda");
    }
  }
  [[nodiscard]] bool on() const { return on_; }

 private:
  bool on_ = false;
};

// MADV_UNMERGEABLE parts the pages that are present. One that is swapped out comes back merged, and rmap knows nothing
// of where: collecting it left a migration entry behind, and touching that was a BUG().
TEST_F(SvmKinds, MergedPageThatReturnsFromSwapStaysInRam) {
  const Merging merging;
  KFDLAB_NEEDS(merging.works(), "this kernel has no KSM");
  const DiskSwap swap;
  KFDLAB_NEEDS(swap.on(), "needs a scratch disk and mkswap");
  const Buffer buffer(2);
  for (std::size_t page = 0; page < 2; ++page) {
    fill_pattern(buffer.pages(page, 1), buffer.address(), kSeed);
  }
  ASSERT_EQ(madvise(buffer.data(), buffer.size(), MADV_MERGEABLE), 0);
  ASSERT_TRUE(eventually([&] { return oracle().frame(buffer.page(0)) == oracle().frame(buffer.page(1)); },
                         std::chrono::seconds(10)));
  merging.pause();
  // A page with one mapping only is paged out on request.
  fill_pattern(buffer.pages(1, 1), buffer.address(), kSeed + 1);
  const uint64_t merged = oracle().frame(buffer.page(0));
  ASSERT_TRUE(eventually(
      [&] { return madvise(buffer.page(0), kPageSize, MADV_PAGEOUT) == 0 && oracle().frame(buffer.page(0)) == 0; }));
  ASSERT_EQ(madvise(buffer.data(), buffer.size(), MADV_UNMERGEABLE), 0);
  // What it knows of memory that is registered no more it forgets when it comes by.
  merging.resume();
  ASSERT_TRUE(eventually([] { return number_in("/sys/kernel/mm/ksm/pages_shared") == 0; }, std::chrono::seconds(10)));
  merging.pause();
  ASSERT_EQ(pattern_error(buffer.pages(0, 1), buffer.address(), kSeed), "");
  const bool returned = oracle().frame(buffer.page(0)) == merged;
  RecordProperty("returned_merged", returned ? 1 : 0);

  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(pattern_error(buffer.pages(0, 1), buffer.address(), kSeed), "");
  EXPECT_EQ(pattern_error(buffer.pages(1, 1), buffer.address(), kSeed + 1), "");
  if (returned) {
    EXPECT_EQ(oracle().frame(buffer.page(0)), merged);
  }
}

// Who registered for missing pages is to fill them in, not the driver.
TEST_F(SvmKinds, HolesOfUserfaultfdStayHoles) {
  const Fd fault(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
  KFDLAB_NEEDS(fault.valid(), "this kernel has no userfaultfd");
  uffdio_api api{};
  api.api = UFFD_API;
  ASSERT_EQ(ioctl(fault.get(), UFFDIO_API, &api), 0);
  const Buffer buffer(8);
  fill_pattern(buffer.pages(0, 4), kSeed);
  uffdio_register registration{};
  registration.range = {buffer.address(), buffer.size()};
  registration.mode = UFFDIO_REGISTER_MODE_MISSING;
  ASSERT_EQ(ioctl(fault.get(), UFFDIO_REGISTER, &registration), 0);
  const kfdlab_test_counters before = counters();
  ASSERT_TRUE(prefetch_to_vram(buffer));
  const kfdlab_test_counters after = counters();
  EXPECT_EQ(census(buffer), (PageCensus{.none = 4, .ram = 0, .vram = 4}));
  EXPECT_EQ(after.pages_failed, before.pages_failed);
  EXPECT_EQ(after.svm_pages_occupied - before.svm_pages_occupied, 4u);
  EXPECT_EQ(pattern_error(buffer.pages(0, 4), kSeed), "");
}

// A memory cgroup of this process while the object lives.
class Cgroup {
 public:
  Cgroup() {
    write_to(kRoot + "/cgroup.subtree_control", "+memory");
    mkdir(path_.c_str(), 0755);
    joined_ = number_in(path_ + "/memory.current") >= 0 && write_to(path_ + "/cgroup.procs", "0");
  }
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;
  ~Cgroup() {
    write_to(kRoot + "/cgroup.procs", "0");
    rmdir(path_.c_str());
  }
  [[nodiscard]] bool joined() const { return joined_; }
  [[nodiscard]] int64_t charged() const { return number_in(path_ + "/memory.current"); }

 private:
  inline static const std::string kRoot = "/sys/fs/cgroup";
  std::string path_ = kRoot + "/kfdlab_svm_kinds";
  bool joined_ = false;
};

TEST_F(SvmKinds, PagesMadeInVramAreChargedToTheProcess) {
  const Cgroup cgroup;
  KFDLAB_NEEDS(cgroup.joined(), "no memory controller in /sys/fs/cgroup");
  constexpr int64_t kBytes = 2048 * kPageSize;
  // The kernel charges in batches per CPU and for page tables and structures of the driver too.
  constexpr int64_t kSlack = kBytes / 4;
  const int64_t before = cgroup.charged();
  {
    const Buffer buffer(2048);
    ASSERT_TRUE(prefetch_to_vram(buffer));
    EXPECT_NEAR(static_cast<double>(cgroup.charged() - before), kBytes, kSlack);
    ASSERT_TRUE(device().evict(gpu()).ok());
    EXPECT_NEAR(static_cast<double>(cgroup.charged() - before), kBytes, kSlack) << "the charge moves with the page";
    ASSERT_TRUE(prefetch_to_vram(buffer));
    EXPECT_NEAR(static_cast<double>(cgroup.charged() - before), kBytes, kSlack);
  }
  EXPECT_TRUE(eventually([&] { return cgroup.charged() - before < kSlack; }));
}

// With swap the pages are absent at first and then, on 6.1, refused while the swap cache has them; where they end up
// is the kernel's choice, what they hold is not.
TEST_F(SvmKinds, PagedOutMemoryLosesNothing) {
  const Buffer buffer(64);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_EQ(madvise(buffer.data(), buffer.size(), MADV_PAGEOUT), 0);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
  ASSERT_TRUE(prefetch_to_ram(buffer));
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
}

TEST_F(SvmKinds, LockedMemoryMovesAndStaysLocked) {
  const Buffer buffer(64);
  ASSERT_EQ(mlock(buffer.data(), buffer.size()), 0);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(census(buffer), (PageCensus{.none = 0, .ram = 0, .vram = 64}));
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
  ASSERT_TRUE(prefetch_to_ram(buffer));
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
  auto pages = device().pages(buffer.data(), 64);
  ASSERT_TRUE(pages.ok());
  EXPECT_TRUE(std::all_of(pages.value().begin(), pages.value().end(),
                          [](const kfdlab_page& page) { return (page.flags & KFDLAB_PAGE_MLOCKED) != 0; }));
}

TEST_F(SvmKinds, HugePagesAreSplitAndMove) {
  const Buffer buffer(1024);
  ASSERT_EQ(madvise(buffer.data(), buffer.size(), MADV_HUGEPAGE), 0);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(census(buffer), all_vram(1024));
  EXPECT_EQ(contents(buffer), "");
  ASSERT_TRUE(prefetch_to_ram(buffer));
  EXPECT_EQ(census(buffer), all_ram(1024));
  EXPECT_EQ(contents(buffer), "");
}

TEST_F(SvmKinds, PrefetchToRamLeavesHugePagesWhole) {
  const Buffer elsewhere(8);
  ASSERT_TRUE(prefetch_to_vram(elsewhere));
  const Buffer buffer(1024);
  ASSERT_EQ(madvise(buffer.data(), buffer.size(), MADV_HUGEPAGE), 0);
  fill_pattern(buffer.bytes(), kSeed);
  const std::size_t huge = huge_pages_at(buffer.data());
  KFDLAB_NEEDS(huge > 0, "no transparent huge page could be had");
  ASSERT_TRUE(prefetch_to_ram(buffer));
  EXPECT_EQ(huge_pages_at(buffer.data()), huge);
  EXPECT_EQ(contents(buffer), "");
}

TEST_F(SvmKinds, CowedPagesOfAPrivateFileMoveAndTheFileIsUnchanged) {
  const Fd file(memfd_create("svm_kinds", MFD_CLOEXEC));
  ASSERT_TRUE(file.valid());
  ASSERT_EQ(ftruncate(file.get(), 8 * kPageSize), 0);
  const Buffer buffer(8, file.get(), MAP_PRIVATE);
  for (std::size_t page = 0; page < 8; ++page) {
    ASSERT_EQ(zero_bytes(buffer.pages(page, 1)), kPageSize);  // maps the file's page
  }
  fill_pattern(buffer.pages(2, 3), kSeed);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(census(buffer, 0, 2), all_ram(2));
  EXPECT_EQ(census(buffer, 2, 3), all_vram(3));
  EXPECT_EQ(census(buffer, 5, 3), all_ram(3));
  EXPECT_EQ(pattern_error(buffer.pages(2, 3), kSeed), "");
  std::byte word[8];
  ASSERT_EQ(pread(file.get(), word, sizeof word, 2 * kPageSize), 8);
  EXPECT_EQ(zero_bytes(word), sizeof word);
}

TEST_F(SvmKinds, SharedMemoryStaysInRam) {
  const Fd file(memfd_create("svm_kinds", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(file.get(), 8 * kPageSize), 0);
  const Buffer buffer(8, file.get(), MAP_SHARED);
  fill_pattern(buffer.bytes(), kSeed);
  const kfdlab_test_counters before = counters();
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(census(buffer), all_ram(8));
  EXPECT_EQ(counters().pages_to_vram, before.pages_to_vram);
  EXPECT_EQ(contents(buffer), "");
}

TEST_F(SvmKinds, HugetlbIsLeftAlone) {
  FILE* const pool = std::fopen("/proc/sys/vm/nr_hugepages", "r+e");
  KFDLAB_NEEDS(pool != nullptr, "no hugetlb pool");
  std::fputs("2\n", pool);
  std::fclose(pool);
  void* const at = mmap(nullptr, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
  KFDLAB_NEEDS(at != MAP_FAILED, "no huge page could be had");
  std::memset(at, 1, 2 << 20);
  EXPECT_EQ(kfd().svm_prefetch(reinterpret_cast<uint64_t>(at), 2 << 20, gpu()), 0);
  EXPECT_EQ(oracle().census(at, 512), all_ram(512));
  munmap(at, 2 << 20);
  FILE* const again = std::fopen("/proc/sys/vm/nr_hugepages", "we");
  if (again != nullptr) {
    std::fputs("0\n", again);
    std::fclose(again);
  }
}

TEST_F(SvmKinds, EveryGpuCanBePrefetchedTo) {
  const Buffer buffer(600);
  fill_pattern(buffer.bytes(), kSeed);
  const std::vector<uint32_t> gpus = kfd_gpu_ids();
  for (const uint32_t id : gpus) {
    ASSERT_TRUE(prefetch(buffer, id));
    auto pages = device().pages(buffer.data(), buffer.npages());
    ASSERT_TRUE(pages.ok());
    EXPECT_TRUE(std::all_of(pages.value().begin(), pages.value().end(),
                            [&](const kfdlab_page& page) { return page.gpu_id == id; }));
    EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
    for (const uint32_t other : gpus) {
      auto state = device().counters(other);
      ASSERT_TRUE(state.ok());
      EXPECT_EQ(state.value().svm_pages_occupied, other == id ? 600u : 0u);
    }
  }
}

}  // namespace
}  // namespace kfdlab
