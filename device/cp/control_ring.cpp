// SPDX-License-Identifier: MIT
#include "device/cp/control_ring.h"

#include "device/host/shared_word.h"
#include "device/log.h"

namespace kfdlab::device {
namespace {
constexpr std::uint64_t kEntries = KFDLAB_CONTROL_RING_SIZE / sizeof(kfdlab_control_entry);
}

void ControlRing::set_awake(bool awake) { store_seq_cst(bar_.device_regs().control_awake, awake ? 1u : 0u); }

bool ControlRing::has_work() {
  kfdlab_driver_regs& driver = bar_.driver_regs();
  return !stopped_ && load_seq_cst(driver.generation) == generation_ && load_seq_cst(driver.control_wptr) != done_;
}

void ControlRing::process(const std::atomic<bool>& stop_requested) {
  const std::uint64_t wptr = load_acquire(bar_.driver_regs().control_wptr);
  if (wptr - done_ > kEntries) {  // also a pointer that went back
    return stop(KFDLAB_RING_BAD_POINTER);
  }
  while (done_ != wptr && !stop_requested.load(std::memory_order_relaxed)) {
    switch (const std::uint32_t op = load_relaxed(bar_.control_entry(done_).op); op) {
      case KFDLAB_CONTROL_NOP:
        complete(1);
        break;
      case KFDLAB_CONTROL_TLB_INVALIDATE:
        invalidate(1 + count_invalidations(done_ + 1, wptr));
        break;
      default:
        log_guest("cp", "gpu {}: control entry {}: unknown opcode {:#x}, the ring stops", bar_.gpu_index(), done_, op);
        return stop(KFDLAB_RING_BAD_OPCODE);
    }
  }
}

std::uint64_t ControlRing::count_invalidations(std::uint64_t from, std::uint64_t end) const {
  std::uint64_t index = from;
  while (index != end && load_relaxed(bar_.control_entry(index).op) == KFDLAB_CONTROL_TLB_INVALIDATE) {
    ++index;
  }
  return index - from;
}

void ControlRing::invalidate(std::uint64_t entries) {
  epochs_.synchronize();
  invalidations_ += entries;
  store_relaxed(bar_.device_regs().tlb_invalidations, invalidations_);
  complete(entries);
}

void ControlRing::complete(std::uint64_t entries) {
  done_ += entries;
  store_release(bar_.device_regs().control_done, done_);
  transport_.raise_irq(KFDLAB_IRQ_CONTROL);
}

void ControlRing::stop(kfdlab_ring_error error) {
  if (error == KFDLAB_RING_BAD_POINTER) {
    log_guest("cp", "gpu {}: control_wptr is not within a ring of control_done {}, the ring stops", bar_.gpu_index(),
              done_);
  }
  stopped_ = true;
  store_release(bar_.device_regs().control_error, static_cast<std::uint32_t>(error));
  transport_.raise_irq(KFDLAB_IRQ_CONTROL);
}

}  // namespace kfdlab::device
