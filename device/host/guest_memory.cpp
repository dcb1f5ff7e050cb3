// SPDX-License-Identifier: MIT
#include "device/host/guest_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kfdlab::device {
namespace {
constexpr std::uint64_t kPage = 4096;
}

Result<GuestMemory> GuestMemory::create(std::vector<RamSegment> segments) {
  std::sort(segments.begin(), segments.end(),
            [](const RamSegment& a, const RamSegment& b) { return a.address < b.address; });
  std::uint64_t end = 0;
  for (const RamSegment& segment : segments) {
    const std::uint64_t size = segment.host.size();
    if (size == 0 || segment.address % kPage != 0 || size % kPage != 0) {
      return Error{fmt::format("RAM segment {:#x}: address and size {:#x} must be multiples of {}, and size not 0",
                               segment.address, size, kPage)};
    }
    if (segment.address < end) {
      return Error{fmt::format("RAM segment {:#x} overlaps the one that ends at {:#x}", segment.address, end)};
    }
    end = segment.address + size;
    if (end < segment.address) {
      return Error{fmt::format("RAM segment {:#x}: size {:#x} runs beyond 2^64", segment.address, size)};
    }
  }
  return GuestMemory(std::move(segments));
}

std::span<std::byte> GuestMemory::find(std::uint64_t address, std::uint64_t limit) const {
  for (const RamSegment& segment : segments_) {
    // Wraps to a huge value below the segment, so one comparison covers both ends.
    const std::uint64_t offset = address - segment.address;
    if (offset < segment.host.size()) {
      return segment.host.subspan(offset, std::min<std::uint64_t>(limit, segment.host.size() - offset));
    }
  }
  return {};
}

}  // namespace kfdlab::device
