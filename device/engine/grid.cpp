// SPDX-License-Identifier: MIT
#include "device/engine/grid.h"

#include <time.h>

#include <algorithm>
#include <utility>

namespace kfdlab::engine {
namespace {

constexpr std::uint32_t kScratchEnable = 1;  // COMPUTE_PGM_RSRC2
constexpr std::uint32_t kMaxScratchSlots = 1u << 16;

}  // namespace

std::uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

Grid::Grid(DispatchId id, const Dispatch& dispatch, Engine::Completion done, std::shared_ptr<QueueShared> queue)
    : id_(id), dispatch_(dispatch), shape_(shape_of(dispatch)), done_(std::move(done)), queue_(std::move(queue)) {}

Grid::~Grid() {
  outcome_.end_ns = monotonic_ns();
  outcome_.start_ns = start_ns_.load();
  if (outcome_.start_ns == 0) {
    outcome_.start_ns = outcome_.end_ns;
  }
  outcome_.instructions = instructions_.load();
  done_(outcome_);
}

Grid::Range Grid::take(std::uint64_t count) {
  // next_ grows by less than threads * count beyond the total.
  if (exhausted()) {
    return {};
  }
  const std::uint64_t first = next_.fetch_add(count, std::memory_order_relaxed);
  return {std::min(first, shape_.total_groups), std::min(first + count, shape_.total_groups)};
}

std::uint64_t Grid::left() const {
  const std::uint64_t next = next_.load(std::memory_order_relaxed);
  return shape_.total_groups - std::min(next, shape_.total_groups);
}

bool Grid::needs_scratch() const {
  return (dispatch_.rsrc2 & kScratchEnable) != 0 && dispatch_.scratch_wave_bytes != 0;
}

bool QueueShared::take_scratch(std::uint32_t count, std::uint32_t limit, std::uint32_t& first) {
  const std::lock_guard lock(mutex_);
  limit = std::min(limit, kMaxScratchSlots);
  if (used_.size() < limit) {
    used_.resize(limit);
  }
  std::uint32_t free = 0;
  for (std::uint32_t slot = 0; slot < limit; ++slot) {
    free = used_[slot] ? 0 : free + 1;
    if (free == count) {
      first = slot + 1 - count;
      std::fill_n(used_.begin() + first, count, true);
      return true;
    }
  }
  return false;
}

void QueueShared::give_scratch(std::uint32_t first, std::uint32_t count) {
  const std::lock_guard lock(mutex_);
  std::fill_n(used_.begin() + first, count, false);
}

void Grid::stop(Outcome outcome) {
  const std::lock_guard lock(mutex_);
  if (!stopped_.load(std::memory_order_relaxed)) {
    outcome_ = std::move(outcome);
    stopped_.store(true, std::memory_order_seq_cst);
  }
}

void Grid::began() {
  resident_.fetch_add(1, std::memory_order_relaxed);
  if (start_ns_.load(std::memory_order_relaxed) == 0) {
    std::uint64_t none = 0;
    start_ns_.compare_exchange_strong(none, monotonic_ns(), std::memory_order_relaxed);
  }
}

}  // namespace kfdlab::engine
