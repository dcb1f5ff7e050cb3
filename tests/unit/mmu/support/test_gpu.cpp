// SPDX-License-Identifier: MIT
#include "tests/unit/mmu/support/test_gpu.h"

#include <cstring>

#include "common/check.h"
#include "tests/unit/device/support/test_driver.h"

namespace kfdlab::device {

TestGpu::TestGpu() {
  write_identity(bar_memory_.bytes(), 0, 1);
  Result<Bar> bar = Bar::create(bar_memory_.bytes(), 0, 1);
  KFDLAB_CHECK(bar.ok());
  bar_.emplace(bar.take());
  bar_->driver_regs().bar_base = kBarBase;
  Result<GuestMemory> memory = GuestMemory::create({{.address = kRamBase, .host = ram_.bytes()}});
  KFDLAB_CHECK(memory.ok());
  guest_memory_.emplace(memory.take());
  map_.emplace(*guest_memory_, std::vector<const Bar*>{&*bar_});
  walker_.emplace(*map_, *bar_);
  root_ = make_root();
  spaces_.set_root(kVmid, root_);
}

std::uint64_t TestGpu::new_table() {
  KFDLAB_CHECK(next_table_ >= KFDLAB_GPUVM_TABLE_SIZE);
  next_table_ -= KFDLAB_GPUVM_TABLE_SIZE;
  std::memset(vram().data() + next_table_, 0, KFDLAB_GPUVM_TABLE_SIZE);
  return next_table_;
}

std::uint64_t& TestGpu::entry(std::uint64_t root, std::uint64_t va, unsigned level) {
  std::uint64_t pde = root;
  for (unsigned at = KFDLAB_GPUVM_PDB2;; --at) {
    auto* const entries = reinterpret_cast<std::uint64_t*>(vram().data() + (pde & AMDGPU_PTE_ADDRESS));
    std::uint64_t& found = entries[kfdlab_gpuvm_index(va, at)];
    if (at == level) {
      return found;
    }
    if (found == 0) {
      found = new_table() | AMDGPU_PTE_VALID;
    }
    pde = found;
  }
}

void TestGpu::map_range(std::uint64_t va, std::uint64_t pte, std::uint64_t bytes) {
  for (std::uint64_t offset = 0; offset < bytes; offset += 4096) {
    map(va + offset, pte + offset);
  }
}

}  // namespace kfdlab::device
