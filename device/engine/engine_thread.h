// SPDX-License-Identifier: MIT
// EngineThread: one host thread that runs workgroups. It runs one workgroup as long as that gets on, and lets in more
// (up to what the GPU would have resident) when all it has are blocked or have used up their quantum: so workgroups
// that wait for one another all get to run, and those that do not stay in the cache.
//
// A workgroup that has used up its quantum has short turns from then on, every second of which goes to one that has
// not; a grid that has no workgroup running gets one in, even if there is no room. So what is short is done within a
// few short turns, whatever else runs for ever.
//
// The thread is online in the EpochDomain while it runs code and comes to a safe point after every slice. It never
// blocks for a guest: waves that fault are parked and tried again.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "device/engine/code_cache.h"
#include "device/engine/grid.h"
#include "device/engine/workgroup.h"

namespace kfdlab::engine {

// What threads share: the list of grids with workgroups to give, and the budget of what may be resident.
class Pool {
 public:
  Pool(EngineHost& host, const EngineMemory& memory, const EngineOptions& options);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  EngineHost& host() { return host_; }
  const EngineMemory& memory() const { return memory_; }
  [[nodiscard]] std::uint64_t quantum() const { return quantum_; }
  [[nodiscard]] unsigned threads() const { return threads_; }

  void add(std::shared_ptr<Grid> grid);
  // Out of the list; threads that have workgroups of it keep it alive.
  void remove(const Grid& grid);
  // The next grid in turn that is neither paused nor exhausted, with a range of its workgroups. Of those with the
  // highest priority, but for some turns in which priority does not count: nobody waits for ever.
  [[nodiscard]] std::shared_ptr<Grid> next(Grid::Range& range);
  // The same, of the grids none of whose workgroups runs.
  [[nodiscard]] std::shared_ptr<Grid> next_waiting(Grid::Range& range);

  // Room for one workgroup on a compute unit the dispatch may use. `force`: the thread has nothing else, so that every
  // grid gets on.
  [[nodiscard]] bool reserve(const Grid& grid, bool force, unsigned& unit);
  void release(const Shape& shape, unsigned unit);
  // SE_ID, CU_ID, VM_ID and ME_ID of HW_REG_HW_ID.
  [[nodiscard]] std::uint32_t hw_id(const Dispatch& dispatch, unsigned unit) const;

  // Changes when a parked wave should try again: page tables changed, or retry() was called.
  [[nodiscard]] std::uint64_t sequence() const {
    return memory_.spaces.sequence() + retries_.load(std::memory_order_acquire);
  }
  void retry() {
    retries_.fetch_add(1, std::memory_order_release);
    wake();
  }

  // Something changed (work, pause, page tables): threads look again. Any thread.
  void wake();
  [[nodiscard]] std::uint64_t signals() const { return signals_.load(std::memory_order_seq_cst); }
  // Sleeps until signals() is not `seen` any more, or until `deadline` (ns; 0: none).
  void wait(std::uint64_t seen, std::uint64_t deadline);

  void invalidate_code() { code_generation_.fetch_add(1, std::memory_order_seq_cst); }
  [[nodiscard]] std::uint64_t code_generation() const { return code_generation_.load(std::memory_order_seq_cst); }

  // True: this page fault has not been reported lately; the caller reports it.
  [[nodiscard]] bool should_report(const device::MemoryFault& fault, std::uint64_t now);

  struct Counts {
    std::atomic<std::uint64_t> instructions{0};
    std::atomic<std::uint64_t> waves{0};
    std::atomic<std::uint64_t> faults_retried{0};
    std::atomic<std::uint64_t> illegal{0};
    std::atomic<std::uint64_t> code_bytes{0};
  };
  Counts counts;

 private:
  struct Reported {
    std::uint64_t page = 0;
    std::uint32_t vmid = 0;
    std::uint64_t at = 0;
    std::uint64_t interval = 0;
  };

  EngineHost& host_;
  const EngineMemory memory_;
  const std::uint64_t quantum_;
  const unsigned threads_;

  std::mutex mutex_;  // guards grids_, turn_ and picks_
  std::vector<std::shared_ptr<Grid>> grids_;
  std::size_t turn_ = 0;
  unsigned picks_ = 0;

  // What is free of a compute unit; less than nothing after `force`.
  struct Unit {
    std::int64_t waves;
    std::int64_t rows;
    std::int64_t lds;
  };
  std::mutex unit_mutex_;  // guards units_ and unit_turn_
  std::vector<Unit> units_;
  unsigned unit_turn_ = 0;
  const unsigned engines_;  // shader engines

  std::atomic<std::uint64_t> retries_{0};
  std::mutex wait_mutex_;
  std::condition_variable changed_;
  std::atomic<std::uint64_t> signals_{0};
  std::atomic<std::uint64_t> code_generation_{0};

  std::mutex report_mutex_;  // guards reported_
  std::array<Reported, 64> reported_{};
};

class EngineThread {
 public:
  EngineThread(Pool& pool, const LowerTable& table, std::size_t code_limit);
  EngineThread(const EngineThread&) = delete;
  EngineThread& operator=(const EngineThread&) = delete;
  // The thread ends at its next safe point; join() waits for it.
  void stop() { stopping_.store(true, std::memory_order_seq_cst); }
  void join() { thread_.join(); }

 private:
  struct Resident {
    std::shared_ptr<Grid> grid;
    std::unique_ptr<Workgroup> group;
    Grid::Range range;  // to be run one after another in its place
    std::uint32_t scratch = 0;
    unsigned unit = 0;           // its compute unit
    std::uint64_t ready_at = 0;  // 0: can run; else not before (all its waves sleep or are parked)
    std::uint64_t sequence = 0;  // Pool::sequence() when it was last run
    std::uint64_t spent = 0;     // instructions of this turn
    bool is_long = false;        // the workgroup has used up a quantum
    std::size_t first_wave = 0;  // of the next turn
  };

  void main();
  void safe_point();
  // Runs what can run for a while. False: nothing could.
  bool round();
  [[nodiscard]] std::unique_ptr<Resident> admit();
  // Which resident is next: an index, or residents_.size() if none can run.
  [[nodiscard]] std::size_t choose(std::uint64_t sequence);
  [[nodiscard]] bool can_run(const Resident& resident, std::uint64_t sequence) const;
  // Waves of a group, one after another, up to so many instructions. False: none could run.
  bool run_waves(Resident& resident, std::uint64_t limit);
  [[nodiscard]] std::uint64_t turn_length(const Resident& resident) const;
  // Starts the next workgroup of the resident's range. False: there is none.
  bool start_next(Resident& resident, bool clear);
  [[nodiscard]] bool provide(Resident& resident);
  void discard(std::size_t index);
  // One turn of a workgroup. True: it has ended.
  bool run_group(Resident& resident);
  // One slice of a wave.
  void run_slot(Resident& resident, WaveSlot& slot);
  void left(Resident& resident, WaveSlot& slot);
  void park(Resident& resident, WaveSlot& slot);
  static void barrier_check(Workgroup& group);
  void fail(Resident& resident, Wave& wave, Verdict verdict);
  [[nodiscard]] std::uint64_t earliest() const;

  Pool& pool_;
  device::EpochDomain::Participant& participant_;
  device::Tlb tlb_;
  CodeCache code_;
  std::uint64_t code_generation_ = 0;
  std::vector<std::unique_ptr<Resident>> residents_;
  std::size_t turn_ = 0;
  unsigned choices_ = 0;
  std::uint64_t now_ = 0;  // ns, as of the last round
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace kfdlab::engine
