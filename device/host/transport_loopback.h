// SPDX-License-Identifier: MIT
// The in-process transport: device and driver are threads of one test. Kicks and interrupts are counted, so that
// a test can ask how often the other side was disturbed and wait for the next time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

#include "device/host/transport.h"

namespace kfdlab::device {

class LoopbackTransport final : public Transport {
 public:
  // `bar` is borrowed and must outlive the transport.
  LoopbackTransport(std::span<std::byte> bar, unsigned kicks, unsigned irqs)
      : bar_(bar), kicks_(kicks, 0), pending_(kicks, false), irqs_(irqs, 0) {}

  // The device's side.
  [[nodiscard]] std::span<std::byte> bar() override { return bar_; }
  [[nodiscard]] bool wait_kick(unsigned kick) override;
  void raise_irq(unsigned irq) override;
  void interrupt_waiters() override;

  // The driver's side.
  void kick(unsigned kick);
  [[nodiscard]] std::uint64_t kicks(unsigned kick) const;
  [[nodiscard]] std::uint64_t irqs(unsigned irq) const;
  // Waits until `irq` was raised more than `seen` times; false when `timeout` passed first.
  [[nodiscard]] bool wait_irq(unsigned irq, std::uint64_t seen, std::chrono::milliseconds timeout);

 private:
  std::span<std::byte> bar_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool interrupted_ = false;
  std::vector<std::uint64_t> kicks_;
  std::vector<bool> pending_;
  std::vector<std::uint64_t> irqs_;
};

}  // namespace kfdlab::device
