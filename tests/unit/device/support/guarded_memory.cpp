// SPDX-License-Identifier: MIT
#include "tests/unit/device/support/guarded_memory.h"

#include <sys/mman.h>

#include "common/check.h"

namespace kfdlab::device {
namespace {
constexpr std::size_t kGuard = 4096;
}

GuardedMemory::GuardedMemory(std::size_t size) {
  void* base = ::mmap(nullptr, size + 2 * kGuard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  KFDLAB_CHECK(base != MAP_FAILED);
  bytes_ = std::span(static_cast<std::byte*>(base) + kGuard, size);
  KFDLAB_CHECK(::mprotect(bytes_.data(), size, PROT_READ | PROT_WRITE) == 0);
}

GuardedMemory::~GuardedMemory() { ::munmap(bytes_.data() - kGuard, bytes_.size() + 2 * kGuard); }

}  // namespace kfdlab::device
