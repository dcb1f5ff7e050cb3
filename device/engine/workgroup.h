// SPDX-License-Identifier: MIT
// Workgroup: waves that share LDS and barriers, with the memory of their registers. It is run by one engine thread
// from start to end. Shape: what a Dispatch means for each of its workgroups, checked once.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "device/engine/dispatch.h"
#include "device/engine/gws.h"
#include "device/engine/wave.h"

namespace kfdlab::engine {

struct Shape {
  std::uint32_t waves = 0;      // of a full workgroup
  std::uint32_t vgpr_rows = 0;  // of a wave
  std::uint32_t accum_offset = 0;
  std::uint32_t lds_bytes = 0;  // allocated: rounded up to the granule
  std::uint32_t mode = 0;
  std::uint32_t user_sgprs = 0;
  std::array<std::uint32_t, 3> groups{};  // grid size in workgroups
  std::uint64_t total_groups = 0;
  std::string refusal;  // not empty: the GPU cannot run this; it says why
};
[[nodiscard]] Shape shape_of(const Dispatch& dispatch);

enum class WaveState : std::uint8_t {
  Ready,
  Asleep,  // s_sleep: ready again in the next round
  Barrier,
  Parked,  // faulted; to be retried at `retry_at`, or when page tables changed
  Ended,
};

struct WaveSlot {
  Wave wave;
  WaveState state = WaveState::Ready;
  std::uint64_t retry_at = 0;         // ns
  std::uint64_t retry_interval = 0;   // ns; doubles
  std::uint64_t parked_sequence = 0;  // Pool::sequence() when it left
};

struct Workgroup {
  explicit Workgroup(const Shape& shape);  // which has no refusal
  Workgroup(const Workgroup&) = delete;
  Workgroup& operator=(const Workgroup&) = delete;
  ~Workgroup();

  // Puts every wave at the entry of the kernel. `index` < shape.total_groups; `first_scratch_slot`: of wave 0.
  // Registers keep what was in them unless `clear`.
  void start(const Dispatch& dispatch, const Shape& shape, std::uint64_t index, std::uint32_t first_scratch_slot,
             bool clear);

  QueueId queue = 0;
  std::uint32_t doorbell = 0;     // what MSG_GET_DOORBELL answers
  std::uint32_t waves_alive = 0;  // not ended
  std::uint32_t waves_at_barrier = 0;
  EngineHost* host = nullptr;   // null only in tests
  Gws* gws = nullptr;           // of the queue; null: none
  std::uint32_t hw_id = 0;      // HW_REG_HW_ID without the wave's own fields
  std::uint64_t index = 0;      // in the grid
  std::vector<WaveSlot> slots;  // as many as a full workgroup has waves

 private:
  void number_items(const std::array<std::uint32_t, 3>& size);
  void start_wave(Wave& wave, const Dispatch& dispatch, const Shape& shape, std::uint32_t number,
                  std::uint32_t scratch_slot);
  void start_scalars(Wave& wave, const Dispatch& dispatch, const Shape& shape,
                     const std::array<std::uint32_t, 3>& id) const;

  std::array<std::uint32_t, 3> numbered_{};  // size of the workgroup that items_ is for
  std::vector<std::uint32_t> items_;
  std::byte* memory_ = nullptr;  // VGPR rows of all waves, then LDS
  std::size_t bytes_ = 0;
  std::uint32_t wave_bytes_ = 0;
  std::uint32_t lds_bytes_ = 0;
};

}  // namespace kfdlab::engine
