// SPDX-License-Identifier: MIT
#include "device/cp/queue_descriptor.h"

#include <bit>

#include "device/host/shared_word.h"
#include "hw/bar_layout.h"
#include "hw/regs.h"

namespace kfdlab::device {
namespace {

constexpr std::uint64_t kMinRing = 256;
constexpr std::uint64_t kMaxRing = 1ull << 32;
constexpr std::uint32_t kMaxPriority = 15;

// 256-byte aligned and so inside one page, which is contiguous wherever it lies.
kfdlab_mqd* find_mqd(const PhysicalMap& map, std::uint64_t address) {
  if (address % sizeof(kfdlab_mqd) != 0) {
    return nullptr;
  }
  const std::span<std::byte> bytes = map.view().find(address, sizeof(kfdlab_mqd));
  return bytes.size() == sizeof(kfdlab_mqd) ? reinterpret_cast<kfdlab_mqd*>(bytes.data()) : nullptr;
}

bool plausible(const QueueDescriptor& queue, std::uint32_t type) {
  return type <= KFDLAB_QUEUE_SDMA_XGMI && queue.ring % kMinRing == 0 && std::has_single_bit(queue.ring_bytes) &&
         queue.ring_bytes >= kMinRing && queue.ring_bytes <= kMaxRing && queue.rptr_va % (type == KFDLAB_QUEUE_PM4 ? 4 : 8) == 0 &&
         queue.wptr_va % 8 == 0 && queue.doorbell % 8 == 0 && queue.doorbell < KFDLAB_DOORBELL_SIZE &&
         queue.priority <= kMaxPriority;
}

}  // namespace

kfdlab_ring_error read_mqd(const PhysicalMap& map, std::uint64_t address, QueueDescriptor& queue) {
  kfdlab_mqd* mqd = find_mqd(map, address);
  if (mqd == nullptr) {
    return KFDLAB_RING_BAD_ADDRESS;
  }
  const std::uint32_t type = load_relaxed(mqd->queue_type);
  queue.mqd_address = address;
  queue.ring = load_relaxed(mqd->cp_hqd_pq_base);
  queue.ring_bytes = load_relaxed(mqd->cp_hqd_pq_size);
  queue.rptr_va = load_relaxed(mqd->cp_hqd_pq_rptr_report_addr);
  queue.wptr_va = load_relaxed(mqd->cp_hqd_pq_wptr_poll_addr);
  queue.rptr = load_relaxed(mqd->cp_hqd_pq_rptr);
  queue.doorbell = load_relaxed(mqd->cp_hqd_pq_doorbell_offset);
  queue.priority = load_relaxed(mqd->cp_hqd_queue_priority);
  queue.gws = load_relaxed(mqd->gws_count) != 0;
  for (std::size_t i = 0; i < queue.cu_mask.size(); ++i) {
    queue.cu_mask[i] = load_relaxed(mqd->compute_static_thread_mgmt[i]);
  }
  if (!plausible(queue, type)) {
    return KFDLAB_RING_BAD_LENGTH;
  }
  queue.type = static_cast<kfdlab_queue_type>(type);
  return KFDLAB_RING_OK;
}

void write_mqd_active(const PhysicalMap& map, std::uint64_t address, bool active) {
  if (kfdlab_mqd* mqd = find_mqd(map, address)) {
    store_release(mqd->cp_hqd_active, active ? 1u : 0u);
  }
}

void write_mqd_rptr(const PhysicalMap& map, std::uint64_t address, std::uint64_t rptr) {
  if (kfdlab_mqd* mqd = find_mqd(map, address)) {
    store_release(mqd->cp_hqd_pq_rptr, rptr);
  }
}

void write_mqd_error(const PhysicalMap& map, std::uint64_t address, kfdlab_queue_error error) {
  if (kfdlab_mqd* mqd = find_mqd(map, address)) {
    store_release(mqd->cp_hqd_error, static_cast<std::uint32_t>(error));
  }
}

}  // namespace kfdlab::device
