// SPDX-License-Identifier: MIT
// EpochDomain: how a TLB invalidation knows that nobody uses an old translation any more.
//
// A thread that uses translations is a participant. It is online between enter() and leave() and calls pass() at
// its safe points: places where it holds no translation, reached at least every 64 KiB of copying (and, for an
// engine, every few blocks of code). synchronize() returns once every participant was offline or at a safe point
// after the call began. A participant never waits; the price of a safe point nobody waits for is one load.
//
// Invariant: whatever the caller of synchronize() did before (a page table entry it saw cleared, a ring entry it
// read) is visible to every participant after that participant's next enter() or pass().
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <limits>
#include <list>
#include <mutex>

namespace kfdlab::device {

class EpochDomain {
 public:
  class Participant {
   public:
    explicit Participant(EpochDomain& domain) : domain_(domain) {}
    Participant(const Participant&) = delete;
    Participant& operator=(const Participant&) = delete;

    // All three: only by the thread the participant belongs to.
    void enter();
    void pass();
    void leave();

   private:
    friend class EpochDomain;
    static constexpr std::uint64_t kOffline = std::numeric_limits<std::uint64_t>::max();

    EpochDomain& domain_;
    // The newest epoch this thread has seen, or kOffline, which is newer than all. Written by its thread only.
    std::atomic<std::uint64_t> seen_{kOffline};
  };

  EpochDomain() = default;
  EpochDomain(const EpochDomain&) = delete;
  EpochDomain& operator=(const EpochDomain&) = delete;

  // A participant that lives as long as the domain; offline at first. Any thread.
  [[nodiscard]] Participant& add_participant();

  // Blocks as described above. Any thread that is not itself online. Several may run at once.
  void synchronize();

  // Grows by one with each synchronize() that begins; for tests, which must know that one has.
  [[nodiscard]] std::uint64_t current() const { return epoch_.load(std::memory_order_seq_cst); }

 private:
  void wake_waiters();

  std::atomic<std::uint64_t> epoch_{1};
  std::mutex mutex_;  // guards participants_ and makes waiting race-free; never taken by pass() while epoch_ stands
  std::condition_variable passed_;
  std::list<Participant> participants_;
};

}  // namespace kfdlab::device
