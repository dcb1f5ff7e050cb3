// SPDX-License-Identifier: MIT
// What each AQL packet does, scratch, and how errors reach the runtime.
#include <bit>
#include <cstring>

#include "device/cp/aql_queue.h"
#include "device/log.h"

namespace kfdlab::device {
namespace {

constexpr std::uint32_t kMaxGroupBytes = 64 * 1024;
constexpr std::uint32_t kMaxWorkgroup = 1024;
constexpr std::uint32_t kWaveLanes = 64;
constexpr std::size_t kDescriptorBytes = 64;
// Position of read_dispatch_id in amd_queue_t, whose base is found from it.
constexpr std::uint64_t kReadIndexOffset = offsetof(aql_queue, read_dispatch_id);

bool satisfied(std::uint32_t condition, std::int64_t value, std::int64_t reference) {
  switch (condition) {
    case AQL_CONDITION_EQ:
      return value == reference;
    case AQL_CONDITION_NE:
      return value != reference;
    case AQL_CONDITION_LT:
      return value < reference;
    default:
      return value >= reference;
  }
}

}  // namespace

UserQueue::Act AqlQueue::take_packet(const Packet& packet) {
  switch (packet[0]) {
    case AQL_KERNEL_DISPATCH:
      return kernel_dispatch(packet);
    case AQL_BARRIER_AND:
      return barrier(packet, true);
    case AQL_BARRIER_OR:
      return barrier(packet, false);
    case AQL_VENDOR_SPECIFIC:
      return vendor(packet);
    default:  // AGENT_DISPATCH too: this agent has no functions
      return refuse(AQL_INACTIVE_PACKET_FORMAT, KFDLAB_QUEUE_BAD_PACKET, packet[0]);
  }
}

UserQueue::Act AqlQueue::kernel_dispatch(const Packet& packet) {
  const auto dispatch = std::bit_cast<aql_kernel_dispatch>(packet);
  const std::uint32_t dimensions = dispatch.setup & 3u;
  const bool has_y = dimensions > 1;
  const bool has_z = dimensions > 2;
  const std::uint64_t items = std::uint64_t{dispatch.workgroup_size_x} * (has_y ? dispatch.workgroup_size_y : 1) *
                              (has_z ? dispatch.workgroup_size_z : 1);
  if (dimensions == 0 || dispatch.grid_size_x == 0 || (has_y && dispatch.grid_size_y == 0) ||
      (has_z && dispatch.grid_size_z == 0)) {
    return refuse(AQL_INACTIVE_DIMENSION, KFDLAB_QUEUE_BAD_DISPATCH, dispatch.setup);
  }
  if (items == 0 || items > kMaxWorkgroup) {
    return refuse(AQL_INACTIVE_WORKGROUP_SIZE, KFDLAB_QUEUE_BAD_DISPATCH, items);
  }
  if (dispatch.group_segment_size > kMaxGroupBytes) {
    return refuse(AQL_INACTIVE_GROUP_MEMORY, KFDLAB_QUEUE_BAD_DISPATCH, dispatch.group_segment_size);
  }
  aql_queue queue = {};
  std::uint64_t queue_va = 0;
  std::array<std::uint8_t, kDescriptorBytes> descriptor_bytes;
  if (!read_queue(queue, queue_va) ||
      !memory().read(dispatch.kernel_object, std::as_writable_bytes(std::span(descriptor_bytes)))) {
    return Act::Fault;
  }
  engine::AqlLaunch aql{.packet = packet,
                        .descriptor = descriptor_bytes,
                        .packet_va = packet_va(next_index_),
                        .descriptor_va = dispatch.kernel_object,
                        .queue_va = queue_va,
                        .dispatch_id = next_index_,
                        .scratch_base = queue.scratch_backing_memory_location};
  std::copy_n(queue.scratch_resource_descriptor, aql.scratch_descriptor.size(), aql.scratch_descriptor.begin());
  engine::Dispatch prepared;
  std::uint32_t lane_bytes = 0;
  if (const std::string wrong = context().parts.prepare_aql(aql, prepared, lane_bytes); !wrong.empty()) {
    log_guest("cp", "gpu {}: queue {}: kernel dispatch: {}", context().bar.gpu_index(), descriptor().number, wrong);
    return refuse(AQL_INACTIVE_CODE_OBJECT, KFDLAB_QUEUE_BAD_DISPATCH, dispatch.kernel_object);
  }
  const auto waves = static_cast<std::uint32_t>((items + kWaveLanes - 1) / kWaveLanes);
  if (const Act act = provide_scratch(queue, lane_bytes, waves, prepared); act != Act::Progress) {
    return act;
  }
  scratch_spent_ |= lane_bytes != 0 && (queue.queue_properties & AQL_QUEUE_USE_SCRATCH_ONCE) != 0;
  ++running_;
  launch(prepared, next_index_);
  return launched(dispatch.completion_signal);
}

UserQueue::Act AqlQueue::provide_scratch(const aql_queue& queue, std::uint32_t lane_bytes, std::uint32_t waves,
                                         engine::Dispatch& dispatch) {
  dispatch.scratch_base = queue.scratch_backing_memory_location;
  dispatch.scratch_waves = COMPUTE_TMPRING_WAVES(queue.compute_tmpring_size);
  dispatch.scratch_wave_bytes = COMPUTE_TMPRING_WAVESIZE(queue.compute_tmpring_size) * 1024;
  if (lane_bytes == 0) {
    return Act::Progress;
  }
  // Too few waves for the workgroup in what the runtime gave for this very packet: asking again changes nothing.
  const std::uint32_t fewest = scratch_answer_ == next_index_ ? 1 : waves;
  const bool enough = std::uint64_t{lane_bytes} * kWaveLanes <= dispatch.scratch_wave_bytes &&
                      dispatch.scratch_waves >= fewest && !scratch_spent_;
  if (enough && !asked_) {
    return Act::Progress;
  }
  if (!drained()) {
    return Act::Idle;
  }
  const Act act = ask_runtime(AQL_INACTIVE_SCRATCH);
  if (act == Act::Progress) {
    scratch_answer_ = next_index_;  // the packet is looked at again, with what the queue says now
  }
  return act;
}

UserQueue::Act AqlQueue::ask_runtime(aql_inactive code) {
  if (!asked_) {
    if (!set_inactive(code)) {
      return Act::Fault;
    }
    asked_ = true;
    return Act::Waiting;
  }
  aql_queue queue = {};
  std::uint64_t va = 0;
  std::int64_t value = 0;
  if (!read_queue(queue, va)) {
    return Act::Fault;
  }
  switch (load_signal(memory(), queue.queue_inactive_signal, value)) {
    case SignalResult::Ok:
      break;
    case SignalResult::Fault:
      return Act::Fault;
    case SignalResult::Bad:
      return refuse(AQL_INACTIVE_SCRATCH, KFDLAB_QUEUE_BAD_DISPATCH, queue.queue_inactive_signal);
  }
  if (value != 0) {
    return Act::Waiting;
  }
  asked_ = false;
  return Act::Progress;
}

UserQueue::Act AqlQueue::barrier(const Packet& packet, bool all) {
  const auto barrier = std::bit_cast<aql_barrier>(packet);
  bool any_named = false;
  bool any_zero = false;
  bool any_pending = false;
  for (const std::uint64_t signal : barrier.dep_signal) {
    if (signal == 0) {
      continue;
    }
    any_named = true;
    std::int64_t value = 0;
    switch (load_signal(memory(), signal, value)) {
      case SignalResult::Ok:
        break;
      case SignalResult::Fault:
        return Act::Fault;
      case SignalResult::Bad:
        return refuse(AQL_INACTIVE_PACKET_FORMAT, KFDLAB_QUEUE_BAD_PACKET, signal);
    }
    (value == 0 ? any_zero : any_pending) = true;
  }
  const bool open = !any_named || (all ? !any_pending : any_zero);
  return open ? ended_at_once(barrier.completion_signal) : Act::Waiting;
}

UserQueue::Act AqlQueue::vendor(const Packet& packet) {
  switch (packet[2]) {
    case AQL_FORMAT_PM4_IB:
      return pm4_ib(packet);
    case AQL_FORMAT_BARRIER_VALUE:
      return barrier_value(packet);
    default:
      return refuse(AQL_INACTIVE_VENDOR_PACKET, KFDLAB_QUEUE_BAD_PACKET, packet[2]);
  }
}

UserQueue::Act AqlQueue::barrier_value(const Packet& packet) {
  const auto barrier = std::bit_cast<aql_barrier_value>(packet);
  if (barrier.signal != 0) {
    std::int64_t value = 0;
    switch (load_signal(memory(), barrier.signal, value)) {
      case SignalResult::Ok:
        break;
      case SignalResult::Fault:
        return Act::Fault;
      case SignalResult::Bad:
        return refuse(AQL_INACTIVE_VENDOR_PACKET, KFDLAB_QUEUE_BAD_PACKET, barrier.signal);
    }
    if (!satisfied(barrier.cond, value & barrier.mask, barrier.value)) {
      return Act::Waiting;
    }
  }
  return ended_at_once(barrier.completion_signal);
}

UserQueue::Act AqlQueue::pm4_ib(const Packet& packet) {
  aql_pm4_ib vendor;
  std::memcpy(&vendor, packet.data(), sizeof(vendor));
  const std::uint32_t* jump = vendor.ib_jump_cmd;
  if (!executing_ib_) {
    if (PM4_OPCODE(jump[0]) != PM4_INDIRECT_BUFFER || Pm4Processor::packet_dwords(jump[0]) != 4) {
      return refuse(AQL_INACTIVE_VENDOR_PACKET, KFDLAB_QUEUE_BAD_PACKET, jump[0]);
    }
    if (processor_.execute(std::span(jump, 4)) != Pm4Processor::Outcome::Complete) {
      return refuse(AQL_INACTIVE_VENDOR_PACKET, KFDLAB_QUEUE_BAD_PACKET, jump[1]);
    }
    executing_ib_ = true;
  }
  if (processor_.in_ib()) {
    switch (processor_.step_ib()) {
      case Pm4Processor::Outcome::Complete:
        return Act::Progress;
      case Pm4Processor::Outcome::Waiting:
        return Act::Waiting;
      case Pm4Processor::Outcome::Busy:
        return Act::Idle;
      case Pm4Processor::Outcome::Fault:
        return Act::Fault;
      case Pm4Processor::Outcome::Bad:
      case Pm4Processor::Outcome::BadDispatch:
        return refuse(AQL_INACTIVE_VENDOR_PACKET, KFDLAB_QUEUE_BAD_PACKET, jump[1]);
    }
  }
  if (running_ != 0) {
    return Act::Idle;  // kernels of the buffer
  }
  executing_ib_ = false;
  return ended_at_once(vendor.completion_signal);
}

bool AqlQueue::read_queue(aql_queue& queue, std::uint64_t& va) {
  va = descriptor().rptr_va - kReadIndexOffset;
  return memory().read(va, std::as_writable_bytes(std::span(&queue, 1)));
}

bool AqlQueue::set_inactive(std::int64_t code) {
  aql_queue queue = {};
  std::uint64_t va = 0;
  if (!read_queue(queue, va)) {
    return false;
  }
  if (queue.queue_inactive_signal == 0) {
    return true;
  }
  return set_signal(memory(), context().reports, descriptor().vmid, queue.queue_inactive_signal, code) !=
         SignalResult::Fault;
}

void AqlQueue::tell_user(kfdlab_queue_error error, std::uint64_t) {
  std::int64_t code = inactive_code_;
  switch (error) {
    case KFDLAB_QUEUE_MEMORY_FAULT:
      return;  // the driver's memory exception event tells
    case KFDLAB_QUEUE_ILLEGAL_INSTRUCTION:
      code = AQL_INACTIVE_ILLEGAL_INSTRUCTION;
      break;
    case KFDLAB_QUEUE_TRAP:
      code = static_cast<std::uint32_t>(AQL_INACTIVE_TRAP);
      break;
    case KFDLAB_QUEUE_APERTURE:
      code = AQL_INACTIVE_APERTURE;
      break;
    default:
      break;
  }
  // A fault here leaves the runtime without the news; the IH entry reaches the driver all the same.
  [[maybe_unused]] const bool told = set_inactive(code);
}

}  // namespace kfdlab::device
