// SPDX-License-Identifier: MIT
#include "device/cp/control_ring.h"

#include <iterator>

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
    const kfdlab_control_entry entry = read_entry(done_);
    if (entry.op == KFDLAB_CONTROL_TLB_INVALIDATE) {
      invalidate(entry, wptr);
      continue;
    }
    const kfdlab_ring_error error = operations_.execute(entry);
    if (stop_requested.load(std::memory_order_relaxed)) {
      return;  // other threads are ending, so that an operation may have been left undone: it does not complete
    }
    if (error != KFDLAB_RING_OK) {
      log_guest("cp", "gpu {}: control entry {}: operation {:#x} cannot be done (error {}), the ring stops",
                bar_.gpu_index(), done_, entry.op, static_cast<unsigned>(error));
      return stop(error);
    }
    complete(1);
  }
}

kfdlab_control_entry ControlRing::read_entry(std::uint64_t index) const {
  kfdlab_control_entry& slot = bar_.control_entry(index);
  kfdlab_control_entry entry = {};
  entry.op = load_relaxed(slot.op);
  entry.vmid = load_relaxed(slot.vmid);
  for (std::size_t i = 0; i < std::size(entry.args); ++i) {
    entry.args[i] = load_relaxed(slot.args[i]);
  }
  return entry;
}

void ControlRing::invalidate(const kfdlab_control_entry& first, std::uint64_t wptr) {
  batch_.clear();
  kfdlab_control_entry entry = first;
  do {
    batch_.push_back({.vmid = entry.vmid, .first_page = entry.args[0], .pages = entry.args[1]});
    if (done_ + batch_.size() == wptr) {
      break;
    }
    entry = read_entry(done_ + batch_.size());
  } while (entry.op == KFDLAB_CONTROL_TLB_INVALIDATE);
  operations_.invalidate(batch_);
  invalidations_ += batch_.size();
  store_relaxed(bar_.device_regs().tlb_invalidations, invalidations_);
  complete(batch_.size());
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
