// SPDX-License-Identifier: MIT
// The real transport: a BAR that is a shared memory file and eventfds for kicks and interrupts, all made by the
// launcher, which shares them with QEMU through the ivshmem protocol. They outlive this process: a successor gets
// the same ones.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/fd.h"
#include "common/result.h"
#include "device/host/mapping.h"
#include "device/host/transport.h"

namespace kfdlab::device {

class MemfdTransport final : public Transport {
 public:
  // Maps all of `bar_fd`. Takes ownership of the descriptors. `what` names the function in errors ("gpu 0").
  [[nodiscard]] static Result<std::unique_ptr<MemfdTransport>> create(const std::string& what, Fd bar_fd,
                                                                      std::vector<Fd> kicks, std::vector<Fd> irqs);

  [[nodiscard]] std::span<std::byte> bar() override { return bar_.bytes(); }
  [[nodiscard]] bool wait_kick(unsigned kick) override;
  void raise_irq(unsigned irq) override;
  void interrupt_waiters() override;

 private:
  MemfdTransport(Mapping bar, Fd stop, std::vector<Fd> kicks, std::vector<Fd> irqs)
      : bar_(std::move(bar)), stop_(std::move(stop)), kicks_(std::move(kicks)), irqs_(std::move(irqs)) {}

  Mapping bar_;
  Fd stop_;  // eventfd, written once and never read: it ends every poll from then on
  std::vector<Fd> kicks_;
  std::vector<Fd> irqs_;
};

}  // namespace kfdlab::device
