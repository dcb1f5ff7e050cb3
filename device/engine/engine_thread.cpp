// SPDX-License-Identifier: MIT
#include "device/engine/engine_thread.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace kfdlab::engine {
namespace {

// Wave instructions between safe points: an invalidation waits for that many at most.
constexpr std::int64_t kSlice = 2048;
// Slices one wave runs before its neighbours get their turn.
constexpr unsigned kSlicesInARow = 16;
constexpr std::uint64_t kSleep = 5'000;  // ns; s_sleep counts clocks, but others should get on meanwhile
constexpr std::uint64_t kFirstRetry = 50'000;
constexpr std::uint64_t kLastRetry = 5'000'000;
constexpr std::uint64_t kStarved = 100'000;
// Wave instructions of a short turn.
constexpr std::uint64_t kShortTurn = 16'384;

}  // namespace

EngineThread::EngineThread(Pool& pool, const LowerTable& table, std::size_t code_limit)
    : pool_(pool),
      participant_(pool.memory().epochs.add_participant()),
      tlb_(pool.memory().spaces, pool.memory().walker),
      code_(table, code_limit),
      thread_([this] { main(); }) {
  pthread_setname_np(thread_.native_handle(), "engine");
}

void EngineThread::main() {
  participant_.enter();
  while (!stopping_.load(std::memory_order_seq_cst)) {
    const std::uint64_t seen = pool_.signals();
    safe_point();
    now_ = monotonic_ns();
    if (round()) {
      continue;
    }
    if (std::unique_ptr<Resident> admitted = admit()) {
      residents_.push_back(std::move(admitted));
      continue;
    }
    const std::uint64_t deadline = earliest();
    participant_.leave();
    pool_.wait(seen, deadline);
    participant_.enter();
  }
  while (!residents_.empty()) {
    discard(residents_.size() - 1);
  }
  participant_.leave();
}

void EngineThread::safe_point() {
  participant_.pass();
  const bool moved = tlb_.catch_up();
  const std::uint64_t generation = pool_.code_generation();
  if (moved || generation != code_generation_) {
    code_generation_ = generation;
    code_.next_epoch();
  }
}

std::uint64_t EngineThread::earliest() const {
  std::uint64_t first = 0;
  for (const auto& resident : residents_) {
    if (!resident->grid->paused() && (first == 0 || resident->ready_at < first)) {
      first = resident->ready_at;
    }
  }
  return first;
}

std::unique_ptr<EngineThread::Resident> EngineThread::admit() {
  auto resident = std::make_unique<Resident>();
  const auto waits = [](const auto& each) { return each->group == nullptr; };
  if (std::none_of(residents_.begin(), residents_.end(),
                   [&](const auto& each) { return waits(each) && each->grid->resident() == 0; })) {
    resident->grid = pool_.next_waiting(resident->range);
    if (resident->grid != nullptr) {
      return resident;
    }
  }
  // One that could not start yet comes first.
  if (std::any_of(residents_.begin(), residents_.end(), waits)) {
    return nullptr;
  }
  // Then those meant to follow a workgroup that has not ended: it may be waiting for them.
  for (const auto& other : residents_) {
    if (other->range.next < other->range.end && !other->grid->paused()) {
      resident->grid = other->grid;
      resident->range = std::exchange(other->range, {});
      return resident;
    }
  }
  resident->grid = pool_.next(resident->range);
  return resident->grid != nullptr ? std::move(resident) : nullptr;
}

bool EngineThread::start_next(Resident& resident, bool clear) {
  if (resident.range.next >= resident.range.end) {
    return false;
  }
  Grid& grid = *resident.grid;
  resident.group->start(grid.dispatch(), grid.shape(), resident.range.next++, resident.scratch, clear);
  pool_.counts.waves.fetch_add(resident.group->waves_alive, std::memory_order_relaxed);
  resident.ready_at = 0;
  resident.is_long = false;
  resident.first_wave = 0;
  return true;
}

// Memory and scratch for a workgroup that has none yet.
bool EngineThread::provide(Resident& resident) {
  Grid& grid = *resident.grid;
  const bool alone = grid.resident() == 0 || std::none_of(residents_.begin(), residents_.end(),
                                                          [](const auto& each) { return each->group != nullptr; });
  if (!pool_.reserve(grid, alone, resident.unit)) {
    return false;
  }
  if (grid.needs_scratch() &&
      !grid.queue().take_scratch(grid.shape().waves, grid.dispatch().scratch_waves, resident.scratch)) {
    pool_.release(grid.shape(), resident.unit);
    return false;
  }
  resident.group = std::make_unique<Workgroup>(grid.shape());
  resident.group->host = &pool_.host();
  resident.group->gws = grid.dispatch().gws ? &grid.queue().gws : nullptr;
  resident.group->hw_id = pool_.hw_id(grid.dispatch(), resident.unit);
  grid.began();
  return true;
}

void EngineThread::discard(std::size_t index) {
  const std::unique_ptr<Resident> resident = std::move(residents_[index]);
  residents_.erase(residents_.begin() + static_cast<std::ptrdiff_t>(index));
  if (resident->group != nullptr) {
    const Grid& grid = *resident->grid;
    if (grid.needs_scratch()) {
      grid.queue().give_scratch(resident->scratch, grid.shape().waves);
    }
    pool_.release(grid.shape(), resident->unit);
    resident->grid->left_one();
  }
  pool_.counts.code_bytes.store(code_.bytes(), std::memory_order_relaxed);
}

bool EngineThread::can_run(const Resident& resident, std::uint64_t sequence) const {
  return !resident.grid->paused() && (resident.ready_at <= now_ || resident.sequence != sequence);
}

std::size_t EngineThread::choose(std::uint64_t sequence) {
  const std::size_t count = residents_.size();
  if (++choices_ % 2 == 0) {
    for (std::size_t i = 0; i < count; ++i) {
      if (!residents_[i]->is_long && can_run(*residents_[i], sequence)) {
        return i;
      }
    }
  }
  for (std::size_t tried = 0; tried < count; ++tried) {
    turn_ = (turn_ + 1) % count;
    if (can_run(*residents_[turn_], sequence)) {
      return turn_;
    }
  }
  return count;
}

bool EngineThread::round() {
  const std::uint64_t sequence = pool_.sequence();
  for (std::size_t i = residents_.size(); i-- > 0;) {
    if (residents_[i]->grid->stopped()) {
      discard(i);
    }
  }
  for (std::size_t at = choose(sequence); at < residents_.size(); at = choose(sequence)) {
    Resident& resident = *residents_[at];
    resident.sequence = sequence;
    if (resident.group == nullptr) {
      if (!provide(resident)) {
        resident.ready_at = now_ + kStarved;
        continue;
      }
      static_cast<void>(start_next(resident, false));
    }
    bool ended = run_group(resident);
    while (ended && !resident.grid->stopped() && !resident.grid->paused() && start_next(resident, false)) {
      ended = run_group(resident);
    }
    if (resident.grid->stopped() || (ended && resident.range.next >= resident.range.end)) {
      discard(at);
    } else if (!resident.grid->paused()) {
      if (std::unique_ptr<Resident> admitted = admit()) {
        residents_.push_back(std::move(admitted));
      }
    }
    return true;
  }
  return false;
}

void EngineThread::barrier_check(Workgroup& group) {
  if (group.waves_at_barrier != 0 && group.waves_at_barrier == group.waves_alive) {
    group.waves_at_barrier = 0;
    for (WaveSlot& slot : group.slots) {
      if (slot.state == WaveState::Barrier) {
        slot.state = WaveState::Ready;
      }
    }
  }
}

bool EngineThread::run_group(Resident& resident) {
  Workgroup& group = *resident.group;
  if (group.waves_alive == 0) {
    return true;
  }
  resident.spent = 0;
  const std::uint64_t sequence = pool_.sequence();
  for (WaveSlot& slot : group.slots) {
    const bool waits = slot.state == WaveState::Asleep || slot.state == WaveState::Parked;
    if (waits && (slot.retry_at <= now_ || slot.parked_sequence != sequence)) {
      slot.state = WaveState::Ready;
    }
  }
  const bool ran = run_waves(resident, turn_length(resident));
  if (group.waves_alive == 0) {
    return true;
  }
  resident.is_long = resident.is_long || resident.spent >= pool_.quantum();
  if (resident.grid->stopped() || resident.grid->paused()) {
    return false;
  }
  resident.ready_at = 0;
  if (!ran) {
    resident.ready_at = ~0ull;
    for (const WaveSlot& slot : group.slots) {
      if (slot.state == WaveState::Asleep || slot.state == WaveState::Parked) {
        resident.ready_at = std::min(resident.ready_at, slot.retry_at);
      }
    }
  } else {
    sched_yield();  // it may wait for a CPU thread, which wants this core
  }
  return false;
}

std::uint64_t EngineThread::turn_length(const Resident& resident) const {
  const bool has_company = residents_.size() > 1;
  return resident.is_long && has_company ? std::min(kShortTurn, pool_.quantum()) : pool_.quantum();
}

bool EngineThread::run_waves(Resident& resident, std::uint64_t limit) {
  Workgroup& group = *resident.group;
  const std::uint64_t signals = pool_.signals();
  // Somebody new may wait: the turn need not be long.
  const auto over = [&] {
    return resident.spent >= limit || (resident.spent >= kShortTurn && pool_.signals() != signals);
  };
  bool ran = true;
  while (ran && !over()) {
    ran = false;
    for (std::size_t n = 0; n < group.slots.size(); ++n) {
      const std::size_t at = (resident.first_wave + n) % group.slots.size();
      WaveSlot& slot = group.slots[at];
      for (unsigned slice = 0; slice < kSlicesInARow && slot.state == WaveState::Ready; ++slice) {
        run_slot(resident, slot);
        ran = true;
        if (group.waves_alive == 0) {
          return true;
        }
        safe_point();
        if (resident.grid->stopped() || resident.grid->paused()) {
          return true;
        }
        if (over()) {
          resident.first_wave = at + 1;
          return true;
        }
      }
    }
  }
  return ran;
}

void EngineThread::run_slot(Resident& resident, WaveSlot& slot) {
  Wave& wave = slot.wave;
  wave.tlb = &tlb_;
  wave.budget = kSlice;
  run_wave(wave, code_);
  const auto executed = static_cast<std::uint64_t>(kSlice - wave.budget);
  resident.spent += executed;
  resident.grid->add_instructions(executed);
  pool_.counts.instructions.fetch_add(executed, std::memory_order_relaxed);
  if (executed != 0) {
    slot.retry_interval = 0;
  }
  left(resident, slot);
}

// Sorts out why a wave left the run loop.
void EngineThread::left(Resident& resident, WaveSlot& slot) {
  Workgroup& group = *resident.group;
  Wave& wave = slot.wave;
  switch (wave.exit) {
    case Exit::Yield:
      // With budget left it was s_sleep.
      if (wave.budget > CodeCache::kMaxInstructions) {
        slot.state = WaveState::Asleep;
        slot.retry_at = now_ + kSleep;
        slot.parked_sequence = pool_.sequence();
      }
      break;
    case Exit::Barrier:
      slot.state = WaveState::Barrier;
      ++group.waves_at_barrier;
      barrier_check(group);
      break;
    case Exit::End:
      slot.state = WaveState::Ended;
      --group.waves_alive;
      barrier_check(group);
      break;
    case Exit::Wait:
      slot.state = WaveState::Asleep;
      slot.retry_at = now_ + kSleep;
      slot.parked_sequence = pool_.sequence();
      break;
    case Exit::Fault:
      if (resident.grid->dispatch().xnack && !wave.fault.no_retry) {
        park(resident, slot);
      } else {
        fail(resident, wave, Verdict::Fault);
      }
      break;
    case Exit::Trap:
      fail(resident, wave, Verdict::Trap);
      break;
    case Exit::Illegal:
    case Exit::None:
    case Exit::Lookup:
    case Exit::Killed:
      pool_.counts.illegal.fetch_add(1, std::memory_order_relaxed);
      fail(resident, wave, Verdict::Illegal);
      break;
  }
}

void EngineThread::park(Resident& resident, WaveSlot& slot) {
  const std::uint64_t now = monotonic_ns();
  slot.state = WaveState::Parked;
  slot.retry_interval = std::clamp(slot.retry_interval * 2, kFirstRetry, kLastRetry);
  slot.retry_at = now + slot.retry_interval;
  slot.parked_sequence = pool_.sequence();
  if (pool_.should_report(slot.wave.fault, now)) {
    pool_.counts.faults_retried.fetch_add(1, std::memory_order_relaxed);
    pool_.host().retry_fault(resident.grid->dispatch().queue, slot.wave.fault);
  }
}

void EngineThread::fail(Resident& resident, Wave& wave, Verdict verdict) {
  Outcome outcome;
  outcome.verdict = verdict;
  outcome.pc = wave.pc;
  outcome.fault = wave.fault;
  outcome.trap_id = wave.trap_id;
  if (verdict == Verdict::Illegal && wave.illegal_op == isa::Op::kCount) {
    device::MemoryFault ignored;
    std::uint32_t word = 0;
    if (const std::byte* host = tlb_.translate<device::MemoryAccess::Execute>(wave.tlb_key, wave.pc & ~3ull, ignored)) {
      std::memcpy(&word, host, sizeof word);
    }
    char text[16];
    std::snprintf(text, sizeof text, "0x%08x", word);
    outcome.name = text;
  } else if (verdict == Verdict::Illegal) {
    outcome.name = isa::name(wave.illegal_op);
  }
  resident.grid->stop(std::move(outcome));
  pool_.remove(*resident.grid);
}

}  // namespace kfdlab::engine
