// SPDX-License-Identifier: MIT
// UserSdmaQueue: executes the SDMA packets of a process (hw/sdma.h). Addresses are GPU VAs.
//
// The packet at the read pointer is read again with each piece of work and progress_ says how much of it is done: so
// a fault in its midst, being quiesced and being scheduled away are all the same thing. User space may rewrite a
// packet under way; that harms only its own memory.
#pragma once

#include <array>
#include <cstdint>

#include "device/cp/user_queue.h"
#include "hw/sdma.h"

namespace kfdlab::device {

class UserSdmaQueue final : public UserQueue {
 public:
  UserSdmaQueue(const QueueDescriptor& queue, QueueContext& context, std::uint64_t serial)
      : UserQueue(queue, context, serial), rptr_(queue.rptr) {}

  [[nodiscard]] std::uint64_t rptr() const override { return rptr_; }

 protected:
  [[nodiscard]] Act advance() override;
  void finished(const FinishedDispatch&) override {}  // launches none
  [[nodiscard]] std::uint32_t client() const override { return IH_CLIENT_SDMA0; }

 private:
  static constexpr std::size_t kMaxDwords = 13;
  using Packet = std::array<std::uint32_t, kMaxDwords>;  // those behind its end are 0
  // Progress: the packet is complete. Waiting: try again from the beginning or progress_. Unfinished, Fault, Stopped.
  enum class Outcome : std::uint8_t { Complete, Unfinished, Waiting, Fault, Stopped };
  using Handler = Outcome (UserSdmaQueue::*)(const Packet&);
  struct Row {
    std::uint32_t header;    // value outside the variable bits
    std::uint32_t variable;  // bits the handler or the length looks at
    std::uint32_t bytes;     // without what NOP and WRITE_LINEAR say they add
    Handler handler;
  };
  static const Row kRows[];
  [[nodiscard]] static const Row* find_row(std::uint32_t header);

  // The write pointer, judged. False: `act` says why there is none.
  [[nodiscard]] bool write_pointer(std::uint64_t& wptr, Act& act);
  [[nodiscard]] Act execute(std::uint64_t wptr);
  [[nodiscard]] Act report();
  [[nodiscard]] std::uint64_t ring_va(std::uint64_t offset) const {
    return descriptor().ring + (offset & (descriptor().ring_bytes - 1));
  }
  [[nodiscard]] bool gather(std::uint64_t bytes, Packet& packet);
  Outcome refuse(const Packet& packet);

  Outcome nop(const Packet& packet);
  Outcome copy_linear(const Packet& packet);
  Outcome copy_broadcast(const Packet& packet);
  Outcome copy_rect(const Packet& packet);
  Outcome write_linear(const Packet& packet);
  Outcome const_fill(const Packet& packet);
  Outcome fence(const Packet& packet);
  Outcome trap(const Packet& packet);
  Outcome poll_regmem(const Packet& packet);
  Outcome atomic(const Packet& packet);
  Outcome timestamp(const Packet& packet);

  // Copies up to `limit` bytes as far as both lie in one page; 0: a fault.
  [[nodiscard]] std::uint64_t copy_piece(std::uint64_t source, std::uint64_t destination, std::uint64_t limit);

  std::uint64_t rptr_;           // bytes
  std::uint64_t progress_ = 0;   // of the packet at rptr_, in the handler's unit
  bool report_pending_ = false;  // rptr_ was not yet stored where user space sees it
};

}  // namespace kfdlab::device
