// SPDX-License-Identifier: MIT
#include "device/cp/queue_inbox.h"

#include <utility>

namespace kfdlab::device {

void QueueInbox::post(FinishedDispatch finished) {
  {
    const std::lock_guard lock(mutex_);
    finished_.push_back(std::move(finished));
    pending_.store(true, std::memory_order_release);
  }
  came_.notify_one();
}

void QueueInbox::kick() {
  {
    const std::lock_guard lock(mutex_);
    kicked_ = true;
    pending_.store(true, std::memory_order_release);
  }
  came_.notify_one();
}

void QueueInbox::wake_waiting() {
  if (!waiting_.load(std::memory_order_relaxed)) {
    return;  // one that is about to wait looks again by itself, soon
  }
  {
    const std::lock_guard lock(mutex_);
    pending_.store(true, std::memory_order_release);
  }
  came_.notify_one();
}

bool QueueInbox::run(const Request& request) {
  Waiting waiting{.request = &request};
  std::unique_lock lock(mutex_);
  if (closed_) {
    return false;
  }
  requests_.push_back(&waiting);
  pending_.store(true, std::memory_order_release);
  came_.notify_one();
  served_.wait(lock, [&] { return waiting.state != Waiting::State::Pending; });
  return waiting.state == Waiting::State::Done;
}

bool QueueInbox::take(std::vector<FinishedDispatch>& finished) {
  const std::lock_guard lock(mutex_);
  // That it is closed is never taken: who asks later must not wait for more.
  pending_.store(closed_, std::memory_order_relaxed);
  finished.clear();
  finished.swap(finished_);
  return std::exchange(kicked_, false);
}

bool QueueInbox::serve() {
  std::unique_lock lock(mutex_);
  if (requests_.empty()) {
    return false;
  }
  // Without the lock: a request may kill kernels, which posts them here.
  std::vector<Waiting*> requests;
  requests.swap(requests_);
  lock.unlock();
  for (const Waiting* waiting : requests) {
    (*waiting->request)();
  }
  lock.lock();
  for (Waiting* waiting : requests) {
    waiting->state = Waiting::State::Done;
  }
  lock.unlock();
  served_.notify_all();
  return true;
}

void QueueInbox::wait(std::optional<Clock::duration> limit) {
  std::unique_lock lock(mutex_);
  const auto come = [&] { return pending_.load(std::memory_order_relaxed); };
  if (limit) {
    came_.wait_for(lock, *limit, come);
  } else {
    came_.wait(lock, come);
  }
}

void QueueInbox::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (Waiting* waiting : requests_) {
      waiting->state = Waiting::State::Refused;
    }
    requests_.clear();
    pending_.store(true, std::memory_order_release);
  }
  served_.notify_all();
  came_.notify_all();
}

}  // namespace kfdlab::device
