// SPDX-License-Identifier: MIT
#include "device/cp/pm4_processor.h"

#include <limits>

#include "device/cp/compare.h"
#include "device/cp/gpu_clock.h"
#include "hw/aql.h"

namespace kfdlab::device {
namespace {

constexpr std::uint32_t kDword = sizeof(std::uint32_t);
constexpr std::uint32_t kType2 = 2;
constexpr std::uint32_t kType3 = 3;

std::uint64_t address_of(std::uint32_t lo, std::uint32_t hi) { return std::uint64_t{hi} << 32 | lo; }

// Of RSRC2: LDS_SIZE in units of 128 dwords, and whether waves have scratch.
std::uint32_t lds_bytes(std::uint32_t rsrc2) { return (rsrc2 >> 15 & 0x1ffu) * 512; }

}  // namespace

std::uint32_t Pm4Processor::packet_dwords(std::uint32_t header) {
  if (PM4_TYPE(header) == kType2) {
    return 1;
  }
  if (PM4_TYPE(header) != kType3) {
    return 0;
  }
  if (PM4_OPCODE(header) == PM4_NOP && PM4_COUNT(header) == PM4_NOP_ONE_DWORD) {
    return 1;
  }
  return PM4_COUNT(header) + 2;
}

Pm4Processor::Outcome Pm4Processor::execute(Packet packet) {
  if (PM4_TYPE(packet[0]) == kType2) {
    return Outcome::Complete;
  }
  switch (PM4_OPCODE(packet[0])) {
    case PM4_NOP:
      return Outcome::Complete;
    case PM4_DISPATCH_DIRECT:
      return dispatch_direct(packet);
    case PM4_WRITE_DATA:
      return write_data(packet);
    case PM4_WAIT_REG_MEM:
      return wait_reg_mem(packet);
    case PM4_INDIRECT_BUFFER:
      return indirect_buffer(packet);
    case PM4_EVENT_WRITE:  // flushes; the memory is coherent, so to wait for the kernels is all of it
      return owner_.pm4_busy() ? Outcome::Busy : Outcome::Complete;
    case PM4_RELEASE_MEM:
      return release_mem(packet);
    case PM4_ACQUIRE_MEM:
      owner_.pm4_invalidate_code();
      return Outcome::Complete;
    case PM4_SET_SH_REG:
      return set_sh_reg(packet);
    default:
      return Outcome::Bad;
  }
}

void Pm4Processor::begin_ib(std::uint64_t va, std::uint32_t dwords) {
  ib_.reset();
  if (dwords != 0) {
    ib_ = Ib{.va = va, .dwords = dwords, .position = 0};
  }
}

Pm4Processor::Outcome Pm4Processor::step_ib() {
  const std::uint64_t va = ib_->va + std::uint64_t{ib_->position} * kDword;
  std::uint32_t header = 0;
  if (!memory_.load(va, header)) {
    return Outcome::Fault;
  }
  const std::uint32_t dwords = packet_dwords(header);
  if (dwords == 0 || dwords > ib_->dwords - ib_->position || PM4_OPCODE(header) == PM4_INDIRECT_BUFFER) {
    return Outcome::Bad;
  }
  buffer_.resize(dwords);
  buffer_[0] = header;
  if (!memory_.read(va + kDword, std::as_writable_bytes(std::span(buffer_).subspan(1)))) {
    return Outcome::Fault;
  }
  const Outcome outcome = execute(buffer_);
  if (outcome == Outcome::Complete) {
    ib_->position += dwords;
    if (ib_->position == ib_->dwords) {
      ib_.reset();
    }
  }
  return outcome;
}

Pm4Processor::Outcome Pm4Processor::dispatch_direct(Packet packet) {
  if (packet.size() < 5) {
    return Outcome::Bad;
  }
  const std::uint32_t initiator = packet[4];
  engine::Dispatch dispatch;
  dispatch.entry = register_pair(COMPUTE_PGM_LO) << 8;
  dispatch.rsrc1 = registers_[COMPUTE_PGM_RSRC1];
  dispatch.rsrc2 = registers_[COMPUTE_PGM_RSRC2];
  dispatch.rsrc3 = registers_[COMPUTE_PGM_RSRC3];
  for (unsigned i = 0; i < dispatch.user_sgpr.size(); ++i) {
    dispatch.user_sgpr[i] = registers_[COMPUTE_USER_DATA_0 + i];
  }
  for (unsigned i = 0; i < 3; ++i) {
    dispatch.workgroup[i] = registers_[COMPUTE_NUM_THREAD_X + i] & 0xffffu;
    const bool threads = (initiator & COMPUTE_DISPATCH_USE_THREAD_DIMENSIONS) != 0;
    const std::uint64_t grid = packet[1 + i] * (threads ? std::uint64_t{1} : dispatch.workgroup[i]);
    if (grid > std::numeric_limits<std::uint32_t>::max()) {
      return Outcome::BadDispatch;
    }
    dispatch.grid[i] = static_cast<std::uint32_t>(grid);
    const bool from_zero = (initiator & COMPUTE_DISPATCH_FORCE_START_AT_000) != 0;
    dispatch.first_workgroup[i] = from_zero ? 0 : registers_[COMPUTE_START_X + i];
  }
  dispatch.lds_bytes = lds_bytes(dispatch.rsrc2);
  const std::uint32_t tmpring = registers_[COMPUTE_TMPRING_SIZE];
  dispatch.scratch_base = register_pair(COMPUTE_DISPATCH_SCRATCH_BASE_LO) << 8;
  dispatch.scratch_waves = COMPUTE_TMPRING_WAVES(tmpring);
  dispatch.scratch_wave_bytes = COMPUTE_TMPRING_WAVESIZE(tmpring) * 1024;
  if ((initiator & COMPUTE_DISPATCH_SHADER_EN) != 0) {
    owner_.pm4_launch(dispatch);
  }
  return Outcome::Complete;
}

Pm4Processor::Outcome Pm4Processor::write_data(Packet packet) {
  if (packet.size() < 5) {
    return Outcome::Bad;
  }
  const std::uint32_t target = PM4_WRITE_DATA_DST_SEL(packet[1]);
  const std::uint64_t address = address_of(packet[2], packet[3]);
  if ((target != 1 && target != 2 && target != 5) || address % kDword != 0) {
    return Outcome::Bad;
  }
  const bool one_address = (packet[1] & PM4_WRITE_DATA_ONE_ADDRESS) != 0;
  for (std::size_t i = 4; i < packet.size(); ++i) {
    const std::uint64_t offset = one_address ? 0 : (i - 4) * kDword;
    if (!memory_.store(address + offset, packet[i])) {
      return Outcome::Fault;
    }
  }
  return Outcome::Complete;
}

Pm4Processor::Outcome Pm4Processor::wait_reg_mem(Packet packet) {
  if (packet.size() < 7) {
    return Outcome::Bad;
  }
  if (PM4_WAIT_MEM_SPACE(packet[1]) != 1) {
    return Outcome::Complete;  // a register: none that changes is visible to user space
  }
  const std::uint64_t address = address_of(packet[2], packet[3]);
  if (address % kDword != 0) {
    return Outcome::Bad;
  }
  std::uint32_t value = 0;
  if (!memory_.load(address, value)) {
    return Outcome::Fault;
  }
  return compare(PM4_WAIT_FUNCTION(packet[1]), value & packet[5], packet[4]) ? Outcome::Complete : Outcome::Waiting;
}

Pm4Processor::Outcome Pm4Processor::indirect_buffer(Packet packet) {
  if (packet.size() != 4 || packet[1] % kDword != 0) {
    return Outcome::Bad;
  }
  begin_ib(address_of(packet[1], packet[2]), PM4_IB_DWORDS(packet[3]));
  return Outcome::Complete;
}

Pm4Processor::Outcome Pm4Processor::release_mem(Packet packet) {
  if (packet.size() < 7) {
    return Outcome::Bad;
  }
  if (owner_.pm4_busy()) {
    return Outcome::Busy;
  }
  const std::uint64_t address = address_of(packet[3], packet[4]);
  const std::uint64_t data = address_of(packet[5], packet[6]);
  const std::uint32_t select = PM4_RELEASE_DATA_SEL(packet[2]);
  const bool wide = select != PM4_RELEASE_DATA_32;
  if (select > PM4_RELEASE_DATA_SYSTEM_CLOCK ||
      (select != PM4_RELEASE_DATA_NONE && address % (wide ? sizeof(std::uint64_t) : kDword) != 0)) {
    return Outcome::Bad;
  }
  bool stored = true;
  if (select == PM4_RELEASE_DATA_32) {
    stored = memory_.store(address, packet[5]);
  } else if (select != PM4_RELEASE_DATA_NONE) {
    stored = memory_.store(address, select == PM4_RELEASE_DATA_64 ? data : gpu_clock());
  }
  if (!stored) {
    return Outcome::Fault;
  }
  const std::uint32_t interrupt = PM4_RELEASE_INT_SEL(packet[2]);
  if (interrupt == PM4_RELEASE_INT_ONLY || interrupt == PM4_RELEASE_INT_CONFIRM) {
    owner_.pm4_interrupt(packet.size() > 7 ? packet[7] : packet[5]);
  }
  return Outcome::Complete;
}

Pm4Processor::Outcome Pm4Processor::set_sh_reg(Packet packet) {
  if (packet.size() < 3) {
    return Outcome::Bad;
  }
  const std::uint32_t first = packet[1] & 0xffffu;
  const std::size_t count = packet.size() - 2;
  if (first >= registers_.size() || count > registers_.size() - first) {
    return Outcome::Bad;
  }
  for (std::size_t i = 0; i < count; ++i) {
    registers_[first + i] = packet[2 + i];
  }
  return Outcome::Complete;
}

}  // namespace kfdlab::device
