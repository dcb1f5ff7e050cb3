// SPDX-License-Identifier: MIT
// MemoryFault: why a GPU virtual address could not be translated.
#pragma once

#include <cstdint>

namespace kfdlab::device {

enum class MemoryAccess : std::uint8_t {
  Read,
  Write,  // stores and every atomic operation
  Execute,
};

struct MemoryFault {
  enum class Reason : std::uint8_t {
    NotPresent,  // no valid entry, or one that leads nowhere
    Permission,  // a page is there, but not for this access
  };
  std::uint64_t page = 0;  // GPU VA of the 4 KiB page
  std::uint32_t vmid = 0;
  MemoryAccess access = MemoryAccess::Read;
  Reason reason = Reason::NotPresent;
  // The driver answered an earlier fault with AMDGPU_VM_NORETRY_FLAGS: retrying will not help.
  bool no_retry = false;

  bool operator==(const MemoryFault&) const = default;
};

}  // namespace kfdlab::device
