// SPDX-License-Identifier: MIT
// Plan: where the elements of all active lanes are in host memory. Made completely before the first byte or register
// is written, so that a fault leaves no trace; gone when the handler returns. Only for files compiled per instruction
// set.
//
// An element that crosses a page goes through a bounce buffer: filled when the plan is made (loads), written out by
// finish_stores().
#pragma once

#include "device/engine/mem_vector.h"
#include "device/mmu/tlb.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {

using device::MemoryAccess;
using device::Tlb;

// What a lane that must read zero reads: LDS and buffers out of range.
alignas(64) inline constexpr std::byte kZeros[64] = {};

struct Plan {
  alignas(64) std::uint64_t host[kLanes];  // of the planned lanes
  std::uint64_t split = 0;                 // lanes whose element lies in two pages
  // Of the split lanes only:
  std::byte* head[kLanes];
  std::byte* tail[kLanes];  // the first byte in the second page
  std::uint8_t head_bytes[kLanes];
  alignas(16) std::byte bounce[kLanes][16];
};

template <MemoryAccess kAccess, unsigned kBytes>
[[nodiscard, gnu::noinline]] inline bool plan_split(Wave& wave, std::uint64_t address, unsigned lane, Plan& plan) {
  std::byte* const head = wave.tlb->translate<kAccess>(wave.tlb_key, address, wave.fault);
  if (head == nullptr) {
    return false;
  }
  std::byte* const tail =
      wave.tlb->translate<kAccess>(wave.tlb_key, (address & ~Tlb::kPageMask) + Tlb::kPageSize, wave.fault);
  if (tail == nullptr) {
    return false;
  }
  const auto bytes = static_cast<std::uint8_t>(Tlb::kPageSize - (address & Tlb::kPageMask));
  plan.split |= 1ull << lane;
  plan.head[lane] = head;
  plan.tail[lane] = tail;
  plan.head_bytes[lane] = bytes;
  plan.host[lane] = reinterpret_cast<std::uint64_t>(plan.bounce[lane]);
  if constexpr (kAccess == MemoryAccess::Read) {
    std::memcpy(plan.bounce[lane], head, bytes);
    std::memcpy(plan.bounce[lane] + bytes, tail, kBytes - bytes);
  }
  return true;
}

// Translates the elements at address[l] for the lanes. False: wave.fault says why.
template <MemoryAccess kAccess, unsigned kBytes>
[[nodiscard, gnu::noinline]] inline bool plan_lanes(Wave& wave, const std::uint64_t* address, std::uint64_t lanes,
                                                    Plan& plan) {
  // A span is a page or up to 2 MiB; lanes that a few of them do not cover are translated one by one.
  constexpr unsigned kSpans = 4;
  std::uint64_t rest = lanes;
  for (unsigned n = 0; n < kSpans && rest != 0; ++n) {
    const unsigned lane = first_lane(rest);
    Tlb::Span span;
    if (!wave.tlb->find_span<kAccess>(wave.tlb_key, address[lane], span, wave.fault)) {
      return false;
    }
    rest &= ~add_inside(plan.host, address, rest, span.start, span.size - kBytes, span.addend);
    if ((rest >> lane & 1) != 0) {  // begins in the span and ends behind it
      if (!plan_split<kAccess, kBytes>(wave, address[lane], lane, plan)) {
        return false;
      }
      rest &= ~(1ull << lane);
    }
  }
  for (; rest != 0; rest &= rest - 1) {
    const unsigned lane = first_lane(rest);
    if ((address[lane] & Tlb::kPageMask) > Tlb::kPageSize - kBytes) {
      if (!plan_split<kAccess, kBytes>(wave, address[lane], lane, plan)) {
        return false;
      }
      continue;
    }
    const std::byte* const host = wave.tlb->translate<kAccess>(wave.tlb_key, address[lane], wave.fault);
    if (host == nullptr) {
      return false;
    }
    plan.host[lane] = reinterpret_cast<std::uint64_t>(host);
  }
  return true;
}

// Behind the stores through `plan`.
template <unsigned kBytes>
KFDLAB_INLINE void finish_stores(const Plan& plan) {
  for_lanes(plan.split, [&](unsigned l) {
    std::memcpy(plan.head[l], plan.bounce[l], plan.head_bytes[l]);
    std::memcpy(plan.tail[l], plan.bounce[l] + plan.head_bytes[l], kBytes - plan.head_bytes[l]);
  });
}

// Translates [address, address + size) of one page; null if it crosses a page (no fault then) or faults.
enum class RunOutcome : std::uint8_t { Ok, Crosses, Fault };
template <MemoryAccess kAccess>
KFDLAB_INLINE RunOutcome plan_run(Wave& wave, std::uint64_t address, std::uint64_t size, std::byte*& host) {
  if ((address & Tlb::kPageMask) + size > Tlb::kPageSize) {
    return RunOutcome::Crosses;
  }
  host = wave.tlb->translate<kAccess>(wave.tlb_key, address, wave.fault);
  return host != nullptr ? RunOutcome::Ok : RunOutcome::Fault;
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
