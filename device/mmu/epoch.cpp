// SPDX-License-Identifier: MIT
#include "device/mmu/epoch.h"

#include <algorithm>

namespace kfdlab::device {

void EpochDomain::Participant::enter() {
  // Pairs with synchronize(): either it sees this thread online, or the load inside pass() sees its new epoch and
  // with it everything that came before.
  seen_.store(domain_.epoch_.load(std::memory_order_seq_cst), std::memory_order_seq_cst);
  pass();
}

void EpochDomain::Participant::pass() {
  const std::uint64_t epoch = domain_.epoch_.load(std::memory_order_seq_cst);
  if (seen_.load(std::memory_order_relaxed) != epoch) {
    seen_.store(epoch, std::memory_order_seq_cst);
    domain_.wake_waiters();
  }
}

void EpochDomain::Participant::leave() {
  const std::uint64_t last = seen_.load(std::memory_order_relaxed);
  seen_.store(kOffline, std::memory_order_seq_cst);
  // Read after the store: a synchronize() that still saw this thread online raised the epoch before this load.
  if (domain_.epoch_.load(std::memory_order_seq_cst) != last) {
    domain_.wake_waiters();
  }
}

EpochDomain::Participant& EpochDomain::add_participant() {
  const std::lock_guard lock(mutex_);
  return participants_.emplace_back(*this);
}

void EpochDomain::synchronize() {
  const std::uint64_t target = epoch_.fetch_add(1, std::memory_order_seq_cst) + 1;
  std::unique_lock lock(mutex_);
  passed_.wait(lock, [&] {
    return std::all_of(participants_.begin(), participants_.end(), [&](const Participant& participant) {
      return participant.seen_.load(std::memory_order_seq_cst) >= target;
    });
  });
}

void EpochDomain::wake_waiters() {
  // Through the lock, so that a waiter is either before its check or asleep, never between.
  { const std::lock_guard lock(mutex_); }
  passed_.notify_all();
}

}  // namespace kfdlab::device
