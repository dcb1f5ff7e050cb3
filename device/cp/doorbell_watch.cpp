// SPDX-License-Identifier: MIT
#include "device/cp/doorbell_watch.h"

#include <algorithm>

#include "device/host/shared_word.h"

namespace kfdlab::device {
namespace {

// The longer nothing comes, the later the next look.
DoorbellWatch::Clock::duration growing(DoorbellWatch::Clock::duration quiet_for, DoorbellWatch::Clock::duration longest) {
  return std::clamp<DoorbellWatch::Clock::duration>(quiet_for / 8, DoorbellWatch::kShortest, longest);
}

}  // namespace

void DoorbellWatch::active(Clock::time_point now) {
  since_ = now;
  armed_ = false;
  if (announced_) {
    announced_ = false;
    store_seq_cst(bar_.device_regs().queue_idle, 0u);
  }
}

std::optional<DoorbellWatch::Clock::duration> DoorbellWatch::quiet(Clock::time_point now) {
  const Clock::duration quiet_for = now - since_;
  if (!announced_) {
    if (quiet_for < kIdleAfter) {
      return growing(quiet_for, kLongest);
    }
    announce();
    return kLongest;
  }
  if (load_seq_cst(bar_.driver_regs().queue_armed) != last_number_) {
    armed_ = false;
    return quiet_for < kPatience ? kLongest : kUnarmed;
  }
  if (!armed_) {
    armed_ = true;  // whatever was written before the mappings went is there for the look that begins now
    return Clock::duration::zero();
  }
  return std::nullopt;
}

DoorbellWatch::Clock::duration DoorbellWatch::waiting(Clock::time_point now) {
  constexpr std::chrono::microseconds kLongestWhileFresh{200};
  const Clock::duration quiet_for = now - since_;
  return growing(quiet_for, quiet_for < kPatience ? kLongestWhileFresh : kUnarmed);
}

void DoorbellWatch::announce() {
  if (++last_number_ == 0) {
    ++last_number_;
  }
  announced_ = true;
  armed_ = false;
  store_seq_cst(bar_.device_regs().queue_idle, last_number_);
  transport_.raise_irq(KFDLAB_IRQ_QUEUE_IDLE);
}

}  // namespace kfdlab::device
