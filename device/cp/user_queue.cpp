// SPDX-License-Identifier: MIT
#include "device/cp/user_queue.h"

#include <algorithm>
#include <utility>

#include "device/cp/aql_queue.h"
#include "device/cp/pm4_queue.h"
#include "device/cp/user_sdma_queue.h"
#include "device/host/shared_word.h"
#include "device/log.h"

namespace kfdlab::device {
namespace {

constexpr std::chrono::microseconds kFirstRetry{50};
constexpr std::chrono::microseconds kLastRetry{1000};

const char* describe(kfdlab_queue_error error) {
  switch (error) {
    case KFDLAB_QUEUE_OK:
      return "no error";
    case KFDLAB_QUEUE_BAD_PACKET:
      return "bad packet";
    case KFDLAB_QUEUE_BAD_POINTER:
      return "bad write pointer";
    case KFDLAB_QUEUE_BAD_DISPATCH:
      return "a kernel that cannot run";
    case KFDLAB_QUEUE_MEMORY_FAULT:
      return "memory fault";
    case KFDLAB_QUEUE_ILLEGAL_INSTRUCTION:
      return "illegal instruction";
    case KFDLAB_QUEUE_TRAP:
      return "trap";
    case KFDLAB_QUEUE_APERTURE:
      return "aperture violation";
  }
  return "?";
}

}  // namespace

std::unique_ptr<UserQueue> UserQueue::create(const QueueDescriptor& queue, QueueContext& context,
                                             std::uint64_t serial) {
  switch (queue.type) {
    case KFDLAB_QUEUE_AQL:
      return std::make_unique<AqlQueue>(queue, context, serial);
    case KFDLAB_QUEUE_PM4:
      return std::make_unique<Pm4Queue>(queue, context, serial);
    case KFDLAB_QUEUE_SDMA:
    case KFDLAB_QUEUE_SDMA_XGMI:
      break;
  }
  return std::make_unique<UserSdmaQueue>(queue, context, serial);
}

UserQueue::Act UserQueue::step(Clock::time_point now) {
  if (error_ != KFDLAB_QUEUE_OK || quiesced_) {
    return Act::Idle;
  }
  context_.memory.select(queue_.vmid);
  for (const FinishedDispatch& finished_dispatch : std::exchange(news_, {})) {
    finished(finished_dispatch);
  }
  if (error_ != KFDLAB_QUEUE_OK) {
    return Act::Stopped;
  }
  if (faulting_ && now < next_try_ && context_.memory.sequence() == fault_sequence_) {
    return Act::Waiting;
  }
  const std::uint64_t sequence = context_.memory.sequence();
  const Act act = advance();
  if (act != Act::Fault) {
    faulting_ = false;
    return act;
  }
  if (!faulting_ || sequence != fault_sequence_) {
    retry_interval_ = kFirstRetry;
  }
  fault_sequence_ = sequence;
  return handle_fault(now);
}

UserQueue::Act UserQueue::handle_fault(Clock::time_point now) {
  const MemoryFault fault = context_.memory.fault();
  const bool retry = vmid_config().retry && !fault.no_retry;
  context_.reports.fault(fault, retry);
  if (!retry) {
    return stop(KFDLAB_QUEUE_MEMORY_FAULT, fault.page);
  }
  faulting_ = true;
  next_try_ = now + retry_interval_;
  retry_interval_ = std::min<Clock::duration>(retry_interval_ * 2, kLastRetry);
  return Act::Waiting;
}

UserQueue::Act UserQueue::stop(kfdlab_queue_error error, std::uint64_t detail) {
  if (error_ != KFDLAB_QUEUE_OK) {
    return Act::Stopped;
  }
  error_ = error;
  log_guest("cp", "gpu {}: queue {} of VMID {} stops: {} ({:#x})", context_.bar.gpu_index(), queue_.number,
            queue_.vmid, describe(error), detail);
  context_.engine.kill_queue(queue_.number);
  write_mqd_error(context_.map, queue_.mqd_address, error);
  tell_user(error, detail);
  context_.reports.error(client(), queue_.vmid, queue_.number, queue_.doorbell, error, detail);
  return Act::Stopped;
}

void UserQueue::launch(engine::Dispatch dispatch, std::uint64_t tag) {
  const VmidConfig config = vmid_config();
  dispatch.queue = queue_.number;
  dispatch.vmid = queue_.vmid;
  dispatch.xnack = config.retry;
  dispatch.gws = queue_.gws;
  dispatch.priority = queue_.priority;
  dispatch.cu_mask = queue_.cu_mask;
  dispatch.shared_aperture_hi = static_cast<std::uint32_t>(config.shared_base >> 32);
  dispatch.private_aperture_hi = static_cast<std::uint32_t>(config.private_base >> 32);
  dispatch.tba = config.tba;
  dispatch.tma = config.tma;
  constexpr std::uint32_t kDoorbellsInPage = 1024;
  dispatch.doorbell = queue_.doorbell / 8 % kDoorbellsInPage;
  ++context_.work.dispatches;
  // The engine may call back long after this queue is gone; the inbox is still there then.
  context_.engine.launch(dispatch, [&inbox = context_.inbox, number = queue_.number, serial = serial_,
                                    tag](const engine::Outcome& outcome) {
    inbox.post({.queue = number, .queue_serial = serial, .tag = tag, .outcome = outcome});
  });
}

bool UserQueue::failed(const engine::Outcome& outcome) {
  switch (outcome.verdict) {
    case engine::Verdict::Done:
      return false;
    case engine::Verdict::Killed:
      break;  // by stop() or by the driver: they know
    case engine::Verdict::Fault: {
      MemoryFault fault = outcome.fault;
      fault.vmid = queue_.vmid;
      context_.reports.fault(fault, false);
      stop(KFDLAB_QUEUE_MEMORY_FAULT, outcome.pc);
      break;
    }
    case engine::Verdict::Illegal:
      log_guest("cp", "gpu {}: queue {}: illegal instruction at {:#x}: {}", context_.bar.gpu_index(), queue_.number,
                outcome.pc, outcome.name);
      stop(KFDLAB_QUEUE_ILLEGAL_INSTRUCTION, outcome.pc);
      break;
    case engine::Verdict::Trap:
      log_guest("cp", "gpu {}: queue {}: s_trap {} at {:#x}", context_.bar.gpu_index(), queue_.number,
                outcome.trap_id, outcome.pc);
      stop(KFDLAB_QUEUE_TRAP, outcome.pc);
      break;
    case engine::Verdict::Refused:
      log_guest("cp", "gpu {}: queue {}: kernel refused: {}", context_.bar.gpu_index(), queue_.number, outcome.name);
      stop(KFDLAB_QUEUE_BAD_DISPATCH, outcome.pc);
      break;
  }
  return true;
}

void UserQueue::update(const QueueDescriptor& queue) {
  queue_.mqd_address = queue.mqd_address;
  queue_.ring = queue.ring;
  queue_.ring_bytes = queue.ring_bytes;
  queue_.priority = queue.priority;
  queue_.cu_mask = queue.cu_mask;
  queue_.gws = queue.gws;
}

std::uint64_t UserQueue::doorbell() const {
  return load_acquire(*reinterpret_cast<std::uint64_t*>(context_.bar.doorbells().data() + queue_.doorbell));
}

}  // namespace kfdlab::device
