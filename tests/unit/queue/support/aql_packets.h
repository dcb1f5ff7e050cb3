// SPDX-License-Identifier: MIT
// AQL packets as the runtime writes them.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "hw/aql.h"
#include "hw/pm4.h"

namespace kfdlab::device {

[[nodiscard]] inline aql_kernel_dispatch kernel_packet(std::uint64_t object, std::uint64_t signal = 0) {
  aql_kernel_dispatch packet = {};
  packet.header = AQL_KERNEL_DISPATCH | 2 << 9 | 2 << 11;
  packet.setup = 1;
  packet.workgroup_size_x = 64;
  packet.workgroup_size_y = 1;
  packet.workgroup_size_z = 1;
  packet.grid_size_x = 256;
  packet.grid_size_y = 1;
  packet.grid_size_z = 1;
  packet.kernel_object = object;
  packet.completion_signal = signal;
  return packet;
}

[[nodiscard]] inline aql_barrier barrier_packet(aql_packet_type type, std::initializer_list<std::uint64_t> signals,
                                                std::uint64_t completion = 0) {
  aql_barrier packet = {};
  packet.header = static_cast<std::uint16_t>(type | 2 << 9 | 2 << 11);
  std::size_t i = 0;
  for (const std::uint64_t signal : signals) {
    packet.dep_signal[i++] = signal;
  }
  packet.completion_signal = completion;
  return packet;
}

[[nodiscard]] inline aql_barrier_value barrier_value_packet(std::uint64_t signal, std::int64_t value,
                                                            std::int64_t mask, std::uint32_t condition) {
  aql_barrier_value packet = {};
  packet.header = AQL_VENDOR_SPECIFIC;
  packet.amd_format = AQL_FORMAT_BARRIER_VALUE;
  packet.signal = signal;
  packet.value = value;
  packet.mask = mask;
  packet.cond = condition;
  return packet;
}

[[nodiscard]] inline aql_pm4_ib pm4_packet(std::uint64_t buffer, std::uint32_t dwords) {
  aql_pm4_ib packet = {};
  packet.header = AQL_VENDOR_SPECIFIC | AQL_HEADER_BARRIER;
  packet.ven_hdr = AQL_FORMAT_PM4_IB;
  packet.ib_jump_cmd[0] = 0xc0023f00;
  packet.ib_jump_cmd[1] = static_cast<std::uint32_t>(buffer);
  packet.ib_jump_cmd[2] = static_cast<std::uint32_t>(buffer >> 32);
  packet.ib_jump_cmd[3] = dwords | 1u << 23;
  packet.dw_cnt_remain = 10;
  return packet;
}

}  // namespace kfdlab::device
