// SPDX-License-Identifier: MIT
#include "device/gpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "device/host/shared_word.h"
#include "device/log.h"

namespace kfdlab::device {
namespace {

// Everything but the state word, which keeps saying what the launcher wrote until the rest is in order.
void reset_device_page(kfdlab_device_regs& regs) {
  store_relaxed<std::uint64_t>(regs.control_done, 0);
  store_relaxed<std::uint32_t>(regs.control_awake, 0);
  store_relaxed<std::uint32_t>(regs.control_error, KFDLAB_RING_OK);
  store_relaxed<std::uint64_t>(regs.copy_rptr, 0);
  store_relaxed<std::uint32_t>(regs.copy_awake, 0);
  store_relaxed<std::uint32_t>(regs.copy_error, KFDLAB_RING_OK);
  store_relaxed<std::uint32_t>(regs.copy_fence, 0);
  store_relaxed<std::uint32_t>(regs.reserved0, 0);
  store_relaxed<std::uint64_t>(regs.ih_wptr, 0);
  store_relaxed<std::uint64_t>(regs.ih_dropped, 0);
  store_relaxed<std::uint64_t>(regs.copy_bytes, 0);
  store_relaxed<std::uint64_t>(regs.fill_bytes, 0);
  store_relaxed<std::uint64_t>(regs.copy_packets, 0);
  store_relaxed<std::uint64_t>(regs.tlb_invalidations, 0);
  store_relaxed<std::uint32_t>(regs.queue_idle, 0);
  store_relaxed<std::uint32_t>(regs.reserved1, 0);
  store_relaxed<std::uint64_t>(regs.clock_counter, 0);
  store_relaxed<std::uint64_t>(regs.queue_packets, 0);
  store_relaxed<std::uint64_t>(regs.queue_dispatches, 0);
  store_relaxed<std::uint64_t>(regs.queue_copy_bytes, 0);
  store_relaxed<std::uint64_t>(regs.queue_faults, 0);
  store_relaxed<std::uint64_t>(regs.queue_wakeups, 0);
}

// A host without the instruction sets that the engine is built for still has a GPU for everything but kernels.
std::unique_ptr<engine::Engine> make_engine(const EngineParts& parts, const Bar& bar, engine::EngineHost& host,
                                            const engine::EngineMemory& memory) {
  engine::EngineOptions options;
  constexpr unsigned kMostComputeUnits = 128;
  options.compute_units = std::clamp(bar.compute_units(), 1u, kMostComputeUnits);
  std::unique_ptr<engine::Engine> engine = parts.create(host, memory, options);
  return engine != nullptr ? std::move(engine) : std::make_unique<NoEngine>();
}

}  // namespace

Gpu::Gpu(const Bar& bar, const PhysicalMap& map, Transport& transport, std::uint32_t generation,
         const EngineParts& engine)
    : bar_(bar),
      transport_(transport),
      generation_(generation),
      engine_parts_(engine),
      copy_participant_(epochs_.add_participant()),
      queue_participant_(epochs_.add_participant()),
      ih_(bar, transport),
      walker_(map, bar),
      reports_(bar, ih_, vmids_),
      engine_link_(reports_, vmids_),
      engine_(make_engine(engine, bar, engine_link_, {.spaces = spaces_, .walker = walker_, .epochs = epochs_})),
      scheduler_(bar, map, spaces_, walker_, queue_participant_, vmids_, reports_, *engine_, engine_parts_, inbox_,
                 transport),
      queue_control_(bar, map, spaces_, epochs_, vmids_, *engine_, inbox_, scheduler_),
      sdma_(bar, map, ih_, copy_participant_),
      control_ring_(bar, generation, queue_control_, transport),
      copy_ring_(bar, generation, sdma_, copy_participant_, transport),
      control_thread_(transport, KFDLAB_KICK_CONTROL, control_ring_),
      copy_thread_(transport, KFDLAB_KICK_COPY, copy_ring_) {}

Status Gpu::start() {
  reset_device_page(bar_.device_regs());
  KFDLAB_TRY(control_thread_.start(fmt::format("gpu{}-control", bar_.gpu_index()).c_str()));
  KFDLAB_TRY(copy_thread_.start(fmt::format("gpu{}-copy", bar_.gpu_index()).c_str()));
  KFDLAB_TRY(scheduler_.start(fmt::format("gpu{}-", bar_.gpu_index())));
  store_release(bar_.device_regs().state, kfdlab_state_word(generation_, KFDLAB_STATE_READY));
  transport_.raise_irq(KFDLAB_IRQ_STATE);
  log_info("gpu", "gpu {}: generation {} is ready, {} MiB of VRAM", bar_.gpu_index(), generation_,
           bar_.vram().size() >> 20);
  return ok_status();
}

void Gpu::stop() {
  control_thread_.request_stop();
  copy_thread_.request_stop();
  scheduler_.request_stop();
  transport_.interrupt_waiters();
  control_thread_.join();
  copy_thread_.join();
  scheduler_.join();
}

}  // namespace kfdlab::device
