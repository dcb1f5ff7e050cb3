// SPDX-License-Identifier: MIT
// Transport: one PCI function as seen from the device's side. It gives the bytes of the shared BAR, kicks that
// arrive from the guest and interrupts that go to it; what the bytes mean is not its business. There are two:
// memfd + eventfd (the real one) and loopback (in-process, for tests and fuzzing).
#pragma once

#include <cstddef>
#include <span>

namespace kfdlab::device {

class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  // The whole BAR; page-aligned, constant for the life of the transport.
  [[nodiscard]] virtual std::span<std::byte> bar() = 0;

  // Blocks until `kick` arrives or interrupt_waiters() was called; false for the latter. Kicks do not count: any
  // number since the last wait is one. At most one thread waits for a kick at a time.
  [[nodiscard]] virtual bool wait_kick(unsigned kick) = 0;

  // Interrupts the guest. Never blocks; any thread.
  virtual void raise_irq(unsigned irq) = 0;

  // Ends every present and future wait_kick(). Any thread.
  virtual void interrupt_waiters() = 0;
};

}  // namespace kfdlab::device
