// SPDX-License-Identifier: MIT
#include "device/cp/queue_scheduler.h"

#include <pthread.h>
#include <sys/prctl.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "device/host/shared_word.h"

namespace kfdlab::device {
namespace {

// Pieces of work one queue gets before the next one's turn.
constexpr int kTurn = 16;
// The default of 50 us would double the time between two looks at the doorbells.
constexpr unsigned long kTimerSlackNs = 1000;

}  // namespace

Status QueueScheduler::start(const std::string& name) {
  try {
    thread_ = std::thread([this] { run(); });
    listener_ = std::thread([this] { listen(); });
  } catch (const std::system_error& error) {
    return Error{"starting thread " + name + ": " + error.what()};
  }
  ::pthread_setname_np(thread_.native_handle(), (name + "queues").c_str());
  ::pthread_setname_np(listener_.native_handle(), (name + "bells").c_str());
  return ok_status();
}

void QueueScheduler::request_stop() {
  stop_.store(true, std::memory_order_relaxed);
  inbox_.close();
}

void QueueScheduler::join() {
  if (thread_.joinable()) {
    thread_.join();
  }
  if (listener_.joinable()) {
    listener_.join();
  }
}

void QueueScheduler::listen() {
  while (transport_.wait_kick(KFDLAB_KICK_QUEUE)) {
    inbox_.kick();
  }
}

void QueueScheduler::run() {
  ::prctl(PR_SET_TIMERSLACK, kTimerSlackNs, 0, 0, 0);
  while (!stop_.load(std::memory_order_relaxed)) {
    deliver();
    const Look look = look_at_all();
    publish();
    pause(look);
  }
  inbox_.close();
}

void QueueScheduler::deliver() {
  bool news = inbox_.take(finished_);
  news |= inbox_.serve();
  for (FinishedDispatch& finished : finished_) {
    UserQueue* queue = find(finished.queue);
    if (queue != nullptr && queue->serial() == finished.queue_serial) {
      queue->deliver(std::move(finished));
      news = true;
    }
  }
  if (news) {
    watch_.active(Clock::now());
  }
}

QueueScheduler::Look QueueScheduler::look_at_all() {
  Look look;
  if (queues_.empty()) {
    return look;
  }
  memory_.enter();
  for (const std::unique_ptr<UserQueue>& queue : queues_) {
    UserQueue::Act act = UserQueue::Act::Progress;
    for (int turn = 0; turn < kTurn && act == UserQueue::Act::Progress && !inbox_.pending(); ++turn) {
      act = queue->step(Clock::now());
      look.progress |= act == UserQueue::Act::Progress || act == UserQueue::Act::Stopped;
      memory_.safe_point();
    }
    look.waiting |= act == UserQueue::Act::Waiting;
  }
  memory_.leave();
  return look;
}

void QueueScheduler::pause(const Look& look) {
  const Clock::time_point now = Clock::now();
  if (look.progress) {
    watch_.active(now);
    return;
  }
  if (inbox_.pending()) {
    return;
  }
  inbox_.set_waiting(look.waiting);
  if (look.waiting) {
    inbox_.wait(watch_.waiting(now));
    return;
  }
  // Without queues there are no doorbells: whatever makes one comes through the inbox.
  const std::optional<Clock::duration> limit = queues_.empty() ? std::nullopt : watch_.quiet(now);
  if (limit) {
    if (*limit != Clock::duration::zero()) {
      inbox_.wait(limit);
    }
    return;
  }
  inbox_.wait(std::nullopt);
  wakeups_ += queues_.empty() ? 0 : 1;
  watch_.active(Clock::now());
}

void QueueScheduler::publish() {
  kfdlab_device_regs& regs = bar_.device_regs();
  store_relaxed(regs.queue_packets, work_.packets);
  store_relaxed(regs.queue_dispatches, work_.dispatches);
  store_relaxed(regs.queue_copy_bytes, work_.copy_bytes);
  store_relaxed(regs.queue_wakeups, wakeups_);
}

bool QueueScheduler::add(const QueueDescriptor& queue) {
  if (find(queue.number) != nullptr) {
    return false;
  }
  queues_.push_back(UserQueue::create(queue, context_, next_serial_++));
  sort_by_priority();
  return true;
}

void QueueScheduler::remove(std::uint32_t number) {
  std::erase_if(queues_, [&](const auto& queue) { return queue->descriptor().number == number; });
}

UserQueue* QueueScheduler::find(std::uint32_t number) {
  const auto found = std::find_if(queues_.begin(), queues_.end(),
                                  [&](const auto& queue) { return queue->descriptor().number == number; });
  return found != queues_.end() ? found->get() : nullptr;
}

void QueueScheduler::sort_by_priority() {
  std::stable_sort(queues_.begin(), queues_.end(), [](const auto& a, const auto& b) {
    return a->descriptor().priority > b->descriptor().priority;
  });
}

}  // namespace kfdlab::device
