// SPDX-License-Identifier: MIT
// Any two operations on the same pages at the same time, in an order that the seed decides. Whatever each of them comes
// to, the contents are right and nothing is left behind.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/gup/gup_fixture.h"
#include "tests/support/buffer.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab::states {
namespace {

constexpr std::size_t kPages = 64;
constexpr int kTurns = 25;
constexpr std::uint64_t kSeed = 43;

enum class Act : std::uint8_t { ToVram, ToRam, Evict, Pin, LongtermPin, Fork, Write, Protect, PageOut, Remap };
constexpr std::array kActs = {
    std::pair{Act::ToVram, "to_vram"}, std::pair{Act::ToRam, "to_ram"},         std::pair{Act::Evict, "evict"},
    std::pair{Act::Pin, "pin"},        std::pair{Act::LongtermPin, "longterm"}, std::pair{Act::Fork, "fork"},
    std::pair{Act::Write, "write"},    std::pair{Act::Protect, "protect"},      std::pair{Act::PageOut, "page_out"},
    std::pair{Act::Remap, "remap"}};

struct Pair {
  Act first;
  Act second;
  std::string name;
};

// Who writes or reads through an address must find memory there: one thread's mremap() is another's SIGSEGV.
bool excludes(Act act, Act other) {
  return (act == Act::Remap && (other == Act::Write || other == Act::Fork || other == Act::Remap)) ||
         (act == Act::Protect && (other == Act::Write || other == Act::Remap));
}

std::vector<Pair> all_pairs() {
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < kActs.size(); ++i) {
    for (std::size_t j = i; j < kActs.size(); ++j) {
      if (excludes(kActs[i].first, kActs[j].first) || excludes(kActs[j].first, kActs[i].first)) {
        continue;
      }
      pairs.push_back({kActs[i].first, kActs[j].first, std::string(kActs[i].second) + "_" + kActs[j].second});
    }
  }
  return pairs;
}

class PageRace : public GupTest, public testing::WithParamInterface<Pair> {
 protected:
  // Part of the buffer, as the generator says.
  static std::span<std::byte> part(const Buffer& buffer, std::mt19937_64& random) {
    const std::size_t first = random() % kPages;
    return buffer.pages(first, 1 + random() % (kPages - first));
  }

  void act(Act what, const Buffer& buffer, std::mt19937_64& random) {
    const auto pages = part(buffer, random);
    GupHold held;
    switch (what) {
      case Act::ToVram:
        static_cast<void>(prefetch_to_vram(pages));
        break;
      case Act::ToRam:
        static_cast<void>(prefetch_to_ram(pages));
        break;
      case Act::Evict:
        static_cast<void>(device().evict(gpu_id()));
        break;
      case Act::Pin:
        static_cast<void>(hold(kPinFastWrite, pages, &held));
        break;
      case Act::LongtermPin:
        // A page that another holds cannot leave, and then there is no pin.
        if (hold(kPinFastLongtermWrite, pages, &held) == 0 && held.vram() != 0) {
          held_in_vram_ = true;
        }
        break;
      case Act::Fork:
        fork_and_look(buffer);
        break;
      case Act::Write:
        fill_pattern(pages, kSeed);
        break;
      case Act::Protect:
        ::mprotect(pages.data(), pages.size(), PROT_READ);
        ::mprotect(pages.data(), pages.size(), PROT_READ | PROT_WRITE);
        break;
      case Act::PageOut:
        ::madvise(pages.data(), pages.size(), MADV_PAGEOUT);
        break;
      case Act::Remap:
        // To where it is, by way of a place that nobody knows.
        remap(pages);
        break;
    }
  }

  std::atomic<bool> held_in_vram_ = false;
  std::atomic<int> wrong_children_ = 0;

 private:
  void fork_and_look(const Buffer& buffer) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::_exit(find_mismatch(buffer.bytes(), kSeed) ? 1 : 0);
    }
    int status = 0;
    if (::waitpid(child, &status, 0) != child || status != 0) {
      ++wrong_children_;
    }
  }
  static void remap(std::span<std::byte> pages) {
    void* const away = ::mmap(nullptr, pages.size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void* const moved = ::mremap(pages.data(), pages.size(), pages.size(), MREMAP_MAYMOVE | MREMAP_FIXED, away);
    if (moved == away) {
      ::mremap(moved, pages.size(), pages.size(), MREMAP_MAYMOVE | MREMAP_FIXED, pages.data());
    }
  }
};

TEST_P(PageRace, TwoOperationsAtOnceLoseNothing) {
  const Pair& pair = GetParam();
  std::mt19937_64 random(test_seed() * 100 + static_cast<std::uint64_t>(pair.first) * 10 +
                         static_cast<std::uint64_t>(pair.second));
  for (int turn = 0; turn < kTurns; ++turn) {
    const Buffer buffer(kPages);
    fill_pattern(buffer.bytes(), kSeed);
    if (random() % 2 == 0) {
      static_cast<void>(prefetch_to_vram(buffer.bytes()));
    }
    std::atomic<int> ready = 0;
    const auto side = [&](Act what, std::uint64_t seed) {
      std::mt19937_64 own(seed);
      ready.fetch_add(1);
      while (ready.load() < 2) {
      }
      for (int i = 0; i < 3; ++i) {
        act(what, buffer, own);
      }
    };
    std::thread other(side, pair.second, random());
    side(pair.first, random());
    other.join();
    ASSERT_EQ(pattern_error(buffer.bytes(), kSeed), "") << "turn " << turn;
    ASSERT_FALSE(held_in_vram_) << "a long-term pin held pages in VRAM, turn " << turn;
    ASSERT_EQ(wrong_children_, 0) << "turn " << turn;
  }
  EXPECT_TRUE(eventually([&] { return counters().svm_pages_occupied == 0; })) << "VRAM pages were left behind";
  EXPECT_EQ(outstanding_pins(), 0);
}

INSTANTIATE_TEST_SUITE_P(Any, PageRace, testing::ValuesIn(all_pairs()),
                         [](const testing::TestParamInfo<Pair>& pair) { return pair.param.name; });

}  // namespace
}  // namespace kfdlab::states
