// SPDX-License-Identifier: MIT
// The ring: pointers, packet lengths, and which handler a header means. The handlers are in user_sdma_handlers.cpp.
#include "device/cp/user_sdma_queue.h"

#include <algorithm>

namespace kfdlab::device {
namespace {

constexpr std::uint64_t kDword = sizeof(std::uint32_t);
constexpr std::uint32_t kTmz = 1u << 18;  // encrypted memory: there is none
constexpr std::uint32_t kRectElement = 7u << 29;
constexpr std::uint32_t kPollBits = SDMA_POLL_MEMORY | SDMA_POLL_HDP_FLUSH | 7u << 28;
constexpr std::uint32_t kWriteCountMask = 0xfffffu;

}  // namespace

const UserSdmaQueue::Row UserSdmaQueue::kRows[] = {
    {sdma_header(SDMA_OP_NOP, 0), SDMA_NOP_COUNT_MASK, sizeof(std::uint32_t), &UserSdmaQueue::nop},
    {sdma_header(SDMA_OP_COPY, SDMA_SUBOP_COPY_LINEAR), kTmz, sizeof(sdma_copy_linear), &UserSdmaQueue::copy_linear},
    {sdma_header(SDMA_OP_COPY, SDMA_SUBOP_COPY_LINEAR) | SDMA_COPY_BROADCAST, kTmz, sizeof(sdma_copy_broadcast),
     &UserSdmaQueue::copy_broadcast},
    {sdma_header(SDMA_OP_COPY, SDMA_SUBOP_COPY_LINEAR_RECT), kTmz | kRectElement, sizeof(sdma_copy_linear_rect),
     &UserSdmaQueue::copy_rect},
    {sdma_header(SDMA_OP_WRITE, SDMA_SUBOP_WRITE_LINEAR), kTmz, sizeof(sdma_write_linear),
     &UserSdmaQueue::write_linear},
    {sdma_header(SDMA_OP_CONST_FILL, 0) | SDMA_FILL_DWORD, 0, sizeof(sdma_const_fill), &UserSdmaQueue::const_fill},
    {sdma_header(SDMA_OP_CONST_FILL, 0) | SDMA_FILL_BYTE, 0, sizeof(sdma_const_fill), &UserSdmaQueue::const_fill},
    {sdma_header(SDMA_OP_FENCE, 0), 0, sizeof(sdma_fence), &UserSdmaQueue::fence},
    {sdma_header(SDMA_OP_TRAP, 0), 0, sizeof(sdma_trap), &UserSdmaQueue::trap},
    {sdma_header(SDMA_OP_POLL_REGMEM, 0), kPollBits, sizeof(sdma_poll_regmem), &UserSdmaQueue::poll_regmem},
    {sdma_header(SDMA_OP_ATOMIC, 0) | SDMA_ATOMIC_ADD64 << 25, kTmz, sizeof(sdma_atomic), &UserSdmaQueue::atomic},
    {sdma_header(SDMA_OP_TIMESTAMP, SDMA_SUBOP_TIMESTAMP_GET_GLOBAL), 0, sizeof(sdma_timestamp),
     &UserSdmaQueue::timestamp},
};

const UserSdmaQueue::Row* UserSdmaQueue::find_row(std::uint32_t header) {
  for (const Row& row : kRows) {
    if ((header & ~row.variable) == row.header) {
      return &row;
    }
  }
  return nullptr;
}

UserQueue::Act UserSdmaQueue::advance() {
  if (report_pending_) {
    return report();
  }
  std::uint64_t wptr = 0;
  Act act = Act::Idle;
  return write_pointer(wptr, act) ? execute(wptr) : act;
}

bool UserSdmaQueue::write_pointer(std::uint64_t& wptr, Act& act) {
  std::uint64_t word = 0;
  const bool readable = memory().load(descriptor().wptr_va, word);
  wptr = std::max(readable ? word : rptr_, doorbell());
  if (wptr == rptr_) {
    act = readable ? Act::Idle : unreadable_pointer();
    return false;
  }
  // The difference is huge for a pointer that went back.
  if (wptr % kDword != 0 || wptr - rptr_ > descriptor().ring_bytes) {
    act = stop(KFDLAB_QUEUE_BAD_POINTER, wptr);
    return false;
  }
  return true;
}

UserQueue::Act UserSdmaQueue::execute(std::uint64_t wptr) {
  std::uint32_t header = 0;
  if (!memory().load(ring_va(rptr_), header)) {
    return Act::Fault;
  }
  const Row* row = find_row(header);
  if (row == nullptr) {
    return stop(KFDLAB_QUEUE_BAD_PACKET, header);
  }
  Packet packet = {header};
  const std::uint64_t available = wptr - rptr_;
  if (available < row->bytes) {
    return Act::Idle;  // the rest is yet to come
  }
  if (!gather(row->bytes, packet)) {
    return Act::Fault;
  }
  std::uint64_t bytes = row->bytes;
  if (row->handler == &UserSdmaQueue::nop) {
    bytes += ((header & SDMA_NOP_COUNT_MASK) >> SDMA_NOP_COUNT_SHIFT) * kDword;
  } else if (row->handler == &UserSdmaQueue::write_linear) {
    bytes += ((packet[3] & kWriteCountMask) + std::uint64_t{1}) * kDword;
  }
  if (bytes > descriptor().ring_bytes) {
    return stop(KFDLAB_QUEUE_BAD_PACKET, header);  // would never be complete
  }
  if (available < bytes) {
    return Act::Idle;
  }
  switch ((this->*row->handler)(packet)) {
    case Outcome::Complete:
      break;
    case Outcome::Unfinished:
      return Act::Progress;
    case Outcome::Waiting:
      return Act::Waiting;
    case Outcome::Fault:
      return Act::Fault;
    case Outcome::Stopped:
      return Act::Stopped;
  }
  rptr_ += bytes;
  progress_ = 0;
  ++context().work.packets;
  report_pending_ = true;
  return report();
}

UserQueue::Act UserSdmaQueue::report() {
  if (!memory().store(descriptor().rptr_va, rptr_)) {
    return Act::Fault;
  }
  report_pending_ = false;
  return Act::Progress;
}

bool UserSdmaQueue::gather(std::uint64_t bytes, Packet& packet) {
  // The header is the one that was judged, not a second reading of it.
  for (std::uint64_t i = 1; i < bytes / kDword; ++i) {
    if (!memory().load(ring_va(rptr_ + i * kDword), packet[i])) {
      return false;
    }
  }
  return true;
}

UserSdmaQueue::Outcome UserSdmaQueue::refuse(const Packet& packet) {
  stop(KFDLAB_QUEUE_BAD_PACKET, packet[0]);
  return Outcome::Stopped;
}

}  // namespace kfdlab::device
