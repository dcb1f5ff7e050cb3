// SPDX-License-Identifier: MIT
// SdmaModel: the copy ring as docs/device.md describes it, written a second time and as plainly as possible: byte
// by byte, one address at a time. The device must leave the same memory and the same error behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "hw/regs.h"

namespace kfdlab::device {

class SdmaModel {
 public:
  // Memory the guest can see at `address`; the contents are copied.
  void add_memory(std::uint64_t address, std::span<const std::byte> contents);
  // A dword that FENCE may write although it is no memory.
  void set_fence_register(std::uint64_t address) { fence_register_ = address; }

  // Executes what the dwords say; returns why it stopped and how many bytes it consumed.
  struct Outcome {
    kfdlab_ring_error error = KFDLAB_RING_OK;
    std::uint64_t consumed = 0;
    std::uint64_t traps = 0;
  };
  [[nodiscard]] Outcome run(std::span<const std::uint32_t> ring);

  [[nodiscard]] std::span<const std::byte> memory(std::size_t index) const { return areas_[index].bytes; }
  [[nodiscard]] std::uint32_t fence() const { return fence_; }

 private:
  struct Area {
    std::uint64_t address;
    std::vector<std::byte> bytes;
  };
  [[nodiscard]] std::byte* at(std::uint64_t address);
  [[nodiscard]] bool exists(std::uint64_t address, std::uint64_t size);
  [[nodiscard]] kfdlab_ring_error copy(std::span<const std::uint32_t> packet);
  [[nodiscard]] kfdlab_ring_error fill(std::span<const std::uint32_t> packet);
  [[nodiscard]] kfdlab_ring_error fence(std::span<const std::uint32_t> packet);
  void write_dword(std::uint64_t address, std::uint32_t value);

  std::vector<Area> areas_;
  std::uint64_t fence_register_ = 0;
  std::uint32_t fence_ = 0;
};

}  // namespace kfdlab::device
