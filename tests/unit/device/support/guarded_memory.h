// SPDX-License-Identifier: MIT
// GuardedMemory: zeroed memory between two inaccessible pages, so that a device which leaves its mapping by a
// single byte stops the test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace kfdlab::device {

class GuardedMemory {
 public:
  // `size` is a multiple of the page size. Aborts if there is no memory.
  explicit GuardedMemory(std::size_t size);
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;
  ~GuardedMemory();

  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

}  // namespace kfdlab::device
