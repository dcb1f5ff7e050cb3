// SPDX-License-Identifier: MIT
// Ctrl-C and SIGTERM while VMs run: the VMs end at once, so that their owners return through the ordinary path and
// leave nothing behind. A second signal ends this process (the VMs die with it).
#pragma once

#include <signal.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "tools/vm/vm.h"

namespace kfdlab::judge {

class Interrupt {
 public:
  // Blocks SIGINT, SIGTERM and SIGHUP in this thread and those started after it; one at a time.
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // The signal that came, or 0.
  [[nodiscard]] int signal() const { return signal_.load(); }

  // The VM is to be ended on a signal; at once if it came already. It must be removed before it is destroyed.
  void add(Vm* vm);
  void remove(Vm* vm);

 private:
  void wait();

  sigset_t signals_{};
  sigset_t before_{};
  std::atomic<int> signal_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::set<Vm*> vms_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace kfdlab::judge
