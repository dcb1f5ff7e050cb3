// SPDX-License-Identifier: MIT
// PageWalker: reads the page tables of hw/gpuvm.h. They are the guest's: it may write anything into them at any
// moment, let tables point at themselves or at each other, and change them during a walk. Invariants: a walk reads
// at most four entries and the 512 of one last table, each of them inside VRAM or RAM; a translation it returns
// lies inside VRAM, RAM or the doorbell pages as a whole.
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/bus/bar.h"
#include "device/mmu/physical_map.h"

namespace kfdlab::device {

// One run of mapped GPU virtual addresses, contiguous in host memory and of the same permissions.
struct Translation {
  std::uint64_t start = 0;  // GPU VA
  std::uint64_t size = 0;   // bytes, multiple of 4 KiB; 0: not mapped
  std::byte* host = nullptr;
  bool readable = false;
  bool writable = false;  // implies readable
  bool executable = false;
  bool no_retry = false;  // not mapped, and said so by AMDGPU_VM_NORETRY_FLAGS
};

class PageWalker {
 public:
  // Borrows both. `own` is the GPU whose VRAM an entry without AMDGPU_PTE_SYSTEM means.
  PageWalker(const PhysicalMap& map, const Bar& own) : map_(map), own_(own) {}

  // What `va` is mapped to below `root`: at least its page, more if an entry covers more, and never across a 2 MiB
  // boundary. Any thread.
  [[nodiscard]] Translation walk(std::uint64_t root, std::uint64_t va) const;

 private:
  [[nodiscard]] const std::uint64_t* table(const PhysicalMap::View& view, std::uint64_t pde) const;
  [[nodiscard]] std::byte* memory(const PhysicalMap::View& view, std::uint64_t pte, std::uint64_t address,
                                  std::uint64_t size) const;
  [[nodiscard]] Translation leaf(const PhysicalMap::View& view, const std::uint64_t* entries, std::uint64_t va,
                                 unsigned level, std::uint64_t pte) const;

  const PhysicalMap& map_;
  const Bar& own_;
};

}  // namespace kfdlab::device
