// SPDX-License-Identifier: MIT
// Pool: what engine threads share.
#include <algorithm>
#include <chrono>

#include "device/engine/engine_thread.h"

namespace kfdlab::engine {
namespace {

// Of one compute unit: 4 SIMDs with 512 VGPRs for each lane and 8 waves, 64 KiB of LDS.
constexpr std::int64_t kRows = 4 * 512;
constexpr std::int64_t kWaves = 4 * 8;
constexpr std::int64_t kLds = 64 << 10;

constexpr std::uint64_t kFirstReportInterval = 2'000'000;  // ns
constexpr std::uint64_t kLastReportInterval = 500'000'000;
constexpr std::uint64_t kMaxBatch = 64;
constexpr unsigned kUnitsPerEngine = 16;
// One pick in so many does not ask for priority.
constexpr unsigned kFairPicks = 8;

bool may_use(const Dispatch& dispatch, unsigned unit) {
  return (dispatch.cu_mask[unit / 32 % dispatch.cu_mask.size()] >> unit % 32 & 1u) != 0;
}

}  // namespace

Pool::Pool(EngineHost& host, const EngineMemory& memory, const EngineOptions& options)
    : host_(host),
      memory_(memory),
      quantum_(std::max<std::uint64_t>(options.quantum, 1)),
      threads_(options.threads != 0 ? options.threads : std::max(std::thread::hardware_concurrency(), 1u)),
      units_(std::max(options.compute_units, 1u), Unit{.waves = kWaves, .rows = kRows, .lds = kLds}),
      engines_((std::max(options.compute_units, 1u) + kUnitsPerEngine - 1) / kUnitsPerEngine) {}

void Pool::add(std::shared_ptr<Grid> grid) {
  {
    const std::lock_guard lock(mutex_);
    grids_.push_back(std::move(grid));
  }
  wake();
}

void Pool::remove(const Grid& grid) {
  std::shared_ptr<Grid> dropped;  // outlives the lock
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(grids_.begin(), grids_.end(), [&](const auto& each) { return each.get() == &grid; });
  if (found != grids_.end()) {
    dropped = std::move(*found);
    grids_.erase(found);
  }
}

std::shared_ptr<Grid> Pool::next(Grid::Range& range) {
  std::shared_ptr<Grid> dropped;
  const std::lock_guard lock(mutex_);
  std::uint32_t least = 0;
  if (++picks_ % kFairPicks != 0) {
    for (const std::shared_ptr<Grid>& grid : grids_) {
      least = grid->paused() ? least : std::max(least, grid->dispatch().priority);
    }
  }
  for (std::size_t tried = 0; tried < grids_.size(); ++tried) {
    turn_ = (turn_ + 1) % grids_.size();
    const std::shared_ptr<Grid>& grid = grids_[turn_];
    if (grid->paused() || grid->dispatch().priority < least) {
      continue;
    }
    range = grid->take(std::clamp<std::uint64_t>(grid->left() / (threads_ * 4ull), 1, kMaxBatch));
    std::shared_ptr<Grid> result = range.next < range.end ? grid : nullptr;
    if (grid->exhausted()) {
      dropped = std::move(grids_[turn_]);
      grids_.erase(grids_.begin() + static_cast<std::ptrdiff_t>(turn_));
    }
    if (result != nullptr) {
      return result;
    }
    break;  // it was exhausted by another thread; the caller comes again
  }
  return nullptr;
}

std::shared_ptr<Grid> Pool::next_waiting(Grid::Range& range) {
  std::shared_ptr<Grid> chosen;
  std::shared_ptr<Grid> dropped;
  const std::lock_guard lock(mutex_);
  for (const std::shared_ptr<Grid>& grid : grids_) {
    if (!grid->paused() && grid->resident() == 0 &&
        (chosen == nullptr || grid->dispatch().priority > chosen->dispatch().priority)) {
      chosen = grid;
    }
  }
  if (chosen == nullptr) {
    return nullptr;
  }
  range = chosen->take(std::clamp<std::uint64_t>(chosen->left() / (threads_ * 4ull), 1, kMaxBatch));
  if (chosen->exhausted()) {
    std::erase(grids_, chosen);
  }
  if (range.next >= range.end) {
    dropped = std::move(chosen);
    return nullptr;
  }
  return chosen;
}

bool Pool::reserve(const Grid& grid, bool force, unsigned& unit) {
  const Shape& shape = grid.shape();
  const std::int64_t waves = shape.waves;
  const std::int64_t rows = waves * shape.vgpr_rows;
  const std::lock_guard lock(unit_mutex_);
  const auto count = static_cast<unsigned>(units_.size());
  bool masked = false;
  for (unsigned i = 0; i < count; ++i) {
    masked |= may_use(grid.dispatch(), i);
  }
  // In turn, as workgroups are dealt to compute units.
  const unsigned first = ++unit_turn_;
  bool found = false;
  for (unsigned tried = 0; tried < count; ++tried) {
    const unsigned candidate = (first + tried) % count;
    if (masked && !may_use(grid.dispatch(), candidate)) {
      continue;
    }
    const Unit& free = units_[candidate];
    const bool fits = free.waves >= waves && free.rows >= rows && free.lds >= shape.lds_bytes;
    if (fits || (force && !found)) {
      found = true;
      unit = candidate;
    }
    if (fits) {
      break;
    }
  }
  if (found) {
    units_[unit].waves -= waves;
    units_[unit].rows -= rows;
    units_[unit].lds -= shape.lds_bytes;
  }
  return found;
}

void Pool::release(const Shape& shape, unsigned unit) {
  const std::lock_guard lock(unit_mutex_);
  units_[unit].waves += shape.waves;
  units_[unit].rows += std::int64_t{shape.waves} * shape.vgpr_rows;
  units_[unit].lds += shape.lds_bytes;
}

std::uint32_t Pool::hw_id(const Dispatch& dispatch, unsigned unit) const {
  return unit / engines_ << 8 | unit % engines_ << 13 | (dispatch.vmid & 0xfu) << 20 | 1u << 30;
}

void Pool::wake() {
  {
    const std::lock_guard lock(wait_mutex_);
    signals_.fetch_add(1, std::memory_order_seq_cst);
  }
  changed_.notify_all();
}

void Pool::wait(std::uint64_t seen, std::uint64_t deadline) {
  std::unique_lock lock(wait_mutex_);
  const auto changed = [&] { return signals() != seen; };
  if (deadline == 0) {
    changed_.wait(lock, changed);
    return;
  }
  const std::uint64_t now = monotonic_ns();
  if (deadline > now) {
    changed_.wait_for(lock, std::chrono::nanoseconds(deadline - now), changed);
  }
}

bool Pool::should_report(const device::MemoryFault& fault, std::uint64_t now) {
  const std::lock_guard lock(report_mutex_);
  const std::uint64_t hash = (fault.page >> 12) * 0x9e3779b97f4a7c15ull + fault.vmid;
  Reported& entry = reported_[(hash >> 32) % reported_.size()];
  if (entry.page == fault.page && entry.vmid == fault.vmid && entry.at != 0) {
    // After a long silence it is a new fault on the same page.
    if (now - entry.at > 4 * kLastReportInterval) {
      entry.interval = 0;
    } else if (now - entry.at < entry.interval) {
      return false;
    }
    entry.interval = std::clamp(entry.interval * 2, kFirstReportInterval, kLastReportInterval);
  } else {
    entry.interval = kFirstReportInterval;
  }
  entry.page = fault.page;
  entry.vmid = fault.vmid;
  entry.at = now;
  return true;
}

}  // namespace kfdlab::engine
