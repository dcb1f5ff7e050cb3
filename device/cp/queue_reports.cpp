// SPDX-License-Identifier: MIT
#include "device/cp/queue_reports.h"

#include "device/host/shared_word.h"

namespace kfdlab::device {
namespace {

constexpr std::uint32_t kVmidBits = 0xf;  // what the entry has room for

std::uint32_t access_bit(MemoryAccess access) {
  switch (access) {
    case MemoryAccess::Read:
      return IH_FAULT_READ;
    case MemoryAccess::Write:
      return IH_FAULT_WRITE;
    case MemoryAccess::Execute:
      return IH_FAULT_EXECUTE;
  }
  return 0;
}

std::uint32_t missing(const MemoryFault& fault) {
  if (fault.reason == MemoryFault::Reason::NotPresent) {
    return IH_FAULT_RING_NOT_PRESENT;
  }
  switch (fault.access) {
    case MemoryAccess::Read:
      return IH_FAULT_RING_NO_READ;
    case MemoryAccess::Write:
      return IH_FAULT_RING_NO_WRITE;
    case MemoryAccess::Execute:
      return IH_FAULT_RING_NO_EXECUTE;
  }
  return 0;
}

}  // namespace

ih_entry QueueReports::entry(std::uint32_t client, std::uint32_t source, std::uint32_t ring,
                             std::uint32_t vmid) const {
  ih_entry entry = {};
  entry.source = ih_source(client, source, ring, vmid & kVmidBits);
  entry.pasid = vmids_.get(vmid).pasid;
  return entry;
}

bool QueueReports::end_of_pipe(std::uint32_t vmid, std::uint32_t event_id) {
  ih_entry report = entry(IH_CLIENT_GRBM_CP, IH_SOURCE_CP_END_OF_PIPE, 0, vmid);
  report.src_data[0] = event_id;
  return ih_.push(report, IhKind::Event);
}

bool QueueReports::sdma_trap(std::uint32_t vmid, std::uint32_t context) {
  ih_entry report = entry(IH_CLIENT_SDMA0, IH_SOURCE_SDMA_TRAP, 0, vmid);
  report.src_data[0] = context;
  return ih_.push(report, IhKind::Event);
}

bool QueueReports::wave_message(std::uint32_t vmid, std::uint32_t m0) {
  ih_entry report = entry(IH_CLIENT_SE0SH, IH_SOURCE_SQ_INTERRUPT_MSG, 0, vmid);
  report.src_data[0] = (m0 & 0xfffu) | (m0 & 0xf000u) << 16 | IH_SQ_ENCODING_INST;
  report.src_data[1] = m0 >> 16 & 0xffu;
  return ih_.push(report, IhKind::Event);
}

bool QueueReports::fault(const MemoryFault& fault, bool retry) {
  store_relaxed(bar_.device_regs().queue_faults, faults_.fetch_add(1, std::memory_order_relaxed) + 1);
  ih_entry report = entry(IH_CLIENT_UTCL2, IH_SOURCE_VM_FAULT, missing(fault), fault.vmid);
  const std::uint64_t page = fault.page >> 12;
  report.src_data[0] = static_cast<std::uint32_t>(page);
  report.src_data[1] = (static_cast<std::uint32_t>(page >> 32) & IH_FAULT_PAGE_HI_MASK) | access_bit(fault.access) |
                       (retry ? IH_FAULT_RETRY : 0);
  return ih_.push(report, IhKind::Fault);
}

bool QueueReports::error(std::uint32_t client, std::uint32_t vmid, std::uint32_t queue, std::uint32_t doorbell,
                         kfdlab_queue_error code, std::uint64_t detail) {
  ih_entry report = entry(client, IH_SOURCE_CP_BAD_OPCODE, 0, vmid);
  report.src_data[0] = ih_queue_error(doorbell / 8, code);
  report.src_data[1] = queue;
  report.src_data[2] = static_cast<std::uint32_t>(detail);
  report.src_data[3] = static_cast<std::uint32_t>(detail >> 32);
  return ih_.push(report, IhKind::Event);
}

}  // namespace kfdlab::device
