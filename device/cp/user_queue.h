// SPDX-License-Identifier: MIT
// UserQueue: what AQL, PM4 and SDMA queues have in common: a ring in a process's memory, a doorbell, being stopped
// by an error or by the driver, faults that are retried or end the queue, kernels in flight.
//
// A queue never blocks. advance() does a bounded piece of work (one packet, or 64 KiB of one) between two safe points
// and says how it went; whatever cannot be done now leaves the queue in a state from which the same advance() goes on.
// All of it belongs to the one thread of the QueueScheduler.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "device/cp/engine_link.h"
#include "device/cp/queue_descriptor.h"
#include "device/cp/queue_inbox.h"
#include "device/cp/queue_memory.h"
#include "device/cp/queue_reports.h"
#include "device/cp/vmid_table.h"
#include "device/engine/dispatch.h"

namespace kfdlab::device {

// Totals of all user queues since the generation began.
struct QueueWork {
  std::uint64_t packets = 0;
  std::uint64_t dispatches = 0;
  std::uint64_t copy_bytes = 0;
};

// What every queue of a GPU works with; borrowed.
struct QueueContext {
  const Bar& bar;
  const PhysicalMap& map;
  QueueMemory& memory;
  const VmidTable& vmids;
  QueueReports& reports;
  QueueWork& work;
  engine::Engine& engine;
  const EngineParts& parts;
  QueueInbox& inbox;  // takes news of kernels from engine threads to deliver()
};

class UserQueue {
 public:
  using Clock = std::chrono::steady_clock;

  // How a piece of work went.
  enum class Act : std::uint8_t {
    Progress,  // something was done; there may be more
    Idle,      // nothing to do before a doorbell, a finished kernel or the driver
    Waiting,   // for memory that somebody changes without telling us: look again
    Fault,     // an access failed: context().memory.fault()
    Stopped,   // stop() was called
  };

  [[nodiscard]] static std::unique_ptr<UserQueue> create(const QueueDescriptor& queue, QueueContext& context,
                                                         std::uint64_t serial);
  UserQueue(const UserQueue&) = delete;
  UserQueue& operator=(const UserQueue&) = delete;
  virtual ~UserQueue() = default;

  // One piece of work, unless the queue is stopped, quiesced or waits for a fault's next try. Never returns Fault.
  [[nodiscard]] Act step(Clock::time_point now);
  // A kernel of this queue has ended: the next step() that does anything looks at it.
  void deliver(FinishedDispatch finished) { news_.push_back(std::move(finished)); }
  // Ring, size, priority, CU mask and GWS of a new MQD; the rest stays.
  void update(const QueueDescriptor& queue);
  void set_quiesced(bool quiesced) { quiesced_ = quiesced; }

  [[nodiscard]] const QueueDescriptor& descriptor() const { return queue_; }
  [[nodiscard]] std::uint64_t serial() const { return serial_; }
  [[nodiscard]] bool quiesced() const { return quiesced_; }
  [[nodiscard]] kfdlab_queue_error error() const { return error_; }
  // The first packet that is not complete, in the type's unit.
  [[nodiscard]] virtual std::uint64_t rptr() const = 0;

 protected:
  UserQueue(const QueueDescriptor& queue, QueueContext& context, std::uint64_t serial)
      : queue_(queue), context_(context), serial_(serial) {}

  [[nodiscard]] virtual Act advance() = 0;
  // A kernel that launch() was called for has ended.
  virtual void finished(const FinishedDispatch& dispatch) = 0;
  // Who reports this queue's errors, IH_CLIENT_*.
  [[nodiscard]] virtual std::uint32_t client() const = 0;
  // The queue is stopping for `error`: the type's own way to tell user space.
  virtual void tell_user(kfdlab_queue_error, std::uint64_t) {}

  // Ends the queue for good; `detail` goes into the IH entry.
  Act stop(kfdlab_queue_error error, std::uint64_t detail);
  // Hands a kernel to the engine; finished() comes with `tag`, in a later step.
  void launch(engine::Dispatch dispatch, std::uint64_t tag);
  // What finished() does with an outcome that is not Done: the queue stops. False for Done.
  bool failed(const engine::Outcome& outcome);

  [[nodiscard]] QueueContext& context() { return context_; }
  [[nodiscard]] QueueMemory& memory() { return context_.memory; }
  [[nodiscard]] VmidConfig vmid_config() const { return context_.vmids.get(queue_.vmid); }
  // What to do when the write pointer cannot be read: with XNACK the driver is asked for its page; without, it is no
  // news, as long as nothing else says that there are packets.
  [[nodiscard]] Act unreadable_pointer() const { return vmid_config().retry ? Act::Fault : Act::Idle; }
  // The doorbell's word as user space left it.
  [[nodiscard]] std::uint64_t doorbell() const;

 private:
  [[nodiscard]] Act handle_fault(Clock::time_point now);

  QueueDescriptor queue_;
  QueueContext& context_;
  std::vector<FinishedDispatch> news_;
  const std::uint64_t serial_;
  kfdlab_queue_error error_ = KFDLAB_QUEUE_OK;
  bool quiesced_ = false;
  // While a fault is retried: not before this time unless there was an invalidation since.
  bool faulting_ = false;
  Clock::time_point next_try_{};
  Clock::duration retry_interval_{};
  std::uint64_t fault_sequence_ = 0;
};

}  // namespace kfdlab::device
