// SPDX-License-Identifier: MIT
#include "device/cp/pm4_queue.h"

#include <algorithm>

namespace kfdlab::device {

void Pm4Queue::finished(const FinishedDispatch& dispatch) {
  --in_flight_;
  failed(dispatch.outcome);
}

UserQueue::Act Pm4Queue::advance() {
  if (report_pending_) {
    return report();
  }
  if (!executing_ib_) {
    if (const Act act = fetch(); act != Act::Progress) {
      return act;
    }
    if (const Act act = judge(processor_.execute(packet_)); act != Act::Progress) {
      return act;
    }
    executing_ib_ = processor_.in_ib();
    return executing_ib_ ? Act::Progress : complete_packet();
  }
  const Act act = judge(processor_.step_ib());
  if (act != Act::Progress || processor_.in_ib()) {
    return act;
  }
  executing_ib_ = false;
  return complete_packet();
}

UserQueue::Act Pm4Queue::fetch() {
  std::uint64_t word = 0;
  const bool readable = memory().load(descriptor().wptr_va, word);
  const std::uint64_t wptr = std::max(readable ? word : rptr_, doorbell());
  if (wptr == rptr_) {
    return readable ? Act::Idle : unreadable_pointer();
  }
  const std::uint64_t available = wptr - rptr_;  // huge for a pointer that went back
  if (available > ring_dwords()) {
    return stop(KFDLAB_QUEUE_BAD_POINTER, wptr);
  }
  std::uint32_t header = 0;
  if (!memory().load(ring_va(rptr_), header)) {
    return Act::Fault;
  }
  const std::uint32_t dwords = Pm4Processor::packet_dwords(header);
  if (dwords == 0 || dwords > ring_dwords()) {
    return stop(KFDLAB_QUEUE_BAD_PACKET, header);
  }
  if (dwords > available) {
    return Act::Idle;  // the rest is yet to come
  }
  packet_.resize(dwords);
  packet_[0] = header;
  for (std::uint32_t i = 1; i < dwords; ++i) {
    if (!memory().load(ring_va(rptr_ + i), packet_[i])) {
      return Act::Fault;
    }
  }
  return Act::Progress;
}

UserQueue::Act Pm4Queue::judge(Pm4Processor::Outcome outcome) {
  switch (outcome) {
    case Pm4Processor::Outcome::Complete:
      return Act::Progress;
    case Pm4Processor::Outcome::Waiting:
      return Act::Waiting;
    case Pm4Processor::Outcome::Busy:
      return Act::Idle;
    case Pm4Processor::Outcome::Fault:
      return Act::Fault;
    case Pm4Processor::Outcome::Bad:
      return stop(KFDLAB_QUEUE_BAD_PACKET, packet_[0]);
    case Pm4Processor::Outcome::BadDispatch:
      break;
  }
  return stop(KFDLAB_QUEUE_BAD_DISPATCH, packet_[0]);
}

UserQueue::Act Pm4Queue::complete_packet() {
  rptr_ += packet_.size();
  ++context().work.packets;
  report_pending_ = true;
  return report();
}

UserQueue::Act Pm4Queue::report() {
  if (!memory().store(descriptor().rptr_va, static_cast<std::uint32_t>(rptr_ & (ring_dwords() - 1)))) {
    return Act::Fault;
  }
  report_pending_ = false;
  return Act::Progress;
}

void Pm4Queue::pm4_launch(const engine::Dispatch& dispatch) {
  ++in_flight_;
  launch(dispatch, 0);
}

void Pm4Queue::pm4_interrupt(std::uint32_t id) { context().reports.end_of_pipe(descriptor().vmid, id); }

void Pm4Queue::pm4_invalidate_code() { context().engine.invalidate_code(descriptor().vmid); }

}  // namespace kfdlab::device
