// SPDX-License-Identifier: MIT
#include "tests/stress/provoker.h"

#include <sys/prctl.h>
#include <sys/swap.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/stress/knobs.h"
#include "tests/stress/random.h"

namespace kfdlab::stress {
namespace {

namespace fs = std::filesystem;

// Files whose reading evicts everything from VRAM or from GTT, as amdgpu has them.
std::vector<std::string> eviction_files() {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& card : fs::directory_iterator("/sys/kernel/debug/dri", error)) {
    for (const char* name : {"amdgpu_evict_vram", "amdgpu_evict_gtt"}) {
      if (fs::exists(card.path() / name, error)) {
        files.push_back(card.path() / name);
      }
    }
  }
  return files;
}

class Provoker {
 public:
  Provoker(const Setup& setup, Board* board, std::string swap)
      : setup_(setup), board_(board), swap_(std::move(swap)), eviction_files_(eviction_files()) {}

  void run() {
    Random random(mix(setup_.seed) + 77);
    board_->provoker.pid = ::getpid();
    board_->provoker.tid = ::getpid();
    while (!board_->stopping()) {
      provoke(random);
      board_->provoker.began_ns = 0;
      // The pace, not a wait for anything: the workers need the processors too.
      std::this_thread::sleep_for(std::chrono::milliseconds(random.between(20, 150)));
    }
  }

 private:
  void begin(const char* what) {
    board_->provoker.operation.fetch_add(1);
    board_->provoker.what = what;
    board_->provoker.began_ns = now_ns();
  }

  void provoke(Random& random) {
    const std::size_t dice = random.below(40);
    if (dice < 2) {
      begin("compaction");
      board_->add(Count::Compactions, write_knob("/proc/sys/vm/compact_memory", "1") ? 1 : 0);
    } else if (dice < 30) {
      reclaim(random);
    } else if (dice < 31 && setup_.ksm) {
      begin("KSM breaks up what it merged");
      const bool done = write_knob("/sys/kernel/mm/ksm/run", "2");
      board_->add(Count::KsmUnmerges, done ? 1 : 0);
      static_cast<void>(write_knob("/sys/kernel/mm/ksm/run", "1"));
    } else if (dice < 32) {
      swap_off_and_on();
    } else if (dice < 33) {
      evict(random);
    }
  }

  void reclaim(Random& random) {
    if (setup_.cgroup.empty()) {
      return;
    }
    begin("reclaim");
    // It answers EAGAIN when there was less to take.
    static_cast<void>(write_knob(setup_.cgroup + "/memory.reclaim", std::to_string(random.between(1, 16) << 17)));
    board_->add(Count::Reclaims);
  }

  void swap_off_and_on() {
    if (swap_.empty()) {
      return;
    }
    begin("swapoff");
    if (::swapoff(swap_.c_str()) == 0) {
      board_->add(Count::Swapoffs);
    }
    begin("swapon");
    ::swapon(swap_.c_str(), 0);
  }

  void evict(Random& random) {
    if (eviction_files_.empty()) {
      return;
    }
    begin("eviction by debugfs");
    std::string line;
    std::ifstream file(eviction_files_[random.below(eviction_files_.size())]);
    std::getline(file, line);
    board_->add(Count::EvictAll);
  }

  const Setup& setup_;
  Board* board_;
  std::string swap_;
  std::vector<std::string> eviction_files_;
};

}  // namespace

void run_provoker(const Setup& setup, Board* board, const std::string& swap) {
  ::prctl(PR_SET_NAME, "stress-provoker");
  ::close_range(3, ~0u, 0);
  Provoker(setup, board, swap).run();
  ::_exit(0);
}

}  // namespace kfdlab::stress
