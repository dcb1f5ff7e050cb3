// SPDX-License-Identifier: MIT
#include "device/mmu/physical_map.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "common/check.h"
#include "device/host/shared_word.h"

namespace kfdlab::device {

std::uint64_t bar_base(const Bar& bar) {
  const std::uint64_t base = load_relaxed(bar.driver_regs().bar_base);
  // PCI aligns a BAR to its size; this also keeps base + size from wrapping and VRAM offsets aligned.
  return base % bar.size() == 0 ? base : 0;
}

std::span<std::byte> PhysicalMap::View::find(std::uint64_t address, std::uint64_t limit) const {
  // RAM first: a hostile bar_base may point into it, and must not hide it.
  if (const std::span<std::byte> ram = ram_->find(address, limit); !ram.empty()) {
    return ram;
  }
  for (std::size_t i = 0; i < count_; ++i) {
    const Window& window = windows_[i];
    const std::uint64_t offset = address - window.address;  // huge below the window
    if (offset < window.vram.size()) {
      return window.vram.subspan(offset, std::min<std::uint64_t>(limit, window.vram.size() - offset));
    }
  }
  return {};
}

bool PhysicalMap::View::covers(std::uint64_t address, std::uint64_t size) const {
  if (address + (size - 1) < address) {
    return false;
  }
  while (size != 0) {
    const std::span<std::byte> piece = find(address, size);
    if (piece.empty()) {
      return false;
    }
    address += piece.size();
    size -= piece.size();
  }
  return true;
}

std::uint32_t* PhysicalMap::View::fence_word(std::uint64_t address, const Bar& gpu) const {
  if (address % sizeof(std::uint32_t) != 0) {
    return nullptr;
  }
  const std::span<std::byte> bytes = find(address, sizeof(std::uint32_t));
  if (bytes.size() == sizeof(std::uint32_t)) {
    return reinterpret_cast<std::uint32_t*>(bytes.data());
  }
  const std::uint64_t base = bar_base(gpu);
  constexpr std::uint64_t kOffset = KFDLAB_BAR_DEVICE_REGS + offsetof(kfdlab_device_regs, copy_fence);
  return base != 0 && address == base + kOffset ? &gpu.device_regs().copy_fence : nullptr;
}

PhysicalMap::PhysicalMap(const GuestMemory& ram, std::vector<const Bar*> bars) : ram_(ram), bars_(std::move(bars)) {
  KFDLAB_CHECK(bars_.size() <= kMaxGpus);
}

PhysicalMap::View PhysicalMap::view() const {
  View view(ram_);
  for (const Bar* bar : bars_) {
    if (const std::uint64_t base = bar_base(*bar); base != 0) {
      view.windows_[view.count_++] = {.address = base + KFDLAB_BAR_VRAM, .vram = bar->vram()};
    }
  }
  return view;
}

}  // namespace kfdlab::device
