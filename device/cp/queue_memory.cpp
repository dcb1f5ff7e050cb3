// SPDX-License-Identifier: MIT
#include "device/cp/queue_memory.h"

#include <cstring>

namespace kfdlab::device {

bool QueueMemory::read(std::uint64_t va, std::span<std::byte> to) {
  while (!to.empty()) {
    const std::span<std::byte> from = find<MemoryAccess::Read>(va, to.size());
    if (from.empty()) {
      return false;
    }
    std::memcpy(to.data(), from.data(), from.size());
    va += from.size();
    to = to.subspan(from.size());
  }
  return true;
}

}  // namespace kfdlab::device
