// SPDX-License-Identifier: MIT
#include "device/bus/bar.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

namespace kfdlab::device {
namespace {
constexpr std::uint64_t kVramGranule = 2ull << 20;
}

Result<Bar> Bar::create(std::span<std::byte> bytes, unsigned gpu_index, unsigned gpu_count) {
  const std::string who = fmt::format("gpu {}: BAR 2", gpu_index);
  if (bytes.size() < KFDLAB_BAR_VRAM + kVramGranule || !std::has_single_bit(bytes.size())) {
    return Error{fmt::format("{}: size {:#x} is not a power of two with room for VRAM", who, bytes.size())};
  }
  kfdlab_identity identity = {};
  std::memcpy(&identity, bytes.data() + KFDLAB_BAR_IDENTITY, sizeof(identity));
  if (identity.magic != KFDLAB_IDENTITY_MAGIC) {
    return Error{
        fmt::format("{}: identity magic is {:#x}, expected {:#x}", who, identity.magic, KFDLAB_IDENTITY_MAGIC)};
  }
  if (identity.layout_version != KFDLAB_LAYOUT_VERSION) {
    return Error{fmt::format("{}: layout version {} of the launcher is not our {}; rebuild both", who,
                             identity.layout_version, KFDLAB_LAYOUT_VERSION)};
  }
  if (identity.gpu_index != gpu_index || identity.gpu_count != gpu_count) {
    return Error{fmt::format("{}: identity says gpu {} of {}, the command line {} of {}", who, identity.gpu_index,
                             identity.gpu_count, gpu_index, gpu_count)};
  }
  if (identity.bar_size != bytes.size()) {
    return Error{
        fmt::format("{}: identity says {:#x} bytes, the file has {:#x}", who, identity.bar_size, bytes.size())};
  }
  if (identity.vram_size == 0 || identity.vram_size % kVramGranule != 0 ||
      identity.vram_size > bytes.size() - KFDLAB_BAR_VRAM) {
    return Error{fmt::format("{}: VRAM size {:#x} is not a multiple of 2 MiB that fits", who, identity.vram_size)};
  }
  return Bar(bytes, gpu_index, identity.vram_size, identity.compute_units);
}

}  // namespace kfdlab::device
