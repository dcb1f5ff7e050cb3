// SPDX-License-Identifier: MIT
// Addresses of GLOBAL and FLAT instructions. Only for files compiled per instruction set.
//
// FLAT: an address whose high half is that of an aperture is not a GPU virtual address. Shared: the low half is an
// offset into LDS (out of range: reads give 0, writes are dropped). Private: an offset into the lane's scratch, whose
// dwords of all lanes lie side by side from FLAT_SCRATCH on, as MUBUF's swizzle with index stride 64 and element
// size 4 puts them. A wave that mixes kinds is planned dword by dword.
#pragma once

#include "device/engine/mem_element.h"
#include "device/engine/mem_plan.h"
#include "device/engine/micro_op.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {

enum class AddressMode : std::uint8_t {
  Global,       // 64-bit vaddr
  GlobalSaddr,  // 64-bit saddr + 32-bit vaddr
  Flat,         // 64-bit vaddr with apertures
};

// What is added to each lane's vaddr.
template <AddressMode kMode>
KFDLAB_INLINE std::uint64_t address_addend(const Wave& wave, const MicroOp& op) {
  const auto offset = static_cast<std::uint64_t>(static_cast<std::int64_t>(op.imm));
  if constexpr (kMode == AddressMode::GlobalSaddr) {
    return offset + read_unaligned<std::uint64_t>(scalar_source(wave, op, 2));
  } else {
    return offset;
  }
}

KFDLAB_INLINE bool in_aperture(const Wave& wave, std::uint64_t address) {
  const auto high = static_cast<std::uint32_t>(address >> 32);
  return high != 0 && (high == wave.shared_aperture_hi || high == wave.private_aperture_hi);
}

// If the lanes' elements of `bytes` each are one run: its first active lane's address. Apertures are no run.
template <AddressMode kMode>
KFDLAB_INLINE bool find_run(const Wave& wave, const MicroOp& op, std::uint64_t lanes, unsigned bytes,
                            std::uint64_t& address) {
  const std::uint32_t* const row = row_at(wave, op.src[0]);
  const unsigned first = first_lane(lanes);
  bool run;
  if constexpr (kMode == AddressMode::GlobalSaddr) {
    address = row[first];
    run = is_run32(row, lanes, address - std::uint64_t{first} * bytes, bytes);
  } else {
    address = pair_at(row, first);
    run = is_run64(row, lanes, address - std::uint64_t{first} * bytes, bytes);
  }
  address += address_addend<kMode>(wave, op);
  return run && (kMode != AddressMode::Flat || !in_aperture(wave, address));
}

template <AddressMode kMode>
KFDLAB_INLINE void lane_addresses(const Wave& wave, const MicroOp& op, std::uint64_t* address) {
  const std::uint32_t* const row = row_at(wave, op.src[0]);
  const std::uint64_t addend = address_addend<kMode>(wave, op);
  if constexpr (kMode == AddressMode::GlobalSaddr) {
    widen_row(address, row, addend);
  } else {
    widen_pairs(address, row, addend);
  }
}

struct FlatLanes {
  std::uint64_t shared = 0;
  std::uint64_t scratch = 0;
};

KFDLAB_INLINE FlatLanes split_apertures(const Wave& wave, const std::uint64_t* address, std::uint64_t lanes) {
  FlatLanes found;
  if (wave.shared_aperture_hi != 0) {
    found.shared = equal_high_lanes(address, lanes, wave.shared_aperture_hi);
  }
  if (wave.private_aperture_hi != 0) {
    found.scratch = equal_high_lanes(address, lanes & ~found.shared, wave.private_aperture_hi);
  }
  return found;
}

// Byte `offset` of lane `lane`'s scratch; aligned down to `bytes`, since a swizzled element does not cross dwords.
KFDLAB_INLINE std::uint64_t scratch_address(const Wave& wave, std::uint32_t offset, unsigned lane, unsigned bytes) {
  const std::uint64_t aligned = offset & ~(bytes - 1);
  return wave.u64(isa::kFlatScratchLo) + (aligned & ~3ull) * kLanes + lane * 4u + (aligned & 3);
}

// The host address of [offset, offset + bytes) of LDS; null if that is out of range.
KFDLAB_INLINE std::byte* lds_address(const Wave& wave, std::uint32_t offset, unsigned bytes) {
  return wave.lds_size >= bytes && offset <= wave.lds_size - bytes ? wave.lds + offset : nullptr;
}

// One plan for each dword of an element (one for smaller ones).
template <Element kE>
struct MixedPlan {
  static constexpr unsigned kParts = dwords_of(kE);
  static constexpr unsigned kPartBytes = bytes_of(kE) < 4 ? bytes_of(kE) : 4;
  static constexpr Element kPart = bytes_of(kE) < 4 ? kE : Element::B32;
  Plan part[kParts];
  std::uint64_t lanes[kParts];  // that have a place; stores leave the others out
};

template <MemoryAccess kAccess, Element kE>
[[nodiscard]] inline bool plan_mixed(Wave& wave, const std::uint64_t* address, std::uint64_t lanes,
                                     const FlatLanes& flat, MixedPlan<kE>& plan) {
  alignas(64) std::uint64_t at[kLanes];
  constexpr unsigned kBytes = MixedPlan<kE>::kPartBytes;
  for (unsigned d = 0; d < MixedPlan<kE>::kParts; ++d) {
    Plan& part = plan.part[d];
    plan.lanes[d] = lanes;
    for_lanes(lanes, [&](unsigned l) {
      const auto offset = static_cast<std::uint32_t>(address[l] + 4 * d);
      if ((flat.shared >> l & 1) != 0) {
        const std::byte* host = lds_address(wave, offset, kBytes);
        if (host == nullptr && kAccess == MemoryAccess::Write) {
          plan.lanes[d] &= ~(1ull << l);
        }
        part.host[l] = reinterpret_cast<std::uint64_t>(host != nullptr ? host : kZeros);
      } else {
        at[l] = (flat.scratch >> l & 1) != 0 ? scratch_address(wave, offset, l, kBytes) : address[l] + 4 * d;
      }
    });
    if (!plan_lanes<kAccess, kBytes>(wave, at, lanes & ~flat.shared, part)) {
      return false;
    }
  }
  return true;
}

template <Element kE>
KFDLAB_INLINE void load_mixed(std::uint32_t* to, const MixedPlan<kE>& plan) {
  for (unsigned d = 0; d < MixedPlan<kE>::kParts; ++d) {
    load_lanes<MixedPlan<kE>::kPart>(to + d * kLanes, plan.part[d].host, plan.lanes[d]);
  }
}

template <Element kE>
KFDLAB_INLINE void store_mixed(const MixedPlan<kE>& plan, const std::uint32_t* from) {
  for (unsigned d = 0; d < MixedPlan<kE>::kParts; ++d) {
    store_lanes<MixedPlan<kE>::kPart>(plan.part[d].host, from + d * kLanes, plan.lanes[d]);
    finish_stores<MixedPlan<kE>::kPartBytes>(plan.part[d]);
  }
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
