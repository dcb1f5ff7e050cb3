// SPDX-License-Identifier: MIT
// Bar: the shared BAR of one GPU as typed parts, checked once. Everything in it may be changed by the guest at any
// time, the identity page too; what the device relies on (sizes, number) is copied out before the first use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "common/result.h"
#include "hw/bar_layout.h"
#include "hw/ih.h"
#include "hw/regs.h"

namespace kfdlab::device {

class Bar {
 public:
  // Checks the identity page against the file and the command line: a wrong one means that launcher and device do
  // not belong together. `bytes` is borrowed and page-aligned.
  [[nodiscard]] static Result<Bar> create(std::span<std::byte> bytes, unsigned gpu_index, unsigned gpu_count);

  [[nodiscard]] unsigned gpu_index() const { return gpu_index_; }
  [[nodiscard]] std::uint64_t size() const { return bytes_.size(); }
  [[nodiscard]] unsigned compute_units() const { return compute_units_; }

  [[nodiscard]] kfdlab_device_regs& device_regs() const { return at<kfdlab_device_regs>(KFDLAB_BAR_DEVICE_REGS); }
  [[nodiscard]] kfdlab_driver_regs& driver_regs() const { return at<kfdlab_driver_regs>(KFDLAB_BAR_DRIVER_REGS); }
  // `index` and `offset` are reduced modulo the ring; the latter is a multiple of the entry or dword size.
  [[nodiscard]] kfdlab_control_entry& control_entry(std::uint64_t index) const {
    return at<kfdlab_control_entry>(KFDLAB_BAR_CONTROL_RING +
                                    index * sizeof(kfdlab_control_entry) % KFDLAB_CONTROL_RING_SIZE);
  }
  [[nodiscard]] std::uint32_t& copy_ring_dword(std::uint64_t offset) const {
    return at<std::uint32_t>(KFDLAB_BAR_COPY_RING + offset % KFDLAB_COPY_RING_SIZE);
  }
  [[nodiscard]] ih_entry& ih_ring_entry(std::uint64_t offset) const {
    return at<ih_entry>(KFDLAB_BAR_IH_RING + offset % KFDLAB_IH_RING_SIZE);
  }
  // Plain memory that user space and kernels on the GPU write; nothing else lies in these pages.
  [[nodiscard]] std::span<std::byte> doorbells() const {
    return bytes_.subspan(KFDLAB_BAR_DOORBELLS, KFDLAB_DOORBELL_SIZE);
  }
  [[nodiscard]] std::span<std::byte> vram() const { return bytes_.subspan(KFDLAB_BAR_VRAM, vram_size_); }

 private:
  Bar(std::span<std::byte> bytes, unsigned gpu_index, std::uint64_t vram_size, unsigned compute_units)
      : bytes_(bytes), gpu_index_(gpu_index), vram_size_(vram_size), compute_units_(compute_units) {}

  template <typename T>
  [[nodiscard]] T& at(std::uint64_t offset) const {
    return *reinterpret_cast<T*>(bytes_.data() + offset);
  }

  std::span<std::byte> bytes_;
  unsigned gpu_index_;
  std::uint64_t vram_size_;
  unsigned compute_units_;
};

}  // namespace kfdlab::device
