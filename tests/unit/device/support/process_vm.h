// SPDX-License-Identifier: MIT
// ProcessVm: the launcher's half: memory files and eventfds as kfdlab makes them, and kfdlab-gpu as a child that
// can be killed and replaced. No QEMU: the test is the guest.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/fd.h"
#include "device/host/mapping.h"
#include "tests/unit/device/support/test_driver.h"

namespace kfdlab::device {

class ProcessVm {
 public:
  static constexpr std::uint64_t kRamBase = 0x100000;
  static constexpr std::uint64_t kRamSize = 64u << 20;
  static constexpr std::uint64_t kBarSize = 128u << 20;
  static constexpr std::uint64_t kBarBase = 0x800000000;

  ProcessVm();
  ProcessVm(const ProcessVm&) = delete;
  ProcessVm& operator=(const ProcessVm&) = delete;
  ~ProcessVm();

  // Starts the child of the next generation and returns that generation. With `stderr_fd` >= 0 its log goes there.
  std::uint32_t start(int stderr_fd = -1);
  // SIGKILL, reap, write DEAD: what the launcher does on a reset request.
  void kill();
  // Sends `signo` and reaps; the wait status, or -1 if the child did not end in time.
  int end(int signo);
  // Reaps a child that ends by itself.
  int reap();

  [[nodiscard]] TestDriver& gpu() { return *driver_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] std::span<std::byte> ram() const { return ram_->bytes(); }
  [[nodiscard]] std::span<std::byte> bar() const { return bar_->bytes(); }
  // Waits for an interrupt and resets it; false if none came in time.
  [[nodiscard]] bool wait_irq(unsigned irq, std::chrono::milliseconds limit) const;
  // CPU time the child has used.
  [[nodiscard]] std::chrono::nanoseconds cpu_time() const;
  // A field of the child's /proc status in KiB.
  [[nodiscard]] std::uint64_t status_kib(const std::string& field) const;

 private:
  Fd ram_fd_, bar_fd_;
  std::vector<Fd> kicks_, irqs_;
  std::unique_ptr<Mapping> ram_, bar_;
  std::unique_ptr<TestDriver> driver_;
  std::uint32_t generation_ = 0;
  pid_t pid_ = -1;
};

}  // namespace kfdlab::device
