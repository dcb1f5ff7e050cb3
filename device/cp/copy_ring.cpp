// SPDX-License-Identifier: MIT
#include "device/cp/copy_ring.h"

#include <algorithm>
#include <optional>

#include "device/host/shared_word.h"
#include "device/log.h"

namespace kfdlab::device {
namespace {

constexpr std::uint64_t kDword = sizeof(std::uint32_t);

const char* describe(kfdlab_ring_error error) {
  switch (error) {
    case KFDLAB_RING_OK:
      return "no error";
    case KFDLAB_RING_BAD_OPCODE:
      return "unknown or unsupported";
    case KFDLAB_RING_BAD_ADDRESS:
      return "address outside RAM and VRAM";
    case KFDLAB_RING_BAD_LENGTH:
      return "length beyond a limit or the write pointer";
    case KFDLAB_RING_BAD_POINTER:
      return "misaligned or not within a ring of the read pointer";
  }
  return "?";
}

}  // namespace

void CopyRing::set_awake(bool awake) { store_seq_cst(bar_.device_regs().copy_awake, awake ? 1u : 0u); }

bool CopyRing::has_work() {
  kfdlab_driver_regs& driver = bar_.driver_regs();
  return !stopped_ && load_seq_cst(driver.generation) == generation_ && load_seq_cst(driver.copy_wptr) != rptr_;
}

void CopyRing::process(const std::atomic<bool>& stop_requested) {
  thread_.enter();
  const std::uint64_t wptr = load_acquire(bar_.driver_regs().copy_wptr);
  // The difference is huge for a pointer that went back.
  kfdlab_ring_error error =
      wptr % kDword != 0 || wptr - rptr_ > KFDLAB_COPY_RING_SIZE ? KFDLAB_RING_BAD_POINTER : KFDLAB_RING_OK;
  while (error == KFDLAB_RING_OK && rptr_ != wptr && !stop_requested.load(std::memory_order_relaxed)) {
    error = step(wptr);
    thread_.pass();
  }
  thread_.leave();
  if (error != KFDLAB_RING_OK) {
    stop(error);
  }
}

kfdlab_ring_error CopyRing::step(std::uint64_t wptr) {
  const std::uint32_t header = load_relaxed(bar_.copy_ring_dword(rptr_));
  const std::optional<std::uint32_t> bytes = SdmaProcessor::packet_bytes(header);
  if (!bytes) {
    return KFDLAB_RING_BAD_OPCODE;
  }
  if (*bytes > wptr - rptr_) {
    return KFDLAB_RING_BAD_LENGTH;
  }
  const kfdlab_ring_error error = sdma_.execute(gather(header, *bytes));
  if (error != KFDLAB_RING_OK) {
    return error;
  }
  rptr_ += *bytes;
  ++packets_;
  publish();
  return KFDLAB_RING_OK;
}

SdmaPacket CopyRing::gather(std::uint32_t header, std::uint64_t bytes) const {
  // The header is the one that was judged, not a second reading of it.
  SdmaPacket packet = {header};
  const std::uint64_t dwords = std::min<std::uint64_t>(bytes / kDword, packet.size());
  for (std::uint64_t i = 1; i < dwords; ++i) {
    packet[i] = load_relaxed(bar_.copy_ring_dword(rptr_ + i * kDword));
  }
  return packet;
}

void CopyRing::publish() {
  kfdlab_device_regs& regs = bar_.device_regs();
  const SdmaWork& work = sdma_.work();
  store_relaxed(regs.copy_bytes, work.copy_bytes);
  store_relaxed(regs.fill_bytes, work.fill_bytes);
  store_relaxed(regs.copy_packets, packets_);
  store_release(regs.copy_rptr, rptr_);
}

void CopyRing::stop(kfdlab_ring_error error) {
  const char* packet = "write pointer";
  if (error != KFDLAB_RING_BAD_POINTER) {
    packet = SdmaProcessor::packet_name(load_relaxed(bar_.copy_ring_dword(rptr_)));
  }
  log_guest("cp", "gpu {}: copy ring at byte {:#x}: {}: {}, the ring stops", bar_.gpu_index(), rptr_, packet,
            describe(error));
  stopped_ = true;
  store_release(bar_.device_regs().copy_error, static_cast<std::uint32_t>(error));
  // Whoever waits for a trap looks at copy_error when this vector comes.
  transport_.raise_irq(KFDLAB_IRQ_IH);
}

}  // namespace kfdlab::device
