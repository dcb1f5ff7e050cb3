// SPDX-License-Identifier: MIT
// Engine: the list of running dispatches, and who may not run now.
#include <algorithm>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "device/engine/dispatch.h"
#include "device/engine/engine_thread.h"
#include "device/engine/grid.h"

namespace kfdlab::engine {
namespace {

// Code caches of all threads together.
constexpr std::size_t kCodeLimit = 48u << 20;
constexpr std::size_t kLeastCodeLimit = 1u << 20;

class EngineImpl final : public Engine {
 public:
  EngineImpl(EngineHost& host, const EngineMemory& memory, const EngineOptions& options, const LowerTable& table)
      : pool_(host, memory, options) {
    const std::size_t limit = std::max(kCodeLimit / pool_.threads(), kLeastCodeLimit);
    for (unsigned i = 0; i < pool_.threads(); ++i) {
      threads_.push_back(std::make_unique<EngineThread>(pool_, table, limit));
    }
  }
  ~EngineImpl() override {
    kill_if([](const Running&) { return true; });
    for (const auto& thread : threads_) {
      thread->stop();
    }
    pool_.wake();
    for (const auto& thread : threads_) {
      thread->join();
    }
  }

  DispatchId launch(const Dispatch& dispatch, Completion done) override;
  void quiesce_queue(QueueId queue) override { pause(paused_queues_, queue, by_queue(queue)); }
  void resume_queue(QueueId queue) override { resume(paused_queues_, queue, by_queue(queue)); }
  void quiesce_vmid(std::uint32_t vmid) override { pause(paused_vmids_, vmid, by_vmid(vmid)); }
  void resume_vmid(std::uint32_t vmid) override { resume(paused_vmids_, vmid, by_vmid(vmid)); }
  void kill_queue(QueueId queue) override;
  void kill_vmid(std::uint32_t vmid) override { kill_if(by_vmid(vmid)); }
  void retry_vmid(std::uint32_t) override { pool_.retry(); }
  void invalidate_code(std::uint32_t) override { pool_.invalidate_code(); }
  [[nodiscard]] Counters counters() const override;
  [[nodiscard]] bool idle() const override {
    const std::lock_guard lock(mutex_);
    return running_.empty();
  }

 private:
  struct Running {
    QueueId queue;
    std::uint32_t vmid;
    std::weak_ptr<Grid> grid;
  };
  using Filter = std::function<bool(const Running&)>;
  using Pauses = std::map<std::uint32_t, unsigned>;  // how often each is paused; never 0

  static Filter by_queue(QueueId queue) {
    return [queue](const Running& running) { return running.queue == queue; };
  }
  static Filter by_vmid(std::uint32_t vmid) {
    return [vmid](const Running& running) { return running.vmid == vmid; };
  }
  // Grids that match; must be called with the mutex, and the result dropped without it.
  [[nodiscard]] std::vector<std::shared_ptr<Grid>> matching(const Filter& filter) const;
  void pause(Pauses& pauses, std::uint32_t id, const Filter& filter);
  void resume(Pauses& pauses, std::uint32_t id, const Filter& filter);
  void kill_if(const Filter& filter);
  void ended(DispatchId id);

  Pool pool_;
  std::vector<std::unique_ptr<EngineThread>> threads_;

  mutable std::mutex mutex_;  // guards everything below; never held while a Grid reference is dropped
  std::condition_variable ended_;
  DispatchId next_id_ = 1;
  std::map<DispatchId, Running> running_;
  std::map<QueueId, std::shared_ptr<QueueShared>> queues_;
  Pauses paused_queues_;
  Pauses paused_vmids_;
};

DispatchId EngineImpl::launch(const Dispatch& dispatch, Completion done) {
  std::shared_ptr<Grid> grid;
  DispatchId id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = next_id_++;
    std::shared_ptr<QueueShared>& queue = queues_[dispatch.queue];
    if (queue == nullptr) {
      queue = std::make_shared<QueueShared>();
    }
    const auto finish = [this, id, call = std::move(done)](const Outcome& outcome) {
      call(outcome);
      ended(id);
    };
    grid = std::make_shared<Grid>(id, dispatch, finish, queue);
    running_[id] = {dispatch.queue, dispatch.vmid, grid};
    if (paused_queues_.contains(dispatch.queue)) {
      grid->pause();
    }
    if (paused_vmids_.contains(dispatch.vmid)) {
      grid->pause();
    }
  }
  const Shape& shape = grid->shape();
  if (!shape.refusal.empty()) {
    Outcome refused;
    refused.verdict = Verdict::Refused;
    refused.name = shape.refusal;
    grid->stop(std::move(refused));
  } else if (shape.total_groups != 0) {
    pool_.add(std::move(grid));
  }
  return id;
}

void EngineImpl::ended(DispatchId id) {
  // Notified under the lock: whoever waits may destroy the engine next.
  const std::lock_guard lock(mutex_);
  running_.erase(id);
  ended_.notify_all();
}

std::vector<std::shared_ptr<Grid>> EngineImpl::matching(const Filter& filter) const {
  std::vector<std::shared_ptr<Grid>> found;
  for (const auto& [id, running] : running_) {
    // Only what is kept is locked: this reference may become the last one.
    if (!filter(running)) {
      continue;
    }
    if (std::shared_ptr<Grid> grid = running.grid.lock(); grid != nullptr) {
      found.push_back(std::move(grid));
    }
  }
  return found;
}

void EngineImpl::pause(Pauses& pauses, std::uint32_t id, const Filter& filter) {
  std::vector<std::shared_ptr<Grid>> grids;
  {
    const std::lock_guard lock(mutex_);
    grids = matching(filter);
    if (++pauses[id] == 1) {
      for (const auto& grid : grids) {
        grid->pause();
      }
    }
  }
  grids.clear();
  // A thread that has passed a safe point has seen the flag, or has not begun to run the grid.
  pool_.memory().epochs.synchronize();
}

void EngineImpl::resume(Pauses& pauses, std::uint32_t id, const Filter& filter) {
  std::vector<std::shared_ptr<Grid>> grids;
  {
    const std::lock_guard lock(mutex_);
    const auto found = pauses.find(id);
    if (found == pauses.end() || --found->second != 0) {
      return;
    }
    pauses.erase(found);
    grids = matching(filter);
    for (const auto& grid : grids) {
      grid->resume();
    }
  }
  grids.clear();
  pool_.wake();
}

void EngineImpl::kill_if(const Filter& filter) {
  std::vector<DispatchId> ids;
  {
    std::vector<std::shared_ptr<Grid>> grids;
    {
      const std::lock_guard lock(mutex_);
      grids = matching(filter);
    }
    for (const auto& grid : grids) {
      Outcome killed;
      killed.verdict = Verdict::Killed;
      grid->stop(std::move(killed));
      pool_.remove(*grid);
      ids.push_back(grid->id());
    }
  }
  pool_.wake();
  std::unique_lock lock(mutex_);
  ended_.wait(
      lock, [&] { return std::none_of(ids.begin(), ids.end(), [&](DispatchId id) { return running_.contains(id); }); });
}

void EngineImpl::kill_queue(QueueId queue) {
  kill_if(by_queue(queue));
  std::shared_ptr<QueueShared> dropped;
  const std::lock_guard lock(mutex_);
  if (const auto found = queues_.find(queue); found != queues_.end()) {
    dropped = std::move(found->second);
    queues_.erase(found);
  }
}

Engine::Counters EngineImpl::counters() const {
  Counters counters;
  counters.instructions = pool_.counts.instructions.load();
  counters.waves = pool_.counts.waves.load();
  counters.faults_retried = pool_.counts.faults_retried.load();
  counters.illegal = pool_.counts.illegal.load();
  counters.code_bytes = pool_.counts.code_bytes.load();
  const std::lock_guard lock(mutex_);
  counters.dispatches = next_id_ - 1;
  return counters;
}

}  // namespace

std::unique_ptr<Engine> Engine::create(EngineHost& host, const EngineMemory& memory, const EngineOptions& options) {
  const SimdLevel level = host_simd_level();
  if (level == SimdLevel::None) {
    return nullptr;
  }
  return std::make_unique<EngineImpl>(host, memory, options, lower_table(level));
}

}  // namespace kfdlab::engine
