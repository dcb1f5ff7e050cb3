// SPDX-License-Identifier: MIT
// SdmaProcessor executes SDMA packets that were already copied out of shared memory; where they came from is the
// ring's business. A packet is judged completely before its first byte is written: one that is refused has no
// effect.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "device/bus/bar.h"
#include "device/cp/ih_ring.h"
#include "device/mmu/epoch.h"
#include "device/mmu/physical_map.h"
#include "hw/sdma.h"

namespace kfdlab::device {

inline constexpr std::size_t kMaxSdmaPacketDwords = 7;
// A packet's dwords; those behind its end are 0. Of a NOP only the header is here.
using SdmaPacket = std::array<std::uint32_t, kMaxSdmaPacketDwords>;

// Totals since the generation began.
struct SdmaWork {
  std::uint64_t copy_bytes = 0;
  std::uint64_t fill_bytes = 0;
};

class SdmaProcessor {
 public:
  // Borrows all. `thread` is the calling thread's part in the epochs, online while execute() runs.
  SdmaProcessor(const Bar& bar, const PhysicalMap& map, IhRing& ih, EpochDomain::Participant& thread)
      : bar_(bar), map_(map), ih_(ih), thread_(thread) {}

  // Bytes of the packet that begins with `header`, a multiple of 4; nothing if no packet begins so.
  [[nodiscard]] static std::optional<std::uint32_t> packet_bytes(std::uint32_t header);
  // Name in sdma_packets.inc, for messages.
  [[nodiscard]] static const char* packet_name(std::uint32_t header);

  // Executes a packet whose header packet_bytes() knows.
  [[nodiscard]] kfdlab_ring_error execute(const SdmaPacket& packet);

  [[nodiscard]] const SdmaWork& work() const { return work_; }

 private:
  using Handler = kfdlab_ring_error (SdmaProcessor::*)(const SdmaPacket&);
  struct Row {
    const char* name;
    std::uint32_t header;
    std::uint32_t variable;
    std::uint32_t bytes;
    Handler handler;
  };
  static const Row kRows[];
  [[nodiscard]] static const Row* find_row(std::uint32_t header);

  [[nodiscard]] kfdlab_ring_error nop(const SdmaPacket& packet);
  [[nodiscard]] kfdlab_ring_error copy_linear(const SdmaPacket& packet);
  [[nodiscard]] kfdlab_ring_error fence(const SdmaPacket& packet);
  [[nodiscard]] kfdlab_ring_error trap(const SdmaPacket& packet);
  [[nodiscard]] kfdlab_ring_error const_fill(const SdmaPacket& packet);

  const Bar& bar_;
  const PhysicalMap& map_;
  IhRing& ih_;
  EpochDomain::Participant& thread_;
  SdmaWork work_;
};

}  // namespace kfdlab::device
