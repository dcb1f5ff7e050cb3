// SPDX-License-Identifier: MIT
// MUBUF addresses: a buffer descriptor (four SGPRs, gfx9 layout) and what it makes of a lane's offset and index. Only
// for files compiled per instruction set.
//
// The case that matters is scratch: swizzled, index = lane (ADD_TID), index stride 64, elements of 4 bytes; then each
// dword of a wave is a run of 256 bytes. Everything else is computed lane by lane.
// Facts: CDNA 2 ISA chapter 9.1 (addressing, range checking, descriptor); the element size of gfx9 is 4.
#pragma once

#include "device/engine/mem_element.h"
#include "device/engine/mem_plan.h"
#include "device/engine/mem_tables.h"
#include "device/engine/micro_op.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {

struct Buffer {
  std::uint64_t base = 0;
  std::uint32_t soffset = 0;
  std::uint32_t records = 0;
  std::uint32_t stride = 0;
  std::uint32_t index_stride = 8;
  bool swizzle = false;
  bool add_lane = false;

  // Offsets are checked against bytes, not indices against records.
  [[nodiscard]] bool is_raw() const { return stride == 0 || !swizzle; }
  // The scratch case above.
  [[nodiscard]] bool is_lane_interleaved() const { return swizzle && add_lane && index_stride == kLanes; }
};

KFDLAB_INLINE Buffer read_buffer(const Wave& wave, const MicroOp& op) {
  std::uint32_t words[4];
  std::memcpy(words, scalar_source(wave, op, 2), sizeof words);
  Buffer buffer;
  buffer.base = words[0] | std::uint64_t{words[1] & 0xffffu} << 32;
  buffer.stride = words[1] >> 16 & 0x3fffu;
  buffer.swizzle = words[1] >> 31 != 0;
  buffer.records = words[2];
  buffer.index_stride = 8u << (words[3] >> 21 & 3);
  buffer.add_lane = (words[3] >> 23 & 1) != 0;
  if (buffer.add_lane) {
    buffer.stride |= (words[3] >> 15 & 0xfu) << 14;  // DATA_FORMAT is more of the stride then
  }
  if (op.kind[3] != Kind::None) {
    buffer.soffset = *scalar(wave, op, op.kind[3], op.src3);
  }
  return buffer;
}

// Where [offset, offset + bytes) of record `index` is. False: out of range.
KFDLAB_INLINE bool place_in_buffer(const Buffer& buffer, std::uint32_t index, std::uint32_t offset, unsigned bytes,
                                   std::uint64_t& address) {
  std::uint64_t at;
  if (buffer.swizzle) {
    const std::uint64_t outer = index / buffer.index_stride;
    const std::uint64_t inner = index % buffer.index_stride;
    const std::uint64_t aligned = offset & ~(bytes - 1);  // an element does not cross dwords
    at = (outer * buffer.stride + (aligned & ~3ull)) * buffer.index_stride + inner * 4 + (aligned & 3);
  } else {
    at = std::uint64_t{index} * buffer.stride + offset;
  }
  address = buffer.base + buffer.soffset + at;
  return buffer.is_raw() ? at + buffer.soffset + bytes <= buffer.records : index < buffer.records;
}

// Offset and index of a lane, without ADD_TID.
struct BufferLane {
  const std::uint32_t* offsets = nullptr;  // rows, or null
  const std::uint32_t* indices = nullptr;
  std::uint32_t constant = 0;

  KFDLAB_INLINE BufferLane(const Wave& wave, const MicroOp& op) : constant(static_cast<std::uint32_t>(op.imm)) {
    const std::uint32_t* row = row_at(wave, op.src[0]);
    if ((op.flags & kFlagIdxen) != 0) {
      indices = row;
      row += kLanes;
    }
    if ((op.flags & kFlagOffen) != 0) {
      offsets = row;
    }
  }
  [[nodiscard]] KFDLAB_INLINE std::uint32_t offset(unsigned lane) const {
    return constant + (offsets != nullptr ? offsets[lane] : 0);
  }
  [[nodiscard]] KFDLAB_INLINE std::uint32_t index(const Buffer& buffer, unsigned lane) const {
    return (indices != nullptr ? indices[lane] : 0) + (buffer.add_lane ? lane : 0);
  }
};

// One plan for each dword of an element (one for smaller ones): swizzled dwords are not neighbours.
template <Element kE>
struct BufferPlan {
  static constexpr unsigned kParts = dwords_of(kE);
  static constexpr unsigned kPartBytes = bytes_of(kE) < 4 ? bytes_of(kE) : 4;
  static constexpr Element kPart = bytes_of(kE) < 4 ? kE : Element::B32;
  Plan part[kParts];
  std::uint64_t inside[kParts];  // lanes in range; loads of the others read kZeros
};

template <MemoryAccess kAccess, Element kE>
[[nodiscard]] inline bool plan_buffer(Wave& wave, const MicroOp& op, const Buffer& buffer, std::uint64_t lanes,
                                      BufferPlan<kE>& plan) {
  constexpr unsigned kBytes = BufferPlan<kE>::kPartBytes;
  alignas(64) std::uint64_t address[kLanes];
  const BufferLane lane(wave, op);
  for (unsigned d = 0; d < BufferPlan<kE>::kParts; ++d) {
    std::uint64_t inside = 0;
    for_lanes(lanes, [&](unsigned l) {
      if (place_in_buffer(buffer, lane.index(buffer, l), lane.offset(l) + 4 * d, kBytes, address[l])) {
        inside |= 1ull << l;
      } else {
        plan.part[d].host[l] = reinterpret_cast<std::uint64_t>(kZeros);
      }
    });
    plan.inside[d] = inside;
    if (!plan_lanes<kAccess, kBytes>(wave, address, inside, plan.part[d])) {
      return false;
    }
  }
  return true;
}

// The scratch case with one offset for all lanes: the host address of lane 0's dword (byte, half) for each dword, or
// false if it is another case; then `faulted` says whether that is because of a fault.
template <MemoryAccess kAccess, Element kE>
KFDLAB_INLINE bool plan_scratch(Wave& wave, const MicroOp& op, const Buffer& buffer, std::uint64_t lanes,
                                std::byte* (&host)[dwords_of(kE)], bool& faulted) {
  faulted = false;
  if (!buffer.is_lane_interleaved() || (op.flags & kFlagIdxen) != 0) {
    return false;
  }
  const BufferLane lane(wave, op);
  const unsigned first = first_lane(lanes);
  const std::uint32_t offset = lane.offset(first);
  constexpr unsigned kBytes = bytes_of(kE) < 4 ? bytes_of(kE) : 4;
  if (lane.offsets != nullptr && !is_uniform(lane.offsets, lanes, lane.offsets[first])) {
    return false;
  }
  const unsigned last = last_lane(lanes);
  for (unsigned d = 0; d < dwords_of(kE); ++d) {
    std::uint64_t begin;
    std::uint64_t end;
    if (!place_in_buffer(buffer, first, offset + 4 * d, kBytes, begin) ||
        !place_in_buffer(buffer, last, offset + 4 * d, kBytes, end)) {
      return false;
    }
    switch (plan_run<kAccess>(wave, begin, end - begin + kBytes, host[d])) {
      case RunOutcome::Ok:
        host[d] -= 4 * first;
        break;
      case RunOutcome::Crosses:
        return false;
      case RunOutcome::Fault:
        faulted = true;
        return false;
    }
  }
  return true;
}

// src[0] is there if an offset or index comes from it, with as many registers; the rest is where registers belong.
inline bool has_buffer_address(const isa::Inst& inst) {
  const unsigned wanted = (inst.offen ? 1u : 0u) + (inst.idxen ? 1u : 0u);
  const isa::Operand& descriptor = inst.src[2];
  return (wanted == 0 || is_tuple(inst.src[0], wanted)) && descriptor.is_register() &&
         descriptor.reg + 4u <= isa::kScalarRegisters && !inst.src[3].is_vector();
}
inline bool is_buffer_form(const isa::Inst& inst, const isa::Operand& value, unsigned dwords) {
  return inst.encoding == isa::Encoding::Mubuf && has_buffer_address(inst) && is_tuple(value, dwords) && !inst.lds;
}

// The form of a load whose data goes to LDS, in mem_buffer_lds.cpp. `element`: Ubyte, Sbyte, Ushort, Sshort or B32.
bool lower_buffer_to_lds(Lowering& lowering, Element element);

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
