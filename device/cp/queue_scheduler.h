// SPDX-License-Identifier: MIT
// QueueScheduler: the thread that serves all user queues of one GPU in turn, higher priorities first, a bounded piece of
// each at a time. It sleeps when there is nothing to do (doorbell_watch.h) and obeys the control thread between two
// pieces. A second thread only listens for KFDLAB_KICK_QUEUE.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/result.h"
#include "device/cp/doorbell_watch.h"
#include "device/cp/queue_inbox.h"
#include "device/cp/user_queue.h"
#include "device/host/transport.h"

namespace kfdlab::device {

class QueueScheduler {
 public:
  // Borrows all. `thread` will belong to the scheduler's thread.
  QueueScheduler(const Bar& bar, const PhysicalMap& map, const AddressSpaces& spaces, const PageWalker& walker,
                 EpochDomain::Participant& thread, const VmidTable& vmids, QueueReports& reports,
                 engine::Engine& engine, const EngineParts& parts, QueueInbox& inbox, Transport& transport)
      : bar_(bar),
        memory_(spaces, walker, thread),
        inbox_(inbox),
        transport_(transport),
        context_{.bar = bar,
                 .map = map,
                 .memory = memory_,
                 .vmids = vmids,
                 .reports = reports,
                 .work = work_,
                 .engine = engine,
                 .parts = parts,
                 .inbox = inbox},
        watch_(bar, transport) {}
  QueueScheduler(const QueueScheduler&) = delete;
  QueueScheduler& operator=(const QueueScheduler&) = delete;
  ~QueueScheduler() { join(); }

  [[nodiscard]] Status start(const std::string& name);
  // Ends once the transport's waiters are interrupted, too.
  void request_stop();
  void join();

  // For requests in the inbox: only on the scheduler's thread, between two pieces of work.
  // False: the number is taken.
  bool add(const QueueDescriptor& queue);
  void remove(std::uint32_t number);
  [[nodiscard]] UserQueue* find(std::uint32_t number);
  [[nodiscard]] const std::vector<std::unique_ptr<UserQueue>>& queues() const { return queues_; }
  void sort_by_priority();

 private:
  using Clock = QueueInbox::Clock;
  struct Look {
    bool progress = false;
    bool waiting = false;
  };

  void run();
  void listen();
  void deliver();
  [[nodiscard]] Look look_at_all();
  void pause(const Look& look);
  void publish();

  const Bar& bar_;
  QueueMemory memory_;
  QueueInbox& inbox_;
  Transport& transport_;
  QueueWork work_;
  QueueContext context_;
  DoorbellWatch watch_;
  std::vector<std::unique_ptr<UserQueue>> queues_;  // highest priority first
  std::vector<FinishedDispatch> finished_;
  std::uint64_t next_serial_ = 1;
  std::uint64_t wakeups_ = 0;
  std::atomic<bool> stop_{false};
  std::thread thread_;
  std::thread listener_;
};

}  // namespace kfdlab::device
