// SPDX-License-Identifier: MIT
#include "tools/judge/interrupt.h"

#include <unistd.h>

#include "tools/host/interrupt.h"

namespace kfdlab::judge {

Interrupt::Interrupt() {
  ::sigemptyset(&signals_);
  for (const int signo : {SIGINT, SIGTERM, SIGHUP}) {
    ::sigaddset(&signals_, signo);
  }
  ::pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  thread_ = std::thread([this] { wait(); });
}

Interrupt::~Interrupt() {
  stop_ = true;
  thread_.join();
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void Interrupt::add(Vm* vm) {
  const std::lock_guard lock(mutex_);
  vms_.insert(vm);
  if (signal_ != 0) {
    vm->kill();
  }
}

void Interrupt::remove(Vm* vm) {
  const std::lock_guard lock(mutex_);
  vms_.erase(vm);
}

void Interrupt::wait() {
  while (!stop_) {
    const timespec interval{0, 100'000'000};
    const int signo = ::sigtimedwait(&signals_, nullptr, &interval);
    if (signo <= 0) {
      continue;
    }
    if (signal_ != 0) {
      ::_exit(128 + signo);
    }
    const std::lock_guard lock(mutex_);
    signal_ = signo;
    request_interrupt();
    for (Vm* vm : vms_) {
      vm->kill();
    }
  }
}

}  // namespace kfdlab::judge
