// SPDX-License-Identifier: MIT
#include "device/mmu/page_walker.h"

#include <algorithm>

#include "device/host/shared_word.h"
#include "hw/gpuvm.h"

namespace kfdlab::device {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kLargest = 2ull << 20;  // of one Translation

bool is_valid(std::uint64_t entry) {
  return (entry & (AMDGPU_PTE_VALID | AMDGPU_PTE_TF | AMDGPU_PTE_PRT)) == AMDGPU_PTE_VALID;
}

bool says_no_retry(std::uint64_t entry) {
  return (entry & (AMDGPU_PTE_VALID | AMDGPU_VM_NORETRY_FLAGS)) == AMDGPU_VM_NORETRY_FLAGS;
}

std::uint64_t read_entry(const std::uint64_t* table, unsigned index) {
  // The reference is to shared memory that is never written here; atomic_ref has no const form in C++20.
  return load_relaxed(const_cast<std::uint64_t&>(table[index]));
}

// Null if `address` is in no doorbell page of `bar`. `address` is page-aligned, and so are the doorbells.
std::byte* doorbell_page(const Bar& bar, std::uint64_t address) {
  const std::uint64_t base = bar_base(bar);
  const std::uint64_t offset = address - (base + KFDLAB_BAR_DOORBELLS);
  return base != 0 && offset < KFDLAB_DOORBELL_SIZE ? bar.doorbells().data() + offset : nullptr;
}

// The entries [first, last] around `index` that continue `pte` within the block its fragment field speaks of.
struct Run {
  unsigned first;
  unsigned last;
};

Run find_run(const std::uint64_t* table, unsigned index, std::uint64_t pte) {
  const auto order = static_cast<unsigned>((pte & AMDGPU_PTE_FRAG_MASK) / AMDGPU_PTE_FRAG(1));
  const unsigned block = 1u << std::min<unsigned>(order, KFDLAB_GPUVM_LEVEL_BITS);
  const unsigned begin = index & ~(block - 1);
  const auto continues = [&](unsigned other) {
    const std::uint64_t distance = (std::uint64_t{other} - index) * kPage;  // modulo 2^64 when it lies before
    return read_entry(table, other) == pte + distance;
  };
  Run run{index, index};
  while (run.first != begin && continues(run.first - 1)) {
    --run.first;
  }
  while (run.last + 1 != begin + block && continues(run.last + 1)) {
    ++run.last;
  }
  return run;
}

}  // namespace

std::byte* PageWalker::memory(const PhysicalMap::View& view, std::uint64_t pte, std::uint64_t address,
                              std::uint64_t size) const {
  if ((pte & AMDGPU_PTE_SYSTEM) == 0) {
    const std::span<std::byte> vram = own_.vram();
    return size <= vram.size() && address <= vram.size() - size ? vram.data() + address : nullptr;
  }
  const std::span<std::byte> bytes = view.find(address, size);
  return bytes.size() == size ? bytes.data() : nullptr;
}

const std::uint64_t* PageWalker::table(const PhysicalMap::View& view, std::uint64_t pde) const {
  return reinterpret_cast<const std::uint64_t*>(memory(view, pde, pde & AMDGPU_PTE_ADDRESS, KFDLAB_GPUVM_TABLE_SIZE));
}

Translation PageWalker::leaf(const PhysicalMap::View& view, const std::uint64_t* entries, std::uint64_t va,
                             unsigned level, std::uint64_t pte) const {
  const std::uint64_t page = va & ~(kPage - 1);
  const std::uint64_t covered = 1ull << kfdlab_gpuvm_shift(level);
  const std::uint64_t address = (pte & AMDGPU_PTE_ADDRESS) + (page & (covered - 1));
  Translation result;
  if (level == KFDLAB_GPUVM_PTB) {
    const unsigned index = kfdlab_gpuvm_index(va, level);
    const Run run = find_run(entries, index, pte);
    result.start = page - (index - run.first) * kPage;
    result.size = (run.last - run.first + 1) * kPage;
  } else {
    result.start = va & ~(kLargest - 1);
    result.size = kLargest;
  }
  result.host = memory(view, pte, address - (page - result.start), result.size);
  if (result.host == nullptr) {  // it ends before the run does
    result.start = page;
    result.size = kPage;
    result.host = memory(view, pte, address, kPage);
  }
  if (result.host == nullptr && (pte & AMDGPU_PTE_SYSTEM) != 0) {
    result.host = doorbell_page(own_, address);
  }
  if (result.host == nullptr) {
    return {};
  }
  result.readable = (pte & AMDGPU_PTE_READABLE) != 0;
  result.writable = result.readable && (pte & AMDGPU_PTE_WRITEABLE) != 0;
  result.executable = (pte & AMDGPU_PTE_EXECUTABLE) != 0;
  return result;
}

Translation PageWalker::walk(std::uint64_t root, std::uint64_t va) const {
  if (va >> KFDLAB_GPUVM_VA_BITS != 0 || !is_valid(root)) {
    return {};
  }
  const PhysicalMap::View view = map_.view();
  std::uint64_t entry = root;
  for (unsigned level = KFDLAB_GPUVM_LEVELS; level-- != 0;) {
    const std::uint64_t* const entries = table(view, entry);
    if (entries == nullptr) {
      return {};
    }
    entry = read_entry(entries, kfdlab_gpuvm_index(va, level));
    if (!is_valid(entry)) {
      return {.no_retry = says_no_retry(entry)};
    }
    const bool huge = (level == KFDLAB_GPUVM_PDB0 || level == KFDLAB_GPUVM_PDB1) && (entry & AMDGPU_PDE_PTE) != 0;
    if (huge || level == KFDLAB_GPUVM_PTB) {
      return leaf(view, entries, va, level, entry);
    }
  }
  return {};
}

}  // namespace kfdlab::device
