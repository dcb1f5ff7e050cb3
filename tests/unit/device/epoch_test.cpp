// SPDX-License-Identifier: MIT
#include "device/mmu/epoch.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>

#include "tests/unit/device/support/test_driver.h"

namespace kfdlab::device {
namespace {

TEST(Epoch, SynchronizeDoesNotWaitForOfflineThreads) {
  EpochDomain domain;
  EpochDomain::Participant& participant = domain.add_participant();
  domain.synchronize();
  participant.enter();
  participant.leave();
  domain.synchronize();
}

// Runs synchronize() in a thread and returns once it has begun.
class Synchronizer {
 public:
  explicit Synchronizer(EpochDomain& domain)
      : thread_([this, &domain] {
          domain.synchronize();
          done_ = true;
        }) {}
  ~Synchronizer() { thread_.join(); }
  [[nodiscard]] bool done() const { return done_; }

 private:
  std::atomic<bool> done_{false};
  std::thread thread_;
};

TEST(Epoch, SynchronizeWaitsForTheNextSafePoint) {
  EpochDomain domain;
  EpochDomain::Participant& participant = domain.add_participant();
  participant.enter();
  const std::uint64_t before = domain.current();
  {
    const Synchronizer synchronizer(domain);
    ASSERT_TRUE(eventually([&] { return domain.current() != before; }));
    EXPECT_FALSE(synchronizer.done());
    participant.pass();
    EXPECT_TRUE(eventually([&] { return synchronizer.done(); }));
  }
  participant.leave();
}

TEST(Epoch, LeavingIsASafePoint) {
  EpochDomain domain;
  EpochDomain::Participant& participant = domain.add_participant();
  participant.enter();
  const std::uint64_t before = domain.current();
  const Synchronizer synchronizer(domain);
  ASSERT_TRUE(eventually([&] { return domain.current() != before; }));
  EXPECT_FALSE(synchronizer.done());
  participant.leave();
  EXPECT_TRUE(eventually([&] { return synchronizer.done(); }));
}

TEST(Epoch, OnlyTheSlowThreadIsWaitedFor) {
  EpochDomain domain;
  EpochDomain::Participant& idle = domain.add_participant();
  EpochDomain::Participant& quick = domain.add_participant();
  EpochDomain::Participant& slow = domain.add_participant();
  idle.enter();
  idle.leave();
  quick.enter();
  slow.enter();
  const std::uint64_t before = domain.current();
  const Synchronizer synchronizer(domain);
  ASSERT_TRUE(eventually([&] { return domain.current() != before; }));
  quick.pass();
  EXPECT_FALSE(synchronizer.done());
  slow.pass();
  EXPECT_TRUE(eventually([&] { return synchronizer.done(); }));
}

// The promise itself: after synchronize() nobody uses what was current before. A "translation" is valid until it is
// retired; the reader must never see one that was retired and synchronized while it used it.
TEST(Epoch, NoThreadUsesAnOldTranslationAfterSynchronize) {
  constexpr int kRounds = 20000;
  EpochDomain domain;
  std::array<std::atomic<bool>, 2> valid = {true, false};
  std::atomic<unsigned> current{0};
  std::atomic<bool> stop{false};
  std::atomic<int> stale{0};
  EpochDomain::Participant& participant = domain.add_participant();
  std::thread reader([&] {
    while (!stop) {
      participant.enter();
      for (int i = 0; i < 8; ++i) {
        const unsigned translation = current.load(std::memory_order_relaxed);
        for (int use = 0; use < 4; ++use) {
          stale += !valid[translation].load(std::memory_order_relaxed);
        }
        participant.pass();
      }
      participant.leave();
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    const unsigned old = current.load();
    valid[old ^ 1] = true;
    current.store(old ^ 1, std::memory_order_relaxed);
    domain.synchronize();
    valid[old].store(false, std::memory_order_relaxed);
  }
  stop = true;
  reader.join();
  EXPECT_EQ(stale, 0);
}

}  // namespace
}  // namespace kfdlab::device
