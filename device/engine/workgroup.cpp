// SPDX-License-Identifier: MIT
// The state in which waves begin. Facts: LLVM AMDGPU usage, "Initial Kernel Execution State"; CDNA 2 ISA chapter 3.
#include "device/engine/workgroup.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace kfdlab::engine {
namespace {

constexpr std::uint32_t kMaxGroupItems = 1024;
constexpr std::uint32_t kMaxLds = 64u << 10;
constexpr std::uint32_t kLdsGranule = 512;

constexpr std::uint32_t bits(std::uint32_t value, unsigned first, unsigned count) {
  return value >> first & ((1u << count) - 1);
}

// COMPUTE_PGM_RSRC2
constexpr std::uint32_t kScratchEnable = 1u << 0;
constexpr std::uint32_t kGroupIdX = 1u << 7;
constexpr std::uint32_t kGroupIdY = 1u << 8;
constexpr std::uint32_t kGroupIdZ = 1u << 9;
constexpr std::uint32_t kGroupInfo = 1u << 10;

std::string refusal_of(const Dispatch& dispatch, const Shape& shape, std::uint64_t items) {
  if (items > kMaxGroupItems) {
    return "the workgroup has more than 1024 work-items";
  }
  if (shape.lds_bytes > kMaxLds) {
    return "the workgroup has more than 64 KiB of LDS";
  }
  if (shape.vgpr_rows > kMaxVgprRows) {
    return "a wave has more than 512 VGPRs";
  }
  if (shape.user_sgprs > dispatch.user_sgpr.size()) {
    return "more than 16 user SGPRs";
  }
  if ((dispatch.rsrc2 & kScratchEnable) != 0 && dispatch.scratch_wave_bytes != 0 &&
      dispatch.scratch_waves < shape.waves) {
    return "less scratch than one workgroup needs";
  }
  return "";
}

}  // namespace

Shape shape_of(const Dispatch& dispatch) {
  Shape shape;
  std::uint64_t items = 1;
  shape.total_groups = 1;
  for (unsigned i = 0; i < 3; ++i) {
    const std::uint32_t size = std::max(dispatch.workgroup[i], 1u);
    items = std::min<std::uint64_t>(items * size, 1ull << 32);
    shape.groups[i] = dispatch.workgroup[i] == 0 ? 0 : dispatch.grid[i] / size + (dispatch.grid[i] % size != 0 ? 1 : 0);
    // Saturates: nobody runs that many.
    if (__builtin_mul_overflow(shape.total_groups, std::uint64_t{shape.groups[i]}, &shape.total_groups)) {
      shape.total_groups = ~0ull;
    }
  }
  shape.waves = static_cast<std::uint32_t>(std::min<std::uint64_t>((items + kLanes - 1) / kLanes, 1u << 16));
  shape.vgpr_rows = (bits(dispatch.rsrc1, 0, 6) + 1) * 8;
  shape.accum_offset = std::min((bits(dispatch.rsrc3, 0, 6) + 1) * 4, shape.vgpr_rows);
  const std::uint64_t lds = std::max<std::uint64_t>(dispatch.lds_bytes, bits(dispatch.rsrc2, 15, 9) * kLdsGranule);
  shape.lds_bytes = static_cast<std::uint32_t>(
      std::min<std::uint64_t>((lds + kLdsGranule - 1) / kLdsGranule, 1u << 20) * kLdsGranule);
  shape.user_sgprs = bits(dispatch.rsrc2, 1, 5);
  shape.mode = bits(dispatch.rsrc1, 12, 8) | (bits(dispatch.rsrc1, 21, 1) != 0 ? kModeDx10Clamp : 0) |
               (bits(dispatch.rsrc1, 23, 1) != 0 ? kModeIeee : 0) |
               (bits(dispatch.rsrc1, 26, 1) != 0 ? kModeFp16Ovfl : 0);
  shape.refusal = refusal_of(dispatch, shape, items);
  return shape;
}

Workgroup::Workgroup(const Shape& shape)
    : slots(shape.waves), wave_bytes_((shape.vgpr_rows + kTempRows) * kRowBytes), lds_bytes_(shape.lds_bytes) {
  // Slack behind LDS: vector handlers may touch a vector beyond what they use.
  bytes_ = std::size_t{wave_bytes_} * shape.waves + lds_bytes_ + 64;
  memory_ = static_cast<std::byte*>(::operator new (bytes_, std::align_val_t{64}));
  std::memset(memory_, 0, bytes_);
}

Workgroup::~Workgroup() { ::operator delete (memory_, std::align_val_t{64}); }

// Work-item numbers of all lanes, packed x | y << 10 | z << 20; the same for all workgroups of one size.
void Workgroup::number_items(const std::array<std::uint32_t, 3>& size) {
  if (size == numbered_) {
    return;
  }
  numbered_ = size;
  items_.assign(slots.size() * kLanes, 0);
  std::size_t i = 0;
  for (std::uint32_t z = 0; z < size[2]; ++z) {
    for (std::uint32_t y = 0; y < size[1]; ++y) {
      for (std::uint32_t x = 0; x < size[0]; ++x) {
        items_[i++] = x | y << 10 | z << 20;
      }
    }
  }
}

void Workgroup::start(const Dispatch& dispatch, const Shape& shape, std::uint64_t group_index,
                      std::uint32_t first_scratch_slot, bool clear) {
  if (clear) {
    std::memset(memory_, 0, bytes_);
  }
  index = group_index;
  queue = dispatch.queue;
  doorbell = dispatch.doorbell;
  const std::array<std::uint32_t, 3> id{static_cast<std::uint32_t>(group_index % shape.groups[0]),
                                        static_cast<std::uint32_t>(group_index / shape.groups[0] % shape.groups[1]),
                                        static_cast<std::uint32_t>(group_index / shape.groups[0] / shape.groups[1])};
  std::array<std::uint32_t, 3> size{};
  for (unsigned i = 0; i < 3; ++i) {
    size[i] = std::min(dispatch.workgroup[i], dispatch.grid[i] - id[i] * dispatch.workgroup[i]);
  }
  number_items(size);
  const std::uint32_t items = size[0] * size[1] * size[2];
  waves_alive = (items + kLanes - 1) / kLanes;
  waves_at_barrier = 0;
  for (std::uint32_t w = 0; w < slots.size(); ++w) {
    WaveSlot& slot = slots[w];
    slot.retry_interval = 0;
    slot.state = w < waves_alive ? WaveState::Ready : WaveState::Ended;
    if (w < waves_alive) {
      start_wave(slot.wave, dispatch, shape, w, first_scratch_slot + w);
      const std::uint32_t lanes = std::min(items - w * kLanes, kLanes);
      slot.wave.set_exec(lanes == kLanes ? ~0ull : (1ull << lanes) - 1);
      start_scalars(slot.wave, dispatch, shape, id);
    }
  }
}

void Workgroup::start_wave(Wave& wave, const Dispatch& dispatch, const Shape& shape, std::uint32_t number,
                           std::uint32_t scratch_slot) {
  wave.sgpr.fill(0);
  wave.vgpr = memory_ + std::size_t{wave_bytes_} * number;
  wave.vgpr_rows = shape.vgpr_rows;
  wave.accum_offset = shape.accum_offset;
  wave.scc = 0;
  wave.mode = shape.mode;
  wave.pc = dispatch.entry;
  wave.tlb_key = device::Tlb::key(dispatch.vmid);
  wave.group = this;
  wave.gws_ticket = 0;
  wave.lds = memory_ + std::size_t{wave_bytes_} * slots.size();
  wave.lds_size = lds_bytes_;
  wave.wave_in_group = number;
  wave.shared_aperture_hi = dispatch.shared_aperture_hi;
  wave.private_aperture_hi = dispatch.private_aperture_hi;
  wave.tba = dispatch.tba;
  wave.tma = dispatch.tma;
  wave.hw_id = hw_id | (number & 0xfu) | number % 4 << 4;  // WAVE_ID, SIMD_ID
  wave.in_trap = false;
  wave.trap_status = 0;
  wave.exit = Exit::None;
  wave.scratch_base = dispatch.scratch_base + std::uint64_t{scratch_slot} * dispatch.scratch_wave_bytes;
  wave.scratch_lane_bytes = dispatch.scratch_wave_bytes / kLanes;
  std::memcpy(wave.row(0), items_.data() + std::size_t{number} * kLanes, kRowBytes);
}

// User SGPRs, then what RSRC2 enables, in this order.
void Workgroup::start_scalars(Wave& wave, const Dispatch& dispatch, const Shape& shape,
                              const std::array<std::uint32_t, 3>& id) const {
  std::copy_n(dispatch.user_sgpr.begin(), shape.user_sgprs, wave.sgpr.begin());
  std::uint32_t next_sgpr = shape.user_sgprs;
  const auto append = [&](std::uint32_t enable, std::uint32_t value) {
    if ((dispatch.rsrc2 & enable) != 0) {
      wave.sgpr[next_sgpr++] = value;
    }
  };
  append(kGroupIdX, id[0] + dispatch.first_workgroup[0]);
  append(kGroupIdY, id[1] + dispatch.first_workgroup[1]);
  append(kGroupIdZ, id[2] + dispatch.first_workgroup[2]);
  append(kGroupInfo, waves_alive | (wave.wave_in_group == 0 ? 1u << 31 : 0));
  append(kScratchEnable, static_cast<std::uint32_t>(wave.scratch_base - dispatch.scratch_base));
}

}  // namespace kfdlab::engine
