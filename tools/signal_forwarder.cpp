// SPDX-License-Identifier: MIT
#include "tools/signal_forwarder.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "tools/host/interrupt.h"

namespace kfdlab {

SignalForwarder::SignalForwarder(std::function<void()> emergency) : emergency_(std::move(emergency)) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signo : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH}) {
    ::sigaddset(&set, signo);
  }
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC));
  stop_.reset(::eventfd(0, EFD_CLOEXEC));
  thread_ = std::thread([this] { loop(); });
}

SignalForwarder::~SignalForwarder() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

void SignalForwarder::forward_to(Vm* vm) {
  const std::lock_guard lock(mutex_);
  vm_ = vm;
}

void SignalForwarder::loop() {
  for (;;) {
    pollfd polls[2] = {{signals_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    ::poll(polls, 2, -1);
    if (polls[1].revents != 0) {
      return;
    }
    signalfd_siginfo info{};
    if (polls[0].revents != 0 && ::read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
      handle(static_cast<int>(info.ssi_signo));
    }
  }
}

void SignalForwarder::handle(int signo) {
  const std::lock_guard lock(mutex_);
  if (signo == SIGWINCH) {
    if (vm_ != nullptr) {
      vm_->signal(signo);
    }
    return;
  }
  if (received_ == 0) {
    received_ = signo;
  }
  ++count_;
  if (count_ >= 3) {
    emergency_();
    ::_exit(128 + signo);  // QEMU and kfdlab-gpu die with this process
  }
  if (vm_ != nullptr && count_ == 1) {
    vm_->signal(signo);
  } else {
    request_interrupt();
  }
}

}  // namespace kfdlab
