// SPDX-License-Identifier: MIT
// What each packet of a user SDMA queue does. A handler that returns anything but Complete is called again with the
// same packet; what must not be done twice is counted in progress_.
#include <algorithm>
#include <cstring>

#include "device/cp/compare.h"
#include "device/cp/gpu_clock.h"
#include "device/cp/user_sdma_queue.h"
#include "device/host/shared_word.h"

namespace kfdlab::device {
namespace {

// Longest stretch between two safe points, in bytes and in pieces (a rectangle may have rows of one byte).
constexpr std::uint64_t kStepBytes = 64 * 1024;
constexpr unsigned kStepPieces = 512;
constexpr std::uint64_t kDword = sizeof(std::uint32_t);

std::uint64_t address_of(std::uint32_t lo, std::uint32_t hi) { return std::uint64_t{hi} << 32 | lo; }

template <typename Struct, typename Packet>
Struct view_as(const Packet& packet) {
  Struct view;
  static_assert(sizeof(view) <= sizeof(packet));
  std::memcpy(&view, packet.data(), sizeof(view));
  return view;
}

// The pattern begins at a multiple of 4 bytes and so does every piece.
void fill(std::span<std::byte> to, std::uint32_t value) {
  if (value == (value & 0xffu) * 0x01010101u) {
    std::memset(to.data(), static_cast<int>(value & 0xffu), to.size());
    return;
  }
  for (std::size_t i = 0; i + kDword <= to.size(); i += kDword) {
    std::memcpy(to.data() + i, &value, kDword);
  }
}

// One side of COPY_LINEAR_RECT.
struct Pitched {
  std::uint64_t base;
  std::uint64_t x, y, z;
  std::uint64_t pitch, slice;  // in elements

  Pitched(std::uint32_t lo, std::uint32_t hi, std::uint32_t xy, std::uint32_t z_pitch, std::uint32_t slice_pitch)
      : base(address_of(lo, hi)),
        x(xy & 0x3fff),
        y(xy >> 16 & 0x3fff),
        z(z_pitch & 0x7ff),
        pitch((z_pitch >> 13) + std::uint64_t{1}),
        slice((slice_pitch & 0xfffffff) + std::uint64_t{1}) {}

  // GPU VA of element (column 0) of a row of the rectangle; wraps like any address.
  [[nodiscard]] std::uint64_t row(std::uint64_t row_y, std::uint64_t row_z, unsigned element) const {
    return base + ((x + (y + row_y) * pitch + (z + row_z) * slice) << element);
  }
};

}  // namespace

UserSdmaQueue::Outcome UserSdmaQueue::nop(const Packet&) { return Outcome::Complete; }

std::uint64_t UserSdmaQueue::copy_piece(std::uint64_t source, std::uint64_t destination, std::uint64_t limit) {
  const std::span<std::byte> from = memory().find<MemoryAccess::Read>(source, limit);
  if (from.empty()) {
    return 0;
  }
  const std::span<std::byte> to = memory().find<MemoryAccess::Write>(destination, from.size());
  std::memmove(to.data(), from.data(), to.size());  // they may overlap
  return to.size();
}

UserSdmaQueue::Outcome UserSdmaQueue::copy_linear(const Packet& packet) {
  const auto copy = view_as<sdma_copy_linear>(packet);
  if (copy.parameter != 0) {
    return refuse(packet);  // byte swapping: another operation, which we do not have
  }
  const std::uint64_t source = address_of(copy.src_lo, copy.src_hi);
  const std::uint64_t destination = address_of(copy.dst_lo, copy.dst_hi);
  const std::uint64_t bytes = (copy.count & SDMA_COUNT_MASK) + std::uint64_t{1};
  const std::uint64_t end = std::min(bytes, progress_ + kStepBytes);
  while (progress_ < end) {
    const std::uint64_t done = copy_piece(source + progress_, destination + progress_, end - progress_);
    if (done == 0) {
      return Outcome::Fault;
    }
    progress_ += done;
    context().work.copy_bytes += done;
  }
  return progress_ == bytes ? Outcome::Complete : Outcome::Unfinished;
}

UserSdmaQueue::Outcome UserSdmaQueue::copy_broadcast(const Packet& packet) {
  const auto copy = view_as<sdma_copy_broadcast>(packet);
  if (copy.parameter != 0) {
    return refuse(packet);
  }
  const std::uint64_t source = address_of(copy.src_lo, copy.src_hi);
  const std::uint64_t first = address_of(copy.dst_lo, copy.dst_hi);
  const std::uint64_t second = address_of(copy.dst2_lo, copy.dst2_hi);
  const std::uint64_t bytes = (copy.count & SDMA_COUNT_MASK) + std::uint64_t{1};
  const std::uint64_t end = std::min(bytes, progress_ + kStepBytes);
  while (progress_ < end) {
    // The second copy may be shorter; what the first one did beyond it is done again, which changes nothing.
    std::uint64_t done = copy_piece(source + progress_, first + progress_, end - progress_);
    if (done != 0) {
      done = copy_piece(source + progress_, second + progress_, done);
    }
    if (done == 0) {
      return Outcome::Fault;
    }
    progress_ += done;
    context().work.copy_bytes += 2 * done;
  }
  return progress_ == bytes ? Outcome::Complete : Outcome::Unfinished;
}

UserSdmaQueue::Outcome UserSdmaQueue::copy_rect(const Packet& packet) {
  const auto copy = view_as<sdma_copy_linear_rect>(packet);
  const unsigned element = SDMA_RECT_ELEMENT(copy.header);
  constexpr unsigned kLargestElement = 4;
  constexpr std::uint32_t kSwapModes = 3u << 16 | 3u << 24;
  if (element > kLargestElement || (copy.rect_z & kSwapModes) != 0) {
    return refuse(packet);
  }
  const Pitched source(copy.src_lo, copy.src_hi, copy.src_xy, copy.src_z_pitch, copy.src_slice_pitch);
  const Pitched destination(copy.dst_lo, copy.dst_hi, copy.dst_xy, copy.dst_z_pitch, copy.dst_slice_pitch);
  const std::uint64_t width = ((copy.rect_xy & 0x3fff) + std::uint64_t{1}) << element;  // bytes of a row
  const std::uint64_t height = (copy.rect_xy >> 16 & 0x3fff) + std::uint64_t{1};
  const std::uint64_t bytes = width * height * ((copy.rect_z & 0x7ff) + std::uint64_t{1});
  const std::uint64_t end = std::min(bytes, progress_ + kStepBytes);
  for (unsigned piece = 0; progress_ < end && piece < kStepPieces; ++piece) {
    const std::uint64_t row = progress_ / width;
    const std::uint64_t column = progress_ % width;
    const std::uint64_t row_y = row % height;
    const std::uint64_t row_z = row / height;
    const std::uint64_t done = copy_piece(source.row(row_y, row_z, element) + column,
                                          destination.row(row_y, row_z, element) + column,
                                          std::min(width - column, end - progress_));
    if (done == 0) {
      return Outcome::Fault;
    }
    progress_ += done;
    context().work.copy_bytes += done;
  }
  return progress_ == bytes ? Outcome::Complete : Outcome::Unfinished;
}

UserSdmaQueue::Outcome UserSdmaQueue::write_linear(const Packet& packet) {
  const auto write = view_as<sdma_write_linear>(packet);
  const std::uint64_t destination = address_of(write.dst_lo, write.dst_hi);
  if (destination % kDword != 0) {
    return refuse(packet);
  }
  const std::uint64_t dwords = (write.count & 0xfffffu) + std::uint64_t{1};
  const std::uint64_t end = std::min(dwords, progress_ + kStepBytes / kDword);
  while (progress_ < end) {
    std::uint32_t value = 0;
    if (!memory().load(ring_va(rptr_ + sizeof(write) + progress_ * kDword), value) ||
        !memory().store(destination + progress_ * kDword, value)) {
      return Outcome::Fault;
    }
    ++progress_;
  }
  return progress_ == dwords ? Outcome::Complete : Outcome::Unfinished;
}

UserSdmaQueue::Outcome UserSdmaQueue::const_fill(const Packet& packet) {
  const auto packet_fill = view_as<sdma_const_fill>(packet);
  const std::uint64_t destination = address_of(packet_fill.dst_lo, packet_fill.dst_hi);
  const bool dwords = (packet_fill.header & SDMA_FILL_DWORD) != 0;
  std::uint64_t bytes = (packet_fill.count & SDMA_COUNT_MASK) + std::uint64_t{1};
  std::uint32_t value = packet_fill.data;
  if (dwords) {
    // The engine ignores the low bits: bytes - 1 (amdgpu) and bytes - 4 (ROCr) are the same count.
    bytes = (bytes + kDword - 1) & ~(kDword - 1);
    if (destination % kDword != 0) {
      return refuse(packet);
    }
  } else {
    value = (value & 0xffu) * 0x01010101u;
  }
  const std::uint64_t end = std::min(bytes, progress_ + kStepBytes);
  while (progress_ < end) {
    const std::span<std::byte> to = memory().find<MemoryAccess::Write>(destination + progress_, end - progress_);
    if (to.empty()) {
      return Outcome::Fault;
    }
    fill(to, value);
    progress_ += to.size();
    context().work.copy_bytes += to.size();
  }
  return progress_ == bytes ? Outcome::Complete : Outcome::Unfinished;
}

UserSdmaQueue::Outcome UserSdmaQueue::fence(const Packet& packet) {
  const auto fence = view_as<sdma_fence>(packet);
  const std::uint64_t address = address_of(fence.addr_lo, fence.addr_hi);
  if (address % kDword != 0) {
    return refuse(packet);
  }
  // Release: who sees the fence sees the copies before it.
  return memory().store(address, fence.data) ? Outcome::Complete : Outcome::Fault;
}

UserSdmaQueue::Outcome UserSdmaQueue::trap(const Packet& packet) {
  constexpr std::uint32_t kContextMask = 0xfffffff;
  context().reports.sdma_trap(descriptor().vmid, view_as<sdma_trap>(packet).context & kContextMask);
  return Outcome::Complete;
}

UserSdmaQueue::Outcome UserSdmaQueue::poll_regmem(const Packet& packet) {
  const auto poll = view_as<sdma_poll_regmem>(packet);
  if ((poll.header & SDMA_POLL_MEMORY) == 0) {
    return Outcome::Complete;  // a register: only the HDP flush is asked for, and there is nothing to flush
  }
  const std::uint64_t address = address_of(poll.addr_lo, poll.addr_hi);
  if (address % kDword != 0 || (poll.header & SDMA_POLL_HDP_FLUSH) != 0) {
    return refuse(packet);
  }
  std::uint32_t value = 0;
  if (!memory().load(address, value)) {
    return Outcome::Fault;
  }
  return compare(SDMA_POLL_FUNCTION(poll.header), value & poll.mask, poll.value) ? Outcome::Complete
                                                                                : Outcome::Waiting;
}

UserSdmaQueue::Outcome UserSdmaQueue::atomic(const Packet& packet) {
  const auto atomic = view_as<sdma_atomic>(packet);
  const std::uint64_t address = address_of(atomic.addr_lo, atomic.addr_hi);
  if (address % sizeof(std::uint64_t) != 0) {
    return refuse(packet);
  }
  std::uint64_t* word = memory().object<std::uint64_t, MemoryAccess::Write>(address);
  if (word == nullptr) {
    return Outcome::Fault;
  }
  std::atomic_ref<std::uint64_t>(*word).fetch_add(address_of(atomic.src_lo, atomic.src_hi));
  return Outcome::Complete;
}

UserSdmaQueue::Outcome UserSdmaQueue::timestamp(const Packet& packet) {
  const auto stamp = view_as<sdma_timestamp>(packet);
  const std::uint64_t address = address_of(stamp.addr_lo, stamp.addr_hi);
  if (address % sizeof(std::uint64_t) != 0) {
    return refuse(packet);
  }
  return memory().store(address, gpu_clock()) ? Outcome::Complete : Outcome::Fault;
}

}  // namespace kfdlab::device
