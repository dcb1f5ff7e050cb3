// SPDX-License-Identifier: MIT
#include "tests/stress/run.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "common/check.h"
#include "tests/stress/knobs.h"
#include "tests/stress/provoker.h"
#include "tests/stress/trace_count.h"
#include "tests/stress/vram.h"
#include "tests/stress/watchdog.h"
#include "tests/stress/worker.h"
#include "tests/support/counters.h"
#include "tests/support/events.h"
#include "tests/support/listener.h"
#include "tests/support/needs.h"

namespace kfdlab::stress {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTick{20};
constexpr std::chrono::seconds kAliveInterval{5};
// For one operation, times patience(): none takes more than a second when nothing is wrong.
constexpr std::chrono::seconds kStuckLimit{9};
// Between SIGKILL and the end of a process.
constexpr std::chrono::seconds kKillLimit{20};

// What the driver counted, added up over all GPUs, as differences from when the object was made.
class DriverCounts {
 public:
  explicit DriverCounts(const std::vector<std::uint32_t>& gpus) : gpus_(gpus), before_(read()) {}

  void add_to(std::map<std::string, std::uint64_t>* counts) const {
    const kfdlab_test_counters now = read();
    const auto add = [&](const char* name, __u64 kfdlab_test_counters::*field) {
      (*counts)[name] = now.*field - before_.*field;
    };
    add("driver_pages_to_vram", &kfdlab_test_counters::pages_to_vram);
    add("driver_pages_to_ram_prefetch", &kfdlab_test_counters::pages_to_ram_prefetch);
    add("driver_pages_to_ram_evict", &kfdlab_test_counters::pages_to_ram_evict);
    add("driver_pages_left_by_pin", &kfdlab_test_counters::pages_left_by_pin);
    add("driver_pages_freed", &kfdlab_test_counters::pages_freed);
    add("driver_pages_failed", &kfdlab_test_counters::pages_failed);
    add("driver_no_vram", &kfdlab_test_counters::no_vram);
    add("driver_evictions", &kfdlab_test_counters::evictions);
    add("driver_page_free_irq", &kfdlab_test_counters::page_free_irq);
    const auto add_trace = [&](const char* name, const TraceCount& trace) {
      if (const auto value = trace.value()) {
        (*counts)[name] = *value;
      }
    };
    add_trace("migrations_to_vram", to_vram_);
    add_trace("migrations_to_ram", to_ram_);
    add_trace("evictions_clean", evict_clean_);
    add_trace("evictions_with_held_pages", evict_held_);
  }

 private:
  [[nodiscard]] kfdlab_test_counters read() const {
    kfdlab_test_counters sum{};
    const auto device = TestDevice::open();
    for (const std::uint32_t gpu : gpus_) {
      const auto one = device ? device.value().counters(gpu) : Result<kfdlab_test_counters>(Error{"no device"});
      if (!one) {
        continue;
      }
      for (auto field :
           {&kfdlab_test_counters::pages_to_vram, &kfdlab_test_counters::pages_to_ram_prefetch,
            &kfdlab_test_counters::pages_to_ram_evict, &kfdlab_test_counters::pages_left_by_pin,
            &kfdlab_test_counters::pages_freed, &kfdlab_test_counters::pages_failed, &kfdlab_test_counters::no_vram,
            &kfdlab_test_counters::evictions, &kfdlab_test_counters::page_free_irq}) {
        sum.*field += one.value().*field;
      }
    }
    return sum;
  }

  const std::vector<std::uint32_t>& gpus_;
  kfdlab_test_counters before_;
  TraceCount to_vram_{"kfdlab-to-vram", "kfdlab_migrate", "to_vram == 1 && pages > 0"};
  TraceCount to_ram_{"kfdlab-to-ram", "kfdlab_migrate", "to_vram == 0 && pages > 0"};
  TraceCount evict_clean_{"kfdlab-evict-clean", "kfdlab_evict", "stayed == 0"};
  TraceCount evict_held_{"kfdlab-evict-held", "kfdlab_evict", "stayed > 0"};
};

class StressRun {
 public:
  explicit StressRun(const Setup& setup) : setup_(setup), board_(Board::create()) {}
  ~StressRun() { Board::destroy(board_); }

  RunResult run() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    auto ballast = Ballast::leave(setup_.gpus, setup_.vram_pages / setup_.gpus.size() * 4096);
    if (!ballast) {
      return {ballast.error().message, {}};
    }
    Knobs knobs(setup_.ksm);
    for (const std::string& missing : knobs.missing()) {
      send_event({{"event", events::kEventNote}, {"message", missing}});
    }
    setup_.cgroup = knobs.cgroup();
    const DriverCounts driver(setup_.gpus);
    const auto deadline = Clock::now() + setup_.time;
    start_provoker(knobs.swap());
    for (unsigned process = 0; process < setup_.processes; ++process) {
      start_worker(process);
    }
    while (!board_->stopping()) {
      tick();
      if (Clock::now() >= deadline || (setup_.operations > 0 && board_->get(Count::OpsTotal) >= setup_.operations)) {
        board_->stop();
      }
    }
    wait_for_all();
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
    return result(driver);
  }

 private:
  RunResult result(const DriverCounts& driver) {
    RunResult result;
    result.failure = board_->failure();
    for (std::size_t i = 0; i < kCounts; ++i) {
      result.counts[kCountNames[i]] = board_->get(static_cast<Count>(i));
    }
    driver.add_to(&result.counts);
    return result;
  }

  void start_provoker(const std::string& swap) {
    provoker_ = ::fork();
    KFDLAB_CHECK(provoker_ >= 0);
    if (provoker_ == 0) {
      run_provoker(setup_, board_, swap);
    }
  }

  void start_worker(unsigned process) {
    const unsigned life = lives_[process]++;
    workers_[process] = ::fork();
    KFDLAB_CHECK(workers_[process] >= 0);
    if (workers_[process] == 0) {
      run_worker(setup_, board_, process, life);
    }
  }

  void tick() {
    reap();
    for (unsigned process = 0; process < setup_.processes && !board_->stopping(); ++process) {
      if (workers_[process] == 0) {
        start_worker(process);
      }
    }
    if (Clock::now() - said_alive_ >= kAliveInterval) {
      said_alive_ = Clock::now();
      send_event({{"event", events::kEventAlive}});
      if (const std::string text = find_stuck(*board_, kStuckLimit * patience()); !text.empty()) {
        board_->fail((text + describe_tasks(everybody())).c_str());
      }
    }
    std::this_thread::sleep_for(kTick);
  }

  void reap() {
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0; pid = ::waitpid(-1, &status, WNOHANG)) {
      if (pid == provoker_) {
        provoker_ = 0;
        judge("the provoker", status, false);
        continue;
      }
      const auto worker = std::find(workers_.begin(), workers_.end(), pid);
      if (worker != workers_.end()) {
        worker_ended(static_cast<unsigned>(worker - workers_.begin()), status);
      } else {
        orphan_ended(pid, status);
      }
    }
  }

  void worker_ended(unsigned process, int status) {
    workers_[process] = 0;
    ProcessSlot& slot = board_->processes[process];
    judge(fmt::format("process {} (life {})", process, slot.incarnation.load()), status, slot.kills_itself);
    for (Activity& thread : slot.threads) {
      thread.began_ns = 0;
    }
    for (ChildSlot& child : slot.children) {
      ChildState claimed = ChildState::Claimed;
      child.state.compare_exchange_strong(claimed, ChildState::Free);
      if (child.state != ChildState::Running || child.orphaned.exchange(true)) {
        continue;
      }
      if (::kill(child.activity.pid, 0) != 0) {
        child.state = ChildState::Free;  // the parent reaped it and died before it could say so
      } else {
        board_->add(Count::ChildrenOutlivedParent);
      }
    }
  }

  void orphan_ended(pid_t pid, int status) {
    for (unsigned process = 0; process < setup_.processes; ++process) {
      for (ChildSlot& child : board_->processes[process].children) {
        if (child.state == ChildState::Running && child.activity.pid == pid) {
          judge(fmt::format("a child of process {}, which ended before it,", process), status, child.kills_itself);
          board_->add(WIFSIGNALED(status) ? Count::ChildrenKilled : Count::ChildrenEnded);
          child.state = ChildState::Free;
          return;
        }
      }
    }
    judge(fmt::format("child {}, never heard of,", pid), status, true);
  }

  void judge(const std::string& who, int status, bool may_kill_itself) {
    const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && may_kill_itself;
    if (!killed && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
      board_->fail(fmt::format("seed {}: {} ended with wait status {:#x}", setup_.seed, who, status).c_str());
    }
  }

  [[nodiscard]] std::vector<pid_t> everybody() const {
    std::vector<pid_t> all;
    const auto add = [&](pid_t pid) {
      if (pid > 0) {
        all.push_back(pid);
      }
    };
    add(provoker_);
    for (unsigned process = 0; process < setup_.processes; ++process) {
      add(workers_[process]);
      for (const ChildSlot& child : board_->processes[process].children) {
        add(child.state == ChildState::Running ? child.activity.pid.load() : 0);
      }
    }
    return all;
  }

  // A failed run does not wait, except for the reason: its processes may hang.
  void wait_for_all() {
    auto limit = Clock::now() + kStuckLimit * patience();
    while (!everybody().empty() && !board_->failed() && Clock::now() < limit) {
      tick();
    }
    const auto written = Clock::now() + kKillLimit;
    while (!everybody().empty() && board_->failing() && Clock::now() < written) {
      reap();
      std::this_thread::sleep_for(kTick);
    }
    reap();
    if (everybody().empty()) {
      return;
    }
    if (!board_->failed()) {
      board_->fail(("not everybody ends:" + describe_tasks(everybody())).c_str());
    }
    for (const pid_t pid : everybody()) {
      ::kill(pid, SIGKILL);
    }
    limit = Clock::now() + kKillLimit;
    while (!everybody().empty() && Clock::now() < limit) {
      reap();
      std::this_thread::sleep_for(kTick);
    }
  }

  Setup setup_;
  Board* board_;
  pid_t provoker_ = 0;
  std::array<pid_t, kMaxProcesses> workers_{};
  std::array<unsigned, kMaxProcesses> lives_{};
  Clock::time_point said_alive_{};
};

}  // namespace

RunResult run_stress(const Setup& setup) { return StressRun(setup).run(); }

}  // namespace kfdlab::stress
