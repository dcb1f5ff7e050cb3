// SPDX-License-Identifier: MIT
// The ring: what is taken when, completion and retirement. What the packets mean is in aql_packets.cpp.
#include "device/cp/aql_queue.h"

#include <algorithm>

#include "device/cp/gpu_clock.h"

namespace kfdlab::device {

void AqlQueue::finished(const FinishedDispatch& dispatch) {
  --running_;
  if (dispatch.outcome.verdict == engine::Verdict::Refused) {
    inactive_code_ = AQL_INACTIVE_REGISTERS;
  }
  if (failed(dispatch.outcome)) {
    return;
  }
  // Kernels of a PM4 buffer are not packets of this ring; the buffer's packet waits for them.
  const std::uint64_t position = dispatch.tag - read_index_;
  if (position < in_flight_.size()) {
    in_flight_[position].start_ts = dispatch.outcome.start_ns / kNsPerTick;
    in_flight_[position].end_ts = dispatch.outcome.end_ns / kNsPerTick;
    in_flight_[position].ended = true;
  }
}

UserQueue::Act AqlQueue::advance() {
  if (const Act act = complete(); act != Act::Idle) {
    return act;
  }
  if (const Act act = retire(); act != Act::Idle) {
    return act;
  }
  if (scratch_spent_ && drained()) {
    const Act act = ask_runtime(AQL_INACTIVE_SCRATCH_RECLAIM);
    scratch_spent_ = act != Act::Progress;
    return act;
  }
  return take();
}

UserQueue::Act AqlQueue::complete() {
  for (InFlight& packet : in_flight_) {
    if (!packet.ended || packet.signalled) {
      continue;
    }
    switch (complete_signal(memory(), context().reports, descriptor().vmid, packet.signal, packet.start_ts,
                            packet.end_ts)) {
      case SignalResult::Ok:
        packet.signalled = true;
        ++context().work.packets;
        return Act::Progress;
      case SignalResult::Fault:
        return Act::Fault;
      case SignalResult::Bad:
        return refuse(AQL_INACTIVE_PACKET_FORMAT, KFDLAB_QUEUE_BAD_PACKET, packet.signal);
    }
  }
  return Act::Idle;
}

UserQueue::Act AqlQueue::retire() {
  if (in_flight_.empty() || !in_flight_.front().signalled) {
    return Act::Idle;
  }
  // Both are stored or neither: the packet is retired once.
  std::uint64_t* index = memory().object<std::uint64_t, MemoryAccess::Write>(descriptor().rptr_va);
  if (index == nullptr || !memory().store<std::uint16_t>(packet_va(read_index_), AQL_INVALID)) {
    return Act::Fault;
  }
  store_release(*index, ++read_index_);
  in_flight_.pop_front();
  return Act::Progress;
}

UserQueue::Act AqlQueue::take() {
  // Producers move the write index first and wait for room afterwards: more than a ring ahead is no mistake.
  std::uint64_t write_index = 0;
  if (!memory().load(descriptor().wptr_va, write_index)) {
    return unreadable_pointer();
  }
  const std::uint64_t launched = next_index_ - read_index_;
  if (write_index - read_index_ <= launched || launched >= std::min<std::uint64_t>(ring_packets(), kMaxInFlight)) {
    return Act::Idle;
  }
  if (write_index < read_index_) {
    return Act::Idle;  // gone back: nothing there is meant for us
  }
  std::uint16_t header = 0;
  if (!memory().load(packet_va(next_index_), header)) {
    return Act::Fault;
  }
  if ((header & AQL_HEADER_TYPE_MASK) == AQL_INVALID) {
    // Reserved but not yet written: the doorbell will tell, but a slot whose doorbell came early must be seen too.
    return Act::Idle;
  }
  if ((header & AQL_HEADER_BARRIER) != 0 && !drained()) {
    return Act::Idle;
  }
  Packet packet;
  if (!memory().read(packet_va(next_index_), std::as_writable_bytes(std::span(packet)))) {
    return Act::Fault;
  }
  // The header is the one that was judged, not a second reading of it.
  packet[0] = static_cast<std::uint8_t>(header);
  packet[1] = static_cast<std::uint8_t>(header >> 8);
  return take_packet(packet);
}

UserQueue::Act AqlQueue::launched(std::uint64_t signal) {
  in_flight_.push_back({.signal = signal});
  ++next_index_;
  return Act::Progress;
}

UserQueue::Act AqlQueue::ended_at_once(std::uint64_t signal) {
  const std::uint64_t now = gpu_clock();
  in_flight_.push_back({.signal = signal, .start_ts = now, .end_ts = now, .ended = true});
  ++next_index_;
  return Act::Progress;
}

UserQueue::Act AqlQueue::refuse(std::uint32_t inactive_code, kfdlab_queue_error error, std::uint64_t detail) {
  inactive_code_ = inactive_code;
  return stop(error, detail);
}

void AqlQueue::pm4_launch(const engine::Dispatch& dispatch) {
  ++running_;
  launch(dispatch, ~std::uint64_t{0});
}

void AqlQueue::pm4_interrupt(std::uint32_t id) { context().reports.end_of_pipe(descriptor().vmid, id); }

void AqlQueue::pm4_invalidate_code() { context().engine.invalidate_code(descriptor().vmid); }

}  // namespace kfdlab::device
