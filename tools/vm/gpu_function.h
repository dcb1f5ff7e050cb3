// SPDX-License-Identifier: MIT
// GpuFunction: the launcher's half of one virtual GPU. It owns what QEMU and kfdlab-gpu share: the BAR 2
// memory and the eventfds. It writes the identity page, before the VM starts, and the state word of the device
// page, only while no device process exists.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "common/fd.h"
#include "common/result.h"
#include "hw/bar_layout.h"
#include "hw/regs.h"

namespace kfdlab {

class GpuFunction {
 public:
  // vram: bytes, multiple of 2 MiB.
  static Result<GpuFunction> create(unsigned index, unsigned count, std::uint64_t vram);
  GpuFunction(GpuFunction&& other) noexcept;
  GpuFunction& operator=(GpuFunction&&) = delete;
  ~GpuFunction();

  // The end of the ivshmem socket that QEMU gets.
  [[nodiscard]] int qemu_socket() const { return qemu_socket_.get(); }
  // To call once QEMU has started: its death must be seen as such.
  void close_qemu_socket() { qemu_socket_.reset(); }
  // The --gpu argument of kfdlab-gpu; the descriptors it names are appended to `fds`.
  [[nodiscard]] std::string device_argument(std::vector<int>& fds) const;

  [[nodiscard]] int reset_kick() const { return kick_[KFDLAB_KICK_RESET].get(); }
  // The generation the driver wants killed.
  [[nodiscard]] std::uint32_t reset_request() const;
  // DEAD in the device page, then KFDLAB_IRQ_STATE. The device process of `generation` must have been reaped.
  void announce_death(std::uint32_t generation);

 private:
  GpuFunction() = default;
  void write_identity(unsigned index, unsigned count, std::uint64_t bar_size, std::uint64_t vram);

  unsigned index_ = 0;
  Fd bar_;
  std::array<Fd, KFDLAB_KICK_COUNT> kick_;
  std::array<Fd, KFDLAB_IRQ_COUNT> irq_;
  Fd qemu_socket_;
  Fd server_socket_;
  unsigned char* registers_ = nullptr;  // BAR 2 up to VRAM
};

// Size of BAR 2: a power of two that holds registers, rings, doorbells and VRAM.
[[nodiscard]] std::uint64_t bar_size(std::uint64_t vram);

}  // namespace kfdlab
