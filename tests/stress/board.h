// SPDX-License-Identifier: MIT
// Board: the memory that all processes of a run share. Who is alive, what each is doing since when, what was counted,
// and the first failure. It holds only lock-free atomics, so a process may die at any instruction.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "tests/stress/counts.h"

namespace kfdlab::stress {

inline constexpr unsigned kMaxProcesses = 8;
inline constexpr unsigned kMaxThreads = 8;
inline constexpr unsigned kMaxChildren = 3;  // of one process, alive at once

// Nanoseconds of CLOCK_MONOTONIC.
[[nodiscard]] std::int64_t now_ns();

// One flow of operations, for the watchdog: what it does and since when. began_ns 0: nothing.
struct Activity {
  std::atomic<std::int64_t> began_ns;
  std::atomic<const char*> what;  // a literal: all processes are forks of one image
  std::atomic<std::uint64_t> operation;
  std::atomic<pid_t> pid;
  std::atomic<pid_t> tid;
};

// What the threads and children of one process did to which addresses, newest over oldest. A reader may see an entry
// half written; it is for people.
class Diary {
 public:
  void write(unsigned thread, bool child, std::uint64_t operation, const char* what, std::uint64_t start,
             std::uint64_t end);
  // Entries that touch the page at `address`, oldest first, with their age.
  [[nodiscard]] std::string about(std::uint64_t address) const;

 private:
  struct Entry {
    std::atomic<std::int64_t> when;
    std::atomic<const char*> what;
    std::atomic<std::uint64_t> operation, start, end;
    std::atomic<pid_t> pid;
    std::atomic<unsigned> thread;
  };
  std::array<Entry, 2048> entries_;
  std::atomic<std::uint64_t> next_;
};

enum class ChildState : std::uint32_t { Free, Claimed, Running };

struct ChildSlot {
  std::atomic<ChildState> state;
  std::atomic<bool> kills_itself;
  std::atomic<bool> orphaned;
  Activity activity;
};

struct ProcessSlot {
  std::atomic<unsigned> incarnation;
  std::atomic<bool> kills_itself;
  Diary diary;
  std::array<Activity, kMaxThreads> threads;
  std::array<ChildSlot, kMaxChildren> children;
};

class Board {
 public:
  // Aborts when there is no memory.
  static Board* create();
  static void destroy(Board* board);

  void add(Count what, std::uint64_t n = 1) {
    counts_[static_cast<std::size_t>(what)].fetch_add(n, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t get(Count what) const {
    return counts_[static_cast<std::size_t>(what)].load(std::memory_order_relaxed);
  }

  // No further operations: check everything and end.
  void stop() { stop_ = true; }
  [[nodiscard]] bool stopping() const { return stop_; }
  // The first failure is kept, and everybody stops. Async-signal safe.
  void fail(const char* text);
  [[nodiscard]] bool failed() const { return failed_ != 0; }
  // Whoever failed first is still writing down why, or died over it.
  [[nodiscard]] bool failing() const { return failed_ == 1; }
  // Empty: none.
  [[nodiscard]] std::string failure() const;

  std::array<ProcessSlot, kMaxProcesses> processes;
  Activity provoker;

 private:
  std::array<std::atomic<std::uint64_t>, kCounts> counts_;
  std::atomic<bool> stop_;
  std::atomic<int> failed_;  // 1: being written, 2: complete
  std::array<char, 16384> failure_;
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<ChildState>::is_always_lock_free);

}  // namespace kfdlab::stress
