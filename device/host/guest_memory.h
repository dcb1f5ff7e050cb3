// SPDX-License-Identifier: MIT
// GuestMemory: which guest-physical addresses are RAM, and where that RAM is mapped here. The map is fixed before
// the first guest instruction; the invariant is that find() never returns a byte outside a segment's mapping.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/result.h"

namespace kfdlab::device {

struct RamSegment {
  std::uint64_t address = 0;  // guest-physical
  std::span<std::byte> host;
};

class GuestMemory {
 public:
  // Segments are page-aligned and must not overlap or reach beyond 2^64. They are borrowed.
  [[nodiscard]] static Result<GuestMemory> create(std::vector<RamSegment> segments);

  // The bytes from `address` on, at most `limit` of them, as far as one segment goes; empty if `address` is no RAM.
  [[nodiscard]] std::span<std::byte> find(std::uint64_t address, std::uint64_t limit) const;

 private:
  explicit GuestMemory(std::vector<RamSegment> segments) : segments_(std::move(segments)) {}
  std::vector<RamSegment> segments_;  // sorted by address; a VM has two or three
};

}  // namespace kfdlab::device
