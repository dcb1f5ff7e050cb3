// SPDX-License-Identifier: MIT
#include "device/cp/aql_signal.h"

#include <atomic>

#include "device/host/shared_word.h"
#include "hw/aql.h"

namespace kfdlab::device {
namespace {

// A signal and its mailbox, both translated before either is written.
struct Target {
  aql_signal* signal = nullptr;
  std::uint64_t* mailbox = nullptr;  // null: no event
  std::uint32_t event_id = 0;

  void raise_event(QueueReports& reports, std::uint32_t vmid) const {
    if (mailbox != nullptr) {
      store_release(*mailbox, std::uint64_t{event_id});
      reports.end_of_pipe(vmid, event_id);
    }
  }
};

SignalResult find(QueueMemory& memory, std::uint64_t va, Target& target) {
  if (va % sizeof(aql_signal) != 0) {
    return SignalResult::Bad;
  }
  target.signal = memory.object<aql_signal, MemoryAccess::Write>(va);
  if (target.signal == nullptr) {
    return SignalResult::Fault;
  }
  const std::uint64_t mailbox = load_relaxed(target.signal->event_mailbox_ptr);
  if (mailbox == 0) {
    return SignalResult::Ok;
  }
  if (mailbox % sizeof(std::uint64_t) != 0) {
    return SignalResult::Bad;
  }
  target.mailbox = memory.object<std::uint64_t, MemoryAccess::Write>(mailbox);
  target.event_id = load_relaxed(target.signal->event_id);
  return target.mailbox != nullptr ? SignalResult::Ok : SignalResult::Fault;
}

}  // namespace

SignalResult complete_signal(QueueMemory& memory, QueueReports& reports, std::uint32_t vmid, std::uint64_t signal,
                             std::uint64_t start_ts, std::uint64_t end_ts) {
  if (signal == 0) {
    return SignalResult::Ok;
  }
  Target target;
  if (const SignalResult result = find(memory, signal, target); result != SignalResult::Ok) {
    return result;
  }
  store_relaxed(target.signal->start_ts, start_ts);
  store_relaxed(target.signal->end_ts, end_ts);
  std::atomic_ref<std::int64_t>(target.signal->value).fetch_sub(1, std::memory_order_acq_rel);
  target.raise_event(reports, vmid);
  return SignalResult::Ok;
}

SignalResult set_signal(QueueMemory& memory, QueueReports& reports, std::uint32_t vmid, std::uint64_t signal,
                        std::int64_t value) {
  Target target;
  if (const SignalResult result = find(memory, signal, target); result != SignalResult::Ok) {
    return result;
  }
  store_release(target.signal->value, value);
  target.raise_event(reports, vmid);
  return SignalResult::Ok;
}

SignalResult load_signal(QueueMemory& memory, std::uint64_t signal, std::int64_t& value) {
  if (signal % sizeof(aql_signal) != 0) {
    return SignalResult::Bad;
  }
  return memory.load(signal + offsetof(aql_signal, value), value) ? SignalResult::Ok : SignalResult::Fault;
}

}  // namespace kfdlab::device
