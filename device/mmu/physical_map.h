// SPDX-License-Identifier: MIT
// PhysicalMap: guest-physical addresses as the device's DMA sees them: guest RAM and the VRAM of every GPU of the
// VM, wherever the guest has put their BARs. Register pages and rings are no DMA targets, with one exception that
// View::fence_word() makes.
//
// The guest moves a BAR by writing bar_base, so a packet is judged and executed through one View, which holds the
// windows still. Invariant: a View hands out no byte outside RAM segments and VRAM, whatever the guest writes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "device/bus/bar.h"
#include "device/host/guest_memory.h"

namespace kfdlab::device {

inline constexpr std::size_t kMaxGpus = 16;

class PhysicalMap {
 public:
  class View {
   public:
    // The bytes from `address` on, at most `limit`, as far as they are contiguous here; empty if nothing is there.
    [[nodiscard]] std::span<std::byte> find(std::uint64_t address, std::uint64_t limit) const;
    // True if every byte of [address, address + size) can be found. size > 0.
    [[nodiscard]] bool covers(std::uint64_t address, std::uint64_t size) const;
    // Target of a 4-byte fence of `gpu`: a dword of RAM or VRAM, or that GPU's copy_fence register. Null if it is
    // neither or not 4-byte aligned.
    [[nodiscard]] std::uint32_t* fence_word(std::uint64_t address, const Bar& gpu) const;

   private:
    friend class PhysicalMap;
    struct Window {
      std::uint64_t address = 0;
      std::span<std::byte> vram;
    };
    explicit View(const GuestMemory& ram) : ram_(&ram) {}
    const GuestMemory* ram_;
    std::array<Window, kMaxGpus> windows_;
    std::size_t count_ = 0;
  };

  // Borrows both; at most kMaxGpus bars.
  PhysicalMap(const GuestMemory& ram, std::vector<const Bar*> bars);

  // The map as it is now: bar_base of every GPU read once.
  [[nodiscard]] View view() const;

 private:
  const GuestMemory& ram_;
  std::vector<const Bar*> bars_;
};

// Where `bar` begins in guest-physical space by its driver's word; 0 if the driver has not said it or what it said
// cannot be the address of a PCI BAR.
[[nodiscard]] std::uint64_t bar_base(const Bar& bar);

}  // namespace kfdlab::device
