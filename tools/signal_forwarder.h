// SPDX-License-Identifier: MIT
// SignalForwarder: what the caller's signals do. Before a VM runs a command they stop the launcher; then SIGINT,
// SIGTERM, SIGHUP and SIGQUIT go to the guest command, a second one of them ends the VM, a third this process.
#pragma once

#include <atomic>
#include <csignal>
#include <functional>
#include <mutex>
#include <thread>

#include "common/fd.h"
#include "tools/vm/vm.h"

namespace kfdlab {

class SignalForwarder {
 public:
  // Blocks the signals in the calling thread (and those it starts from now on) and handles them in one of its own.
  // `emergency` runs before a third signal ends the process.
  explicit SignalForwarder(std::function<void()> emergency);
  ~SignalForwarder();

  // From now on to this VM's command; nullptr: to nobody, a signal stops the launcher.
  void forward_to(Vm* vm);
  // The first signal that was to end something, 0 if none came.
  [[nodiscard]] int received() const { return received_; }

 private:
  void loop();
  void handle(int signo);

  std::function<void()> emergency_;
  Fd signals_;
  Fd stop_;
  std::mutex mutex_;
  Vm* vm_ = nullptr;  // under mutex_
  int count_ = 0;
  std::atomic<int> received_{0};
  std::thread thread_;
};

}  // namespace kfdlab
