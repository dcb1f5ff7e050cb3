// SPDX-License-Identifier: MIT
#include "device/cp/ih_ring.h"

#include <algorithm>
#include <chrono>

#include "device/host/shared_word.h"

namespace kfdlab::device {
namespace {

void stamp(ih_entry& entry) {
  const auto now =
      static_cast<std::uint64_t>(std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
  entry.timestamp_lo = static_cast<std::uint32_t>(now);
  entry.timestamp_hi = static_cast<std::uint32_t>(now >> 32) & 0xffffu;
}

void write_entry(ih_entry& slot, const ih_entry& entry) {
  store_relaxed(slot.source, entry.source);
  store_relaxed(slot.timestamp_lo, entry.timestamp_lo);
  store_relaxed(slot.timestamp_hi, entry.timestamp_hi);
  store_relaxed(slot.pasid, entry.pasid);
  for (std::size_t i = 0; i < std::size(entry.src_data); ++i) {
    store_relaxed(slot.src_data[i], entry.src_data[i]);
  }
}

bool same_fault(const ih_entry& a, const ih_entry& b) {
  return a.source == b.source && a.pasid == b.pasid && std::equal(a.src_data, a.src_data + 4, b.src_data);
}

}  // namespace

bool IhRing::push(ih_entry entry, IhKind kind) {
  {
    const std::lock_guard lock(mutex_);
    const std::uint64_t rptr = load_acquire(bar_.driver_regs().ih_rptr);
    // A read pointer ahead of ours is nonsense and counts as a full ring.
    const bool has_room = rptr <= wptr_ && wptr_ - rptr <= KFDLAB_IH_RING_SIZE - sizeof(ih_entry);
    if (has_room && kind == IhKind::Fault && is_unread_duplicate(entry, rptr)) {
      return drop();
    }
    if (!has_room) {
      drop();
      // The driver may have emptied the ring between our look and our count: it compares again.
      transport_.raise_irq(KFDLAB_IRQ_IH);
      return false;
    }
    stamp(entry);
    write_entry(bar_.ih_ring_entry(wptr_), entry);
    wptr_ += sizeof(ih_entry);
    if (kind == IhKind::Fault) {
      recent_[next_recent_++ % kRecent] = {.entry = entry, .offset = wptr_};
    }
    store_release(bar_.device_regs().ih_wptr, wptr_);
  }
  transport_.raise_irq(KFDLAB_IRQ_IH);
  return true;
}

bool IhRing::is_unread_duplicate(const ih_entry& entry, std::uint64_t rptr) const {
  return std::any_of(recent_.begin(), recent_.end(),
                     [&](const Recent& recent) { return recent.offset > rptr && same_fault(recent.entry, entry); });
}

bool IhRing::drop() {
  store_relaxed(bar_.device_regs().ih_dropped, ++dropped_);
  return false;
}

}  // namespace kfdlab::device
