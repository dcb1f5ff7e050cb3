// SPDX-License-Identifier: MIT
// VmidTable: what SET_VMID said about each VMID beside its page tables, and which VMID a queue number belongs to.
// Written by the control thread; read by everybody who launches work or reports about it.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>

#include "hw/queue.h"

namespace kfdlab::device {

struct VmidConfig {
  std::uint32_t pasid = 0;
  bool retry = false;  // XNACK
  std::uint64_t shared_base = 0;
  std::uint64_t private_base = 0;
  std::uint64_t tba = 0;
  std::uint64_t tma = 0;
};

class VmidTable {
 public:
  VmidTable() = default;
  VmidTable(const VmidTable&) = delete;
  VmidTable& operator=(const VmidTable&) = delete;

  // Numbers are reduced modulo the tables. Any thread.
  void set(std::uint32_t vmid, const VmidConfig& config) {
    const std::lock_guard lock(mutex_);
    configs_[vmid % KFDLAB_VMID_COUNT] = config;
  }
  [[nodiscard]] VmidConfig get(std::uint32_t vmid) const {
    const std::lock_guard lock(mutex_);
    return configs_[vmid % KFDLAB_VMID_COUNT];
  }
  // VMID 0: nobody's.
  void set_queue(std::uint32_t queue, std::uint32_t vmid) {
    const std::lock_guard lock(mutex_);
    queues_[queue % KFDLAB_QUEUE_COUNT] = vmid;
  }
  [[nodiscard]] std::uint32_t vmid_of_queue(std::uint32_t queue) const {
    const std::lock_guard lock(mutex_);
    return queues_[queue % KFDLAB_QUEUE_COUNT];
  }

 private:
  mutable std::mutex mutex_;
  std::array<VmidConfig, KFDLAB_VMID_COUNT> configs_{};
  std::array<std::uint32_t, KFDLAB_QUEUE_COUNT> queues_{};
};

}  // namespace kfdlab::device
