// SPDX-License-Identifier: MIT
#include "device/mmu/address_spaces.h"

namespace kfdlab::device {

void AddressSpaces::set_root(std::uint32_t vmid, std::uint64_t root) {
  roots_[vmid % KFDLAB_VMID_COUNT].store(root, std::memory_order_relaxed);
  invalidate({.vmid = vmid % KFDLAB_VMID_COUNT});
}

void AddressSpaces::invalidate(const Invalidation& what) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t number = sequence_.load(std::memory_order_relaxed);
  log_[number % kKept] = what;
  sequence_.store(number + 1, std::memory_order_release);
}

}  // namespace kfdlab::device
