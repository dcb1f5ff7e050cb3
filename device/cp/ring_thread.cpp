// SPDX-License-Identifier: MIT
#include "device/cp/ring_thread.h"

#include <pthread.h>

#include <system_error>

namespace kfdlab::device {
namespace {

// Looks at the write pointer this often before the thread goes to sleep. A look costs about 20 ns with the pause.
constexpr int kLooksBeforeSleep = 100;

inline void cpu_relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

Status RingThread::start(const char* name) {
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    return Error{std::string("starting thread ") + name + ": " + error.what()};
  }
  ::pthread_setname_np(thread_.native_handle(), name);
  return ok_status();
}

void RingThread::join() {
  if (thread_.joinable()) {
    thread_.join();
  }
}

bool RingThread::work_comes_soon() {
  for (int look = 0; look < kLooksBeforeSleep; ++look) {
    if (processor_.has_work()) {
      return true;
    }
    cpu_relax();
  }
  return false;
}

void RingThread::run() {
  while (!stop_.load(std::memory_order_relaxed)) {
    processor_.set_awake(true);
    while (work_comes_soon()) {
      processor_.process(stop_);
      if (stop_.load(std::memory_order_relaxed)) {
        return;
      }
    }
    processor_.set_awake(false);
    // The driver may have seen the promise after our last look and left out its kick.
    if (!processor_.has_work() && !transport_.wait_kick(kick_)) {
      return;
    }
  }
}

}  // namespace kfdlab::device
