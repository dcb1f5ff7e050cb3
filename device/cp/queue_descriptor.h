// SPDX-License-Identifier: MIT
// QueueDescriptor: what an MQD says, copied out of guest memory once and judged; and the few words of it that the
// device writes. The driver may free or overwrite an MQD at any time, so it is looked up again for every access.
#pragma once

#include <array>
#include <cstdint>

#include "device/mmu/physical_map.h"
#include "hw/queue.h"

namespace kfdlab::device {

struct QueueDescriptor {
  std::uint32_t number = 0;  // below KFDLAB_QUEUE_COUNT
  std::uint32_t vmid = 0;    // 1 to KFDLAB_VMID_COUNT - 1
  std::uint64_t mqd_address = 0;

  kfdlab_queue_type type = KFDLAB_QUEUE_PM4;
  std::uint64_t ring = 0;        // GPU VA, multiple of 256
  std::uint64_t ring_bytes = 0;  // power of two, 256 B to 4 GiB
  std::uint64_t rptr_va = 0;     // multiple of 8, of 4 for PM4
  std::uint64_t wptr_va = 0;     // multiple of 8
  std::uint64_t rptr = 0;        // in the type's unit
  std::uint32_t doorbell = 0;    // offset in the doorbell pages, multiple of 8
  std::uint32_t priority = 0;    // 0 to 15
  std::array<std::uint32_t, 8> cu_mask{};  // as Dispatch::cu_mask
  bool gws = false;
};

// Reads the MQD at guest-physical `address`. KFDLAB_RING_OK, or why it cannot be: _BAD_ADDRESS (not in RAM or VRAM,
// misaligned), _BAD_LENGTH (contents). number and vmid are the caller's.
[[nodiscard]] kfdlab_ring_error read_mqd(const PhysicalMap& map, std::uint64_t address, QueueDescriptor& queue);

// Writes of the device; nothing happens if the MQD is not in memory any more.
void write_mqd_active(const PhysicalMap& map, std::uint64_t address, bool active);
void write_mqd_rptr(const PhysicalMap& map, std::uint64_t address, std::uint64_t rptr);
void write_mqd_error(const PhysicalMap& map, std::uint64_t address, kfdlab_queue_error error);

}  // namespace kfdlab::device
