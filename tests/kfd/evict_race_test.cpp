// SPDX-License-Identifier: MIT
// Eviction of pages while their owner changes everything about them: a seeded run of operations, each checked.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>

#include "tests/kfd/evict_fixture.h"

namespace kfdlab {
namespace {

// A run of pages that knows what it should contain: pattern of the address it was filled at, and of a generation.
class Piece {
 public:
  static constexpr std::size_t kPages = 32;
  static constexpr std::size_t kBytes = kPages * kPageSize;

  explicit Piece(std::uint64_t generation) { map(generation); }
  ~Piece() { ::munmap(at_, kBytes); }
  Piece(const Piece&) = delete;
  Piece& operator=(const Piece&) = delete;

  [[nodiscard]] std::span<std::byte> bytes() const { return {at_, kBytes}; }
  [[nodiscard]] bool right() const { return !find_mismatch(bytes(), filled_at_, generation_); }
  void rewrite(std::uint64_t generation) {
    generation_ = generation;
    filled_at_ = reinterpret_cast<std::uintptr_t>(at_);
    fill_pattern(bytes(), generation);
  }
  void replace(std::uint64_t generation) {
    ::munmap(at_, kBytes);
    map(generation);
  }
  // The pages move in the address space, their contents stay.
  bool move() {
    void* const target = ::mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    void* const now = ::mremap(at_, kBytes, kBytes, MREMAP_MAYMOVE | MREMAP_FIXED, target);
    if (now == MAP_FAILED) {
      return false;
    }
    at_ = static_cast<std::byte*>(now);
    return true;
  }
  bool protect_and_check() const {
    ::mprotect(at_, kBytes, PROT_NONE);
    ::mprotect(at_, kBytes, PROT_READ);
    const bool good = right();
    ::mprotect(at_, kBytes, PROT_READ | PROT_WRITE);
    return good;
  }

 private:
  void map(std::uint64_t generation) {
    at_ = static_cast<std::byte*>(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ::madvise(at_, kBytes, MADV_NOHUGEPAGE);
    rewrite(generation);
  }
  std::byte* at_ = nullptr;
  std::uint64_t filled_at_ = 0;
  std::uint64_t generation_ = 0;
};

enum Step : unsigned { kPrefetch, kPrefetchToo, kRewrite, kCheck, kReplace, kMove, kProtect, kFork, kExec, kSteps };

// A child that checks what it inherited.
bool forked_child_sees_right(const Piece& piece) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(piece.right() ? 0 : 1);
  }
  int status = 0;
  return ::waitpid(child, &status, 0) == child && status == 0;
}

// A child that drops all of the memory at once by execve().
bool forked_child_execs() {
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl("/bin/true", "true", static_cast<char*>(nullptr));
    ::_exit(1);
  }
  int status = 0;
  return ::waitpid(child, &status, 0) == child && status == 0;
}

struct RaceResult {
  bool ended = false;
  unsigned done[kSteps] = {};
  unsigned wrong = kSteps;  // the step that found wrong contents
  int error = 0;
};

// Tells the parent how far it is, so that a slow machine is not taken for a hang.
bool race(Peer& parent, std::uint32_t gpu, std::uint64_t seed, unsigned steps) {
  RaceResult result;
  const auto kfd = KfdClient::open();
  std::mt19937_64 random(seed);
  std::vector<std::unique_ptr<Piece>> pieces;
  std::uint64_t generation = seed;
  for (int i = 0; i < 24; ++i) {
    pieces.push_back(std::make_unique<Piece>(++generation));
  }
  for (unsigned step = 0; step < steps && result.wrong == kSteps && result.error == 0; ++step) {
    Piece& piece = *pieces[random() % pieces.size()];
    const auto what = static_cast<Step>(random() % kSteps);
    bool good = true;
    switch (what) {
      case kPrefetch:
      case kPrefetchToo:
        result.error =
            kfd.value().svm_prefetch(reinterpret_cast<std::uintptr_t>(piece.bytes().data()), Piece::kBytes, gpu);
        break;
      case kRewrite:
        piece.rewrite(++generation);
        break;
      case kCheck:
        good = piece.right();
        break;
      case kReplace:
        piece.replace(++generation);
        break;
      case kMove:
        good = piece.move() && piece.right();
        break;
      case kProtect:
        good = piece.protect_and_check();
        break;
      case kFork:
        good = forked_child_sees_right(piece);
        break;
      case kExec:
        good = forked_child_execs();
        break;
      case kSteps:
        break;
    }
    ++result.done[what];
    result.wrong = good ? kSteps : what;
    if (step % 10 == 9 && !parent.send(result)) {
      return false;
    }
  }
  for (const auto& piece : pieces) {
    if (!piece->right()) {
      result.wrong = kCheck;
    }
  }
  result.ended = true;
  return parent.send(result);
}

class EvictRace : public Evict {};

TEST_F(EvictRace, OwnerMapsMovesForksAndExecsWhileItsPagesAreEvicted) {
  constexpr unsigned kStepsEach = 120;
  // Less than one owner needs: each prefetch pushes something out.
  constexpr std::size_t kVram = 256;
  leave(kVram);
  std::vector<std::unique_ptr<Child>> owners;
  for (std::uint64_t i = 0; i < 2; ++i) {
    owners.push_back(std::make_unique<Child>(
        [&, i](Peer& parent) { return race(parent, gpu(), test_seed() * 100 + i, kStepsEach) ? 0 : 1; }));
  }
  unsigned total = 0;
  for (const auto& owner : owners) {
    RaceResult result;
    while (!result.ended) {
      ASSERT_TRUE(owner->peer().receive(&result)) << "seed " << test_seed();
    }
    EXPECT_EQ(result.error, 0) << "seed " << test_seed();
    EXPECT_EQ(result.wrong, static_cast<unsigned>(kSteps)) << "wrong contents found by this step, seed " << test_seed();
    EXPECT_EQ(owner->wait(), 0);
    total += std::accumulate(std::begin(result.done), std::end(result.done), 0u);
  }
  EXPECT_EQ(total, 2 * kStepsEach);
  EXPECT_GT(evictions(), 0u);
  RecordProperty("operations", static_cast<int>(total));
  RecordProperty("ttm_evictions", std::to_string(evictions()));
  RecordProperty("pages_evicted", std::to_string(pages_evicted()));
  EXPECT_TRUE(eventually([&] { return held_pages() == 0; }));
}

// What was being copied when its owner died is nobody's; nothing of it stays behind.
TEST_F(EvictRace, OwnerKilledDuringEvictionLeavesNothing) {
  const auto survivor = in_vram(64);
  for (int round = 0; round < 4; ++round) {
    VramUser owner(gpu(), kLeft - 64, kSeed + 1);
    ASSERT_TRUE(owner.to_vram().fine());
    const std::uint64_t before = counters().pages_to_ram_evict;
    std::thread evictor([&] { EXPECT_TRUE(device().evict(gpu()).ok()); });
    EXPECT_TRUE(eventually([&] { return counters().pages_to_ram_evict != before; }));
    owner.kill();
    evictor.join();
    // The owner shared the survivor's pages, and a process that ends holds what it unmaps for a moment.
    EXPECT_TRUE(eventually([&] { return device().evict(gpu()).ok() && held_pages() == 0; }))
        << held_pages() << " pages held, round " << round;
    EXPECT_EQ(contents(*survivor), "");
    ASSERT_EQ(move_to_vram(*survivor), all_vram(64));
  }
}

// The other end: whoever makes room dies in the middle of it.
TEST_F(EvictRace, EvictorKilledDuringEvictionLosesNothingOfOthers) {
  const auto victim = in_vram(kLeft);
  for (int round = 0; round < 4; ++round) {
    ASSERT_EQ(move_to_vram(*victim), all_vram(kLeft));
    const std::uint64_t before = counters().pages_to_ram_evict;
    VramUser evictor(gpu(), kLeft, kSeed + 1);
    ASSERT_TRUE(evictor.start_to_vram());
    EXPECT_TRUE(eventually([&] { return counters().pages_to_ram_evict != before; }));
    evictor.kill();
    EXPECT_EQ(contents(*victim), "") << "round " << round;
    EXPECT_TRUE(eventually([&] { return counters().svm_pages_occupied == census(*victim).vram; }));
    EXPECT_EQ(census(*victim).none, 0u);
  }
}

}  // namespace
}  // namespace kfdlab
