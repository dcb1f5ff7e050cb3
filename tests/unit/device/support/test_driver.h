// SPDX-License-Identifier: MIT
// TestDriver: the guest driver's half of the protocol in hw/regs.h, for tests. It works on any BAR that can be
// mapped, whether the device is a thread of the test or a process. It keeps the rules of a good driver; a test that
// wants a bad one writes to the registers itself.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "hw/bar_layout.h"
#include "hw/ih.h"
#include "hw/regs.h"
#include "hw/sdma.h"

namespace kfdlab::device {

inline constexpr std::chrono::seconds kTestDeadline{20};

// Polls `condition` until it holds; false when the deadline passed first.
[[nodiscard]] bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds limit = kTestDeadline);

// Identity page of GPU `index` of `count` for a BAR of these bytes; VRAM takes all that is left of it.
void write_identity(std::span<std::byte> bar, unsigned index, unsigned count);

// Contents that say where they belong: a function of the address and a seed.
void fill_pattern(std::span<std::byte> bytes, std::uint64_t seed);
[[nodiscard]] bool has_pattern(std::span<const std::byte> bytes, std::uint64_t seed);

[[nodiscard]] sdma_copy_linear copy_packet(std::uint64_t source, std::uint64_t destination, std::uint32_t bytes);
[[nodiscard]] sdma_const_fill fill_packet(std::uint64_t destination, std::uint32_t value, std::uint32_t bytes);
[[nodiscard]] sdma_fence fence_packet(std::uint64_t address, std::uint32_t value);
[[nodiscard]] sdma_trap trap_packet(std::uint32_t context);

class TestDriver {
 public:
  // `kick` rings a doorbell of the device.
  TestDriver(std::span<std::byte> bar, std::uint64_t bar_base, std::function<void(unsigned)> kick)
      : bar_(bar), bar_base_(bar_base), kick_(std::move(kick)) {}

  [[nodiscard]] kfdlab_device_regs& device() const;
  [[nodiscard]] kfdlab_driver_regs& driver() const;
  [[nodiscard]] std::span<std::byte> vram() const { return bar_.subspan(KFDLAB_BAR_VRAM); }
  [[nodiscard]] std::uint64_t vram_address(std::uint64_t offset = 0) const {
    return bar_base_ + KFDLAB_BAR_VRAM + offset;
  }
  [[nodiscard]] std::uint64_t fence_address() const;

  // Waits for READY of `generation`; false at the deadline.
  [[nodiscard]] bool wait_ready(std::uint32_t generation) const;
  // Resets the driver page and hands the rings to `generation`.
  void adopt(std::uint32_t generation);

  // Copy ring. emit() writes a packet, wrapping at the end of the ring wherever that falls; submit() publishes.
  template <typename Packet>
  void emit(const Packet& packet) {
    static_assert(sizeof(packet) % 4 == 0);
    emit_dwords(reinterpret_cast<const std::uint32_t*>(&packet), sizeof(packet) / 4);
  }
  void emit_dwords(const std::uint32_t* dwords, std::size_t count);
  void submit();
  // emit(fence); submit(); returns the value to wait for.
  std::uint32_t submit_fence();
  [[nodiscard]] bool wait_fence(std::uint32_t value) const;
  // submit() and wait until everything was consumed; false at the deadline or if the ring stopped.
  [[nodiscard]] bool run();
  [[nodiscard]] std::uint64_t copy_wptr() const { return copy_wptr_; }
  [[nodiscard]] std::uint32_t copy_error() const;
  [[nodiscard]] bool wait_copy_error(std::uint32_t error) const;

  // Control ring: write one entry and publish it; returns the control_done that completes it.
  std::uint64_t submit_control(std::uint32_t op) { return submit_control(op, 1, {}); }
  std::uint64_t submit_control(std::uint32_t op, std::uint32_t vmid, const std::vector<std::uint64_t>& args);
  [[nodiscard]] bool wait_control(std::uint64_t done) const;

  // IH ring: takes the oldest unread entry; false if there is none.
  [[nodiscard]] bool take_ih(ih_entry& entry);

 private:
  std::span<std::byte> bar_;
  std::uint64_t bar_base_;
  std::function<void(unsigned)> kick_;
  std::uint64_t copy_wptr_ = 0;
  std::uint64_t control_wptr_ = 0;
  std::uint64_t ih_rptr_ = 0;
  std::uint32_t fence_ = 0;
};

}  // namespace kfdlab::device
