// SPDX-License-Identifier: MIT
// What the CPU does to memory while ranges exist on it, one after the other and at once.
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <random>
#include <string>
#include <thread>

#include "tests/kfd/svm_fixture.h"

namespace kfdlab {
namespace {

class SvmNotifier : public SvmTest {};

TEST_F(SvmNotifier, EventsOtherThanMunmapKeepAttributes) {
  const Buffer buffer(8);
  std::memset(buffer.data(), 1, buffer.size());
  ASSERT_EQ(set_granularity(buffer.address(), 8, 4), 0);
  ASSERT_EQ(madvise(buffer.data(), buffer.size(), MADV_DONTNEED), 0);
  EXPECT_EQ(answer(buffer.address(), 8).granularity, 4u);
  buffer.protect(0, 4, PROT_READ);
  buffer.protect(0, 8, PROT_READ | PROT_WRITE);
  EXPECT_EQ(answer(buffer.address(), 8).granularity, 4u);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  ASSERT_TRUE(device().evict(gpu()).ok());
  EXPECT_EQ(answer(buffer.address(), 8).granularity, 4u);
  EXPECT_EQ(in_child([&] {
              std::memset(buffer.data(), 2, buffer.size());
              return 0;
            }),
            0);
  std::memset(buffer.data(), 3, buffer.size());  // COW against the child's share
  EXPECT_EQ(answer(buffer.address(), 8).granularity, 4u);
  EXPECT_EQ(counters().svm_ranges, 1u);
}

// Memory that one thread maps and unmaps while others call the driver on it. Allowed answers are success and
// EFAULT; afterwards everything works and nothing is left. It lies far below where mmap looks for room, so that no
// thread's stack lands in its holes, or becomes one huge page with it, which the kernel would not migrate.
class Arena {
 public:
  static constexpr std::size_t kPages = 1024;
  Arena() { map(0, kPages); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { unmap(0, kPages); }

  [[nodiscard]] static uint64_t page(std::size_t index) { return (UINT64_C(1) << 40) + index * kPageSize; }
  static void unmap(std::size_t first, std::size_t count) {
    munmap(reinterpret_cast<void*>(page(first)), count * kPageSize);
  }
  static void map(std::size_t first, std::size_t count) {
    void* const at = mmap(reinterpret_cast<void*>(page(first)), count * kPageSize, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    EXPECT_EQ(at, reinterpret_cast<void*>(page(first)));
  }
};

class SvmRace : public SvmTest {
 protected:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kTime{800};

  // Runs all of `loops` in threads of their own until the time is up; each gets its own generator.
  static void race(const std::vector<std::function<void(std::mt19937_64&)>>& loops) {
    const Clock::time_point end = Clock::now() + kTime;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < loops.size(); ++i) {
      threads.emplace_back([&, i] {
        std::mt19937_64 random(test_seed() * 1000 + i);
        while (Clock::now() < end) {
          loops[i](random);
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }

  static std::pair<std::size_t, std::size_t> interval(std::mt19937_64& random) {
    const std::size_t first = random() % Arena::kPages;
    return {first, 1 + random() % std::min<std::size_t>(Arena::kPages - first, random() % 2 != 0 ? 1024 : 16)};
  }

  // Everything the driver answered that it should not have.
  void note(int error) {
    if (error != 0 && error != EFAULT) {
      wrong_ = error;
    }
  }
  [[nodiscard]] int wrong() const { return wrong_; }

  void expect_usable() const {
    ASSERT_EQ(set_granularity(Arena::page(0), Arena::kPages, 6), 0);
    EXPECT_EQ(answer(Arena::page(0), Arena::kPages).granularity, 6u);
    ASSERT_EQ(kfd().svm_prefetch(Arena::page(0), Arena::kPages * kPageSize, gpu()), 0);
    EXPECT_EQ(oracle().census(reinterpret_cast<void*>(Arena::page(0)), Arena::kPages),
              (PageCensus{.none = 0, .ram = 0, .vram = Arena::kPages}));
  }

 private:
  std::atomic<int> wrong_{0};
};

TEST_F(SvmRace, MunmapAgainstSetAndGet) {
  const Arena arena;
  race({[&](std::mt19937_64& random) {
          const auto [first, count] = interval(random);
          Arena::unmap(first, count);
          Arena::map(first, count);
        },
        [&](std::mt19937_64& random) {
          const auto [first, count] = interval(random);
          note(set_granularity(Arena::page(first), count, static_cast<uint32_t>(random() % 8)));
        },
        [&](std::mt19937_64& random) {
          const auto [first, count] = interval(random);
          SvmAnswer found;
          note(get(Arena::page(first), count, &found));
        }});
  EXPECT_EQ(wrong(), 0);
  expect_usable();
}

TEST_F(SvmRace, MunmapAgainstPrefetchBothWays) {
  const Arena arena;
  race({[&](std::mt19937_64& random) {
          const auto [first, count] = interval(random);
          Arena::unmap(first, count);
          Arena::map(first, count);
        },
        [&](std::mt19937_64& random) {
          const auto [first, count] = interval(random);
          note(kfd().svm_prefetch(Arena::page(first), count * kPageSize, gpu()));
        },
        [&](std::mt19937_64& random) {
          const auto [first, count] = interval(random);
          note(kfd().svm_prefetch(Arena::page(first), count * kPageSize, random() % 2 != 0 ? gpu() : kSvmSystem));
        }});
  EXPECT_EQ(wrong(), 0);
  expect_usable();
}

// A writer keeps counting in its own word of each page; no migration may lose a write.
TEST_F(SvmRace, MigrationLosesNoWrite) {
  // Few: taking a page from a process with several threads costs an interrupt to every CPU, slow when emulated.
  constexpr std::size_t kPages = 128;
  const Buffer buffer(kPages);
  std::memset(buffer.data(), 0, buffer.size());
  std::vector<uint64_t> written(kPages, 0);
  race({[&](std::mt19937_64& random) {
          const std::size_t page = random() % kPages;
          volatile auto* const word = reinterpret_cast<uint64_t*>(buffer.page(page)) + 17;
          *word = *word + 1;
          ++written[page];
        },
        [&](std::mt19937_64&) {
          note(kfd().svm_prefetch(buffer.address(), buffer.size(), gpu()));
          note(kfd().svm_prefetch(buffer.address(), buffer.size(), kSvmSystem));
        },
        [&](std::mt19937_64&) {
          if (!device().evict(gpu()).ok()) {
            note(EIO);
          }
        }});
  EXPECT_EQ(wrong(), 0);
  for (std::size_t page = 0; page < kPages; ++page) {
    ASSERT_EQ(reinterpret_cast<uint64_t*>(buffer.page(page))[17], written[page]) << "page " << page;
  }
}

TEST_F(SvmRace, ForkAgainstPrefetchKeepsContents) {
  const Buffer buffer(64);
  fill_pattern(buffer.bytes(), 5);
  std::atomic<int> bad{0};
  race({[&](std::mt19937_64&) {
          if (in_child([&] { return pattern_error(buffer.bytes(), 5).empty() ? 0 : 1; }) != 0) {
            ++bad;
          }
        },
        [&](std::mt19937_64&) {
          note(kfd().svm_prefetch(buffer.address(), buffer.size(), gpu()));
          note(kfd().svm_prefetch(buffer.address(), buffer.size(), kSvmSystem));
        }});
  EXPECT_EQ(wrong(), 0);
  EXPECT_EQ(bad, 0);
  EXPECT_EQ(pattern_error(buffer.bytes(), 5), "");
}

// 6.1 reports MADV_DONTNEED on hugetlb memory as an unmapping, while mmap_lock is held for reading only: the record of
// unmapped pages changes while the driver acts on it.
TEST_F(SvmRace, HugetlbDontneedAgainstSetAndGet) {
  constexpr std::size_t kHugePages = 512;
  constexpr std::size_t kPagesEach = 512;
  constexpr std::size_t kPages = kHugePages * kPagesEach;
  void* const at = mmap(nullptr, kPages * kPageSize, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);
  KFDLAB_NEEDS(at != MAP_FAILED, "this kernel has no hugetlb memory");
  const auto page = [&](std::size_t index) { return reinterpret_cast<uint64_t>(at) + index * kPageSize; };
  ASSERT_EQ(set_granularity(page(0), kPages, 5), 0);
  const auto drop = [&](std::mt19937_64& random) {
    const std::size_t huge = random() % kHugePages;
    madvise(reinterpret_cast<void*>(page(huge * kPagesEach)), kPagesEach * kPageSize, MADV_DONTNEED);
  };
  race({drop, drop, [&](std::mt19937_64& random) {
          note(set_granularity(page(0), kPages, 5));
          for (int i = 0; i < 20; ++i) {
            SvmAnswer found;
            note(get(page(random() % kPages), 1, &found));
          }
        }});
  EXPECT_EQ(wrong(), 0);
  ASSERT_EQ(set_granularity(page(0), kPages, 5), 0);
  EXPECT_EQ(answer(page(0), kPages).granularity, 5u);

  ASSERT_EQ(munmap(at, kPages * kPageSize), 0);
  ASSERT_EQ(mmap(at, kPages * kPageSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), at);
  EXPECT_EQ(answer(page(0), kPages), kSvmDefaults) << "munmap itself drops attributes of hugetlb memory too";
  munmap(at, kPages * kPageSize);
}

}  // namespace
}  // namespace kfdlab
