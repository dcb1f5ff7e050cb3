// SPDX-License-Identifier: MIT
// Pm4Processor: executes PM4 packets (hw/pm4.h) that its owner took from a ring, and the packets of an indirect buffer
// by itself. It keeps the COMPUTE_* registers. Like a queue it never blocks: a packet that cannot be done now is
// executed again later, from its beginning.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "device/cp/queue_memory.h"
#include "device/engine/dispatch.h"
#include "hw/pm4.h"

namespace kfdlab::device {

class Pm4Processor {
 public:
  // What packets ask of the queue they are in.
  class Owner {
   public:
    virtual void pm4_launch(const engine::Dispatch& dispatch) = 0;
    // Whether kernels launched before are still running.
    [[nodiscard]] virtual bool pm4_busy() const = 0;
    virtual void pm4_interrupt(std::uint32_t context) = 0;
    virtual void pm4_invalidate_code() = 0;

   protected:
    ~Owner() = default;
  };

  enum class Outcome : std::uint8_t {
    Complete,
    Waiting,  // for memory
    Busy,     // for kernels
    Fault,
    Bad,  // no such packet
    BadDispatch,
  };

  // Borrows both.
  Pm4Processor(QueueMemory& memory, Owner& owner) : memory_(memory), owner_(owner) {}
  Pm4Processor(const Pm4Processor&) = delete;
  Pm4Processor& operator=(const Pm4Processor&) = delete;

  // Dwords of the packet that begins with `header`, 1 to 0x4001; 0: not a packet.
  [[nodiscard]] static std::uint32_t packet_dwords(std::uint32_t header);

  // Executes one packet, all of it. INDIRECT_BUFFER only begins: the caller steps until in_ib() is false.
  [[nodiscard]] Outcome execute(std::span<const std::uint32_t> packet);

  // `va` a multiple of 4; an empty buffer is done at once.
  void begin_ib(std::uint64_t va, std::uint32_t dwords);
  [[nodiscard]] bool in_ib() const { return ib_.has_value(); }
  // Executes one packet of the buffer.
  [[nodiscard]] Outcome step_ib();

 private:
  struct Ib {
    std::uint64_t va = 0;
    std::uint32_t dwords = 0;
    std::uint32_t position = 0;
  };
  using Packet = std::span<const std::uint32_t>;

  [[nodiscard]] Outcome dispatch_direct(Packet packet);
  [[nodiscard]] Outcome write_data(Packet packet);
  [[nodiscard]] Outcome wait_reg_mem(Packet packet);
  [[nodiscard]] Outcome indirect_buffer(Packet packet);
  [[nodiscard]] Outcome release_mem(Packet packet);
  [[nodiscard]] Outcome set_sh_reg(Packet packet);
  [[nodiscard]] std::uint64_t register_pair(unsigned low) const {
    return std::uint64_t{registers_[low + 1]} << 32 | registers_[low];
  }

  QueueMemory& memory_;
  Owner& owner_;
  std::array<std::uint32_t, PM4_SH_REG_COUNT> registers_{};
  std::optional<Ib> ib_;
  std::vector<std::uint32_t> buffer_;  // the packet of the IB at hand
};

}  // namespace kfdlab::device
