// SPDX-License-Identifier: MIT
// What is fixed for a whole run, and what the threads of one process share.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/stress/board.h"
#include "tests/support/kfd_client.h"

namespace kfdlab::stress {

struct Setup {
  std::uint64_t seed = 1;
  std::chrono::seconds time{20};
  std::uint64_t operations = 0;  // end after so many; 0: only the time counts
  unsigned processes = 4;
  unsigned threads = 2;
  std::size_t vram_pages = 4096;    // left free on all GPUs together
  std::size_t thread_pages = 2048;  // mapped by each thread; all threads together four times vram_pages
  std::vector<std::uint32_t> gpus;
  std::vector<std::string> render_nodes;  // in the order of gpus
  std::string cgroup;                     // directory, empty: none
  bool ksm = true;                        // merge equal pages beside the run
  bool corrupt = false;                   // a control: one page of one thread is overwritten behind the shadow's back

  [[nodiscard]] std::size_t window_slots() const { return thread_pages + thread_pages / 2; }
};

struct Context {
  const Setup* setup = nullptr;
  Board* board = nullptr;
  unsigned process = 0;
  unsigned incarnation = 0;
  const KfdClient* kfd = nullptr;  // of this process
  std::vector<int> render_fds;     // in the order of setup->gpus
};

}  // namespace kfdlab::stress
