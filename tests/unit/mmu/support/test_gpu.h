// SPDX-License-Identifier: MIT
// TestGpu: RAM, a BAR and the page tables of one virtual GPU without any of its threads. The driver's part, building
// the tables, is done here the way the kernel module does it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "device/bus/bar.h"
#include "device/host/guest_memory.h"
#include "device/mmu/address_spaces.h"
#include "device/mmu/page_walker.h"
#include "device/mmu/physical_map.h"
#include "tests/unit/device/support/guarded_memory.h"

namespace kfdlab::device {

class TestGpu {
 public:
  static constexpr std::uint64_t kBarSize = 16u << 20;
  static constexpr std::uint64_t kBarBase = 0x800000000;
  static constexpr std::uint64_t kVramSize = kBarSize - KFDLAB_BAR_VRAM;
  static constexpr std::uint64_t kRamBase = 0x100000;
  static constexpr std::uint64_t kRamSize = 4u << 20;
  static constexpr std::uint64_t kNowhere = 0x700000000;  // neither RAM nor BAR
  static constexpr std::uint64_t kReadWrite =
      AMDGPU_PTE_VALID | AMDGPU_PTE_READABLE | AMDGPU_PTE_WRITEABLE | AMDGPU_PTE_EXECUTABLE;
  static constexpr std::uint64_t kReadOnly = AMDGPU_PTE_VALID | AMDGPU_PTE_READABLE;
  static constexpr std::uint64_t kSystem = AMDGPU_PTE_SYSTEM | AMDGPU_PTE_SNOOPED;
  static constexpr std::uint32_t kVmid = 8;

  TestGpu();

  [[nodiscard]] const PageWalker& walker() const { return *walker_; }
  [[nodiscard]] const PhysicalMap& physical() const { return *map_; }
  [[nodiscard]] AddressSpaces& spaces() { return spaces_; }
  [[nodiscard]] const Bar& bar() const { return *bar_; }
  [[nodiscard]] std::span<std::byte> vram() const { return bar_->vram(); }
  [[nodiscard]] std::span<std::byte> ram() const { return ram_.bytes(); }

  // A root for kVmid, at once; the others have none until make_root().
  [[nodiscard]] std::uint64_t root() const { return root_; }
  [[nodiscard]] std::uint64_t make_root() { return new_table() | AMDGPU_PTE_VALID; }

  // The entry of `level` for `va` below `root`, with the tables above it made as needed. Tables take VRAM from its
  // end on downwards; aborts if there is none left.
  [[nodiscard]] std::uint64_t& entry(std::uint64_t root, std::uint64_t va, unsigned level);
  // Sets a leaf: `pte` is address and flags. No invalidation.
  void map(std::uint64_t va, std::uint64_t pte, unsigned level = KFDLAB_GPUVM_PTB) { entry(root_, va, level) = pte; }
  // Maps `bytes` from `va` on to the same number from `pte`'s address on, page by page.
  void map_range(std::uint64_t va, std::uint64_t pte, std::uint64_t bytes);
  void unmap(std::uint64_t va) { entry(root_, va, KFDLAB_GPUVM_PTB) = 0; }

 private:
  [[nodiscard]] std::uint64_t new_table();

  GuardedMemory ram_{kRamSize};
  GuardedMemory bar_memory_{kBarSize};
  std::optional<GuestMemory> guest_memory_;
  std::optional<Bar> bar_;
  std::optional<PhysicalMap> map_;
  std::optional<PageWalker> walker_;
  AddressSpaces spaces_;
  std::uint64_t next_table_ = kVramSize;
  std::uint64_t root_ = 0;
};

}  // namespace kfdlab::device
