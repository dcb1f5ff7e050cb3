// SPDX-License-Identifier: MIT
// AqlQueue: the AQL packet processor. Packets are launched in order; they complete in any order unless a barrier
// says otherwise, and are retired (header INVALID, read_dispatch_id) in order once complete, because until then a
// kernel may read its packet and the runtime looks for the packet that needs scratch at read_dispatch_id.
#pragma once

#include <array>
#include <cstdint>
#include <deque>

#include "device/cp/aql_signal.h"
#include "device/cp/pm4_processor.h"
#include "device/cp/user_queue.h"
#include "hw/aql.h"

namespace kfdlab::device {

class AqlQueue final : public UserQueue, private Pm4Processor::Owner {
 public:
  AqlQueue(const QueueDescriptor& queue, QueueContext& context, std::uint64_t serial)
      : UserQueue(queue, context, serial),
        processor_(context.memory, *this),
        read_index_(queue.rptr),
        next_index_(queue.rptr) {}

  [[nodiscard]] std::uint64_t rptr() const override { return read_index_; }

 protected:
  [[nodiscard]] Act advance() override;
  void finished(const FinishedDispatch& dispatch) override;
  [[nodiscard]] std::uint32_t client() const override { return IH_CLIENT_GRBM_CP; }
  void tell_user(kfdlab_queue_error error, std::uint64_t detail) override;

 private:
  using Packet = std::array<std::uint8_t, AQL_PACKET_BYTES>;
  struct InFlight {
    std::uint64_t signal = 0;
    std::uint64_t start_ts = 0;
    std::uint64_t end_ts = 0;
    bool ended = false;
    bool signalled = false;
  };
  // Launched and not retired; also bounded by the ring.
  static constexpr std::size_t kMaxInFlight = 256;

  void pm4_launch(const engine::Dispatch& dispatch) override;
  [[nodiscard]] bool pm4_busy() const override { return running_ != 0; }
  void pm4_interrupt(std::uint32_t context) override;
  void pm4_invalidate_code() override;

  [[nodiscard]] std::uint64_t packet_va(std::uint64_t index) const {
    return descriptor().ring + (index * AQL_PACKET_BYTES & (descriptor().ring_bytes - 1));
  }
  [[nodiscard]] std::uint64_t ring_packets() const { return descriptor().ring_bytes / AQL_PACKET_BYTES; }
  // Whether every packet launched so far is complete.
  [[nodiscard]] bool drained() const { return in_flight_.empty() && running_ == 0; }

  // Completion signals and retirement of what has ended. Progress if anything was done, Idle if nothing was to do.
  [[nodiscard]] Act complete();
  [[nodiscard]] Act retire();
  // Takes the packet at next_index_.
  [[nodiscard]] Act take();
  [[nodiscard]] Act take_packet(const Packet& packet);
  [[nodiscard]] Act kernel_dispatch(const Packet& packet);
  [[nodiscard]] Act barrier(const Packet& packet, bool all);
  [[nodiscard]] Act vendor(const Packet& packet);
  [[nodiscard]] Act barrier_value(const Packet& packet);
  [[nodiscard]] Act pm4_ib(const Packet& packet);
  // The packet at next_index_ is launched, or even complete.
  Act launched(std::uint64_t signal);
  Act ended_at_once(std::uint64_t signal);
  Act refuse(std::uint32_t inactive_code, kfdlab_queue_error error, std::uint64_t detail);

  // Scratch. Progress: there is enough for `lane_bytes` and a workgroup of `waves`, and `dispatch` says where.
  [[nodiscard]] Act provide_scratch(const aql_queue& queue, std::uint32_t lane_bytes, std::uint32_t waves,
                                    engine::Dispatch& dispatch);
  // Tells the runtime `code`, which is about scratch, and waits for its answer: Progress once that came. Nothing runs
  // meanwhile: the runtime frees the scratch there is and looks for the packet at read_dispatch_id.
  [[nodiscard]] Act ask_runtime(aql_inactive code);
  // amd_queue_t as it is now.
  [[nodiscard]] bool read_queue(aql_queue& queue, std::uint64_t& va);
  // Stores a code in queue_inactive_signal; false: fault.
  [[nodiscard]] bool set_inactive(std::int64_t code);

  Pm4Processor processor_;
  std::uint64_t read_index_;  // first packet not retired
  std::uint64_t next_index_;  // first packet not launched
  std::deque<InFlight> in_flight_;  // read_index_ to next_index_
  std::uint64_t running_ = 0;       // kernels in the engine
  std::uint32_t inactive_code_ = AQL_INACTIVE_PACKET_FORMAT;  // what tell_user() is to say
  bool executing_ib_ = false;
  bool asked_ = false;         // the runtime is to answer
  bool scratch_spent_ = false;  // what was to be used once was used; the runtime wants it back
  std::uint64_t scratch_answer_ = ~std::uint64_t{0};  // packet that the runtime gave scratch for
};

}  // namespace kfdlab::device
