// SPDX-License-Identifier: MIT
#include "device/host/transport_loopback.h"

#include "common/check.h"

namespace kfdlab::device {

bool LoopbackTransport::wait_kick(unsigned kick) {
  std::unique_lock lock(mutex_);
  KFDLAB_CHECK(kick < pending_.size());
  changed_.wait(lock, [&] { return interrupted_ || pending_[kick]; });
  if (interrupted_) {
    return false;
  }
  pending_[kick] = false;
  return true;
}

void LoopbackTransport::raise_irq(unsigned irq) {
  {
    const std::lock_guard lock(mutex_);
    KFDLAB_CHECK(irq < irqs_.size());
    ++irqs_[irq];
  }
  changed_.notify_all();
}

void LoopbackTransport::interrupt_waiters() {
  {
    const std::lock_guard lock(mutex_);
    interrupted_ = true;
  }
  changed_.notify_all();
}

void LoopbackTransport::kick(unsigned kick) {
  {
    const std::lock_guard lock(mutex_);
    KFDLAB_CHECK(kick < pending_.size());
    ++kicks_[kick];
    pending_[kick] = true;
  }
  changed_.notify_all();
}

std::uint64_t LoopbackTransport::kicks(unsigned kick) const {
  const std::lock_guard lock(mutex_);
  return kicks_[kick];
}

std::uint64_t LoopbackTransport::irqs(unsigned irq) const {
  const std::lock_guard lock(mutex_);
  return irqs_[irq];
}

bool LoopbackTransport::wait_irq(unsigned irq, std::uint64_t seen, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, timeout, [&] { return irqs_[irq] > seen; });
}

}  // namespace kfdlab::device
