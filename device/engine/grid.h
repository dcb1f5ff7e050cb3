// SPDX-License-Identifier: MIT
// Grid: a Dispatch that runs. Engine threads take workgroups from it and share its ownership while they have any; when
// the last owner lets go, it has ended, and its completion is called with what came of it. Whoever drops a reference
// must therefore hold no lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "device/engine/dispatch.h"
#include "device/engine/gws.h"
#include "device/engine/workgroup.h"

namespace kfdlab::engine {

// What the dispatches of a queue share.
class QueueShared {
 public:
  Gws gws;

  // `count` scratch slots in a row, all below `limit`. False: not free now.
  [[nodiscard]] bool take_scratch(std::uint32_t count, std::uint32_t limit, std::uint32_t& first);
  void give_scratch(std::uint32_t first, std::uint32_t count);

 private:
  std::mutex mutex_;
  std::vector<bool> used_;
};

class Grid {
 public:
  Grid(DispatchId id, const Dispatch& dispatch, Engine::Completion done, std::shared_ptr<QueueShared> queue);
  Grid(const Grid&) = delete;
  Grid& operator=(const Grid&) = delete;
  ~Grid();

  [[nodiscard]] DispatchId id() const { return id_; }
  [[nodiscard]] const Dispatch& dispatch() const { return dispatch_; }
  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] QueueShared& queue() const { return *queue_; }

  struct Range {
    std::uint64_t next = 0;
    std::uint64_t end = 0;
  };
  // Up to `count` workgroups nobody has yet; empty when there are none left.
  [[nodiscard]] Range take(std::uint64_t count);
  [[nodiscard]] bool exhausted() const { return next_.load(std::memory_order_relaxed) >= shape_.total_groups; }
  [[nodiscard]] std::uint64_t left() const;

  [[nodiscard]] bool needs_scratch() const;
  // The first verdict stands. Threads discard what they have of a stopped grid.
  void stop(Outcome outcome);
  [[nodiscard]] bool stopped() const { return stopped_.load(std::memory_order_seq_cst); }
  // Counts; while it is not zero no wave may run.
  void pause() { paused_.fetch_add(1, std::memory_order_seq_cst); }
  void resume() { paused_.fetch_sub(1, std::memory_order_seq_cst); }
  [[nodiscard]] bool paused() const { return paused_.load(std::memory_order_seq_cst) != 0; }

  void began();                                                           // a workgroup gets memory
  void left_one() { resident_.fetch_sub(1, std::memory_order_relaxed); }  // and gives it back
  // Workgroups that have memory now. A grid without any goes before others.
  [[nodiscard]] std::uint32_t resident() const { return resident_.load(std::memory_order_relaxed); }
  void add_instructions(std::uint64_t count) { instructions_.fetch_add(count, std::memory_order_relaxed); }

 private:
  const DispatchId id_;
  const Dispatch dispatch_;
  const Shape shape_;
  const Engine::Completion done_;
  const std::shared_ptr<QueueShared> queue_;
  std::atomic<std::uint64_t> next_{0};
  std::atomic<bool> stopped_{false};
  std::atomic<std::uint32_t> paused_{0};
  std::atomic<std::uint64_t> start_ns_{0};
  std::atomic<std::uint32_t> resident_{0};
  std::atomic<std::uint64_t> instructions_{0};
  std::mutex mutex_;  // guards outcome_
  Outcome outcome_;
};

[[nodiscard]] std::uint64_t monotonic_ns();

}  // namespace kfdlab::engine
