// SPDX-License-Identifier: MIT
// Signals that arrive while an ioctl makes room.
#include <signal.h>
#include <sys/time.h>

#include <atomic>
#include <chrono>

#include "tests/kfd/evict_fixture.h"

namespace kfdlab {
namespace {

std::atomic<unsigned> signals_seen{0};
static_assert(decltype(signals_seen)::is_always_lock_free);

// SIGALRM every millisecond, to this process, without SA_RESTART.
class SignalStorm {
 public:
  SignalStorm() {
    signals_seen = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { ++signals_seen; };
    ::sigaction(SIGALRM, &action, &old_);
    const itimerval every{{0, 1000}, {0, 1000}};
    ::setitimer(ITIMER_REAL, &every, nullptr);
  }
  SignalStorm(const SignalStorm&) = delete;
  SignalStorm& operator=(const SignalStorm&) = delete;
  ~SignalStorm() {
    const itimerval off{};
    ::setitimer(ITIMER_REAL, &off, nullptr);
    ::sigaction(SIGALRM, &old_, nullptr);
  }

 private:
  struct sigaction old_ {};
};

class FaultSignal : public Evict {};

TEST_F(FaultSignal, PrefetchThatEvictsDuringASignalStormSucceedsAndLosesNothing) {
  const Buffer first(kLeft);
  const Buffer second(kLeft);
  fill_pattern(first.bytes(), kSeed);
  fill_pattern(second.bytes(), kSeed + 1);
  {
    const SignalStorm storm;
    for (int round = 0; round < 3; ++round) {
      ASSERT_EQ(kfd().svm_prefetch(first.address(), first.size(), gpu()), 0);
      ASSERT_EQ(kfd().svm_prefetch(second.address(), second.size(), gpu()), 0);
    }
    EXPECT_TRUE(eventually([] { return signals_seen > 0; }));
  }
  EXPECT_GE(pages_evicted(), 4 * kLeft) << "signals did not stop the search for room";
  EXPECT_EQ(contents(first), "");
  EXPECT_EQ(contents(second, kSeed + 1), "");
  EXPECT_EQ(counters().svm_pages_occupied, census(first).vram + census(second).vram);
  RecordProperty("signals", static_cast<int>(signals_seen));
}

TEST_F(FaultSignal, BufferAllocationThatEvictsDuringASignalStormGetsItsRoomOrSaysEintr) {
  const auto memory = std::make_unique<Buffer>(kLeft);
  fill_pattern(memory->bytes(), kSeed);
  const Reservation space(kLeft * kPageSize);
  unsigned made = 0;
  const SignalStorm storm;
  for (int round = 0; round < 4; ++round) {
    ASSERT_EQ(kfd().svm_prefetch(memory->address(), memory->size(), gpu()), 0);
    KfdAlloc request;
    request.va = space.address();
    request.size = space.size();
    request.gpu_id = gpu();
    request.flags = KFD_IOC_ALLOC_MEM_FLAGS_VRAM;
    const int error = kfd().alloc(&request);
    ASSERT_TRUE(error == 0 || error == EINTR) << error;
    if (error == 0) {
      ++made;
      EXPECT_EQ(census(*memory), all_ram(kLeft));
      EXPECT_EQ(kfd().free(request.handle), 0);
    }
    EXPECT_EQ(contents(*memory), "");
  }
  RecordProperty("allocations_made", static_cast<int>(made));
}

TEST_F(FaultSignal, KilledEvictorEndsInBoundedTimeAndItsVictimIsIntact) {
  const auto victim = in_vram(kLeft);
  VramUser evictor(gpu(), 4 * kLeft, kSeed + 1);
  const std::uint64_t before = counters().evictions;
  ASSERT_TRUE(evictor.start_sums(4 * kLeft, 100));
  EXPECT_TRUE(eventually([&] { return counters().evictions > before + 1; }));
  const auto begin = std::chrono::steady_clock::now();
  evictor.kill();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1) * patience());
  EXPECT_EQ(contents(*victim), "");
  EXPECT_TRUE(eventually([&] { return counters().svm_pages_occupied == census(*victim).vram; }));
}

}  // namespace
}  // namespace kfdlab
