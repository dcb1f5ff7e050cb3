// SPDX-License-Identifier: MIT
// QueueInbox: how other threads reach the thread of the QueueScheduler: kernels that have ended, kicks, requests of
// the control thread. It outlives the engine, which may deliver until it is destroyed.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "device/engine/dispatch.h"

namespace kfdlab::device {

// A kernel that has ended, on its way from an engine thread to its queue.
struct FinishedDispatch {
  std::uint32_t queue = 0;
  std::uint64_t queue_serial = 0;  // tells a queue from an earlier one of the same number
  std::uint64_t tag = 0;           // the queue's own
  engine::Outcome outcome;
};

class QueueInbox {
 public:
  using Clock = std::chrono::steady_clock;
  using Request = std::function<void()>;

  QueueInbox() = default;
  QueueInbox(const QueueInbox&) = delete;
  QueueInbox& operator=(const QueueInbox&) = delete;

  // Any thread.
  void post(FinishedDispatch finished);
  // Somebody wants to write a doorbell, or has.
  void kick();
  // Memory may have changed that a packet waits for. Nothing happens if none does.
  void wake_waiting();
  // Has the scheduler's thread execute `request` between two pieces of work and waits for it; false, and it was not
  // executed, if the scheduler has ended. Any thread but the scheduler's.
  [[nodiscard]] bool run(const Request& request);

  // The scheduler's side. Takes what has come; true if there was a kick.
  [[nodiscard]] bool take(std::vector<FinishedDispatch>& finished);
  // Executes requests; true if there were any.
  bool serve();
  // Whether anything has come. One load.
  [[nodiscard]] bool pending() const { return pending_.load(std::memory_order_acquire); }
  // Whether a packet waits for memory, for wake_waiting().
  void set_waiting(bool waiting) { waiting_.store(waiting, std::memory_order_relaxed); }
  // Waits until something comes that take() has not taken, at most for `limit` (no value: for ever).
  void wait(std::optional<Clock::duration> limit);
  // No request is accepted any more; those that wait are refused.
  void close();

 private:
  struct Waiting {
    const Request* request = nullptr;
    enum class State : std::uint8_t { Pending, Done, Refused } state = State::Pending;
  };

  std::mutex mutex_;
  std::condition_variable came_;
  std::condition_variable served_;
  std::vector<FinishedDispatch> finished_;
  std::vector<Waiting*> requests_;
  std::atomic<bool> pending_{false};
  std::atomic<bool> waiting_{false};
  bool kicked_ = false;
  bool closed_ = false;
};

}  // namespace kfdlab::device
