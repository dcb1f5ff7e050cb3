// SPDX-License-Identifier: MIT
// RingThread serves one ring: it sleeps on the ring's kick while there is nothing to do, and keeps the awake
// promise of hw/regs.h while it runs. What an entry means is the RingProcessor's business.
#pragma once

#include <atomic>
#include <thread>

#include "common/result.h"
#include "device/host/transport.h"

namespace kfdlab::device {

class RingProcessor {
 public:
  RingProcessor() = default;
  RingProcessor(const RingProcessor&) = delete;
  RingProcessor& operator=(const RingProcessor&) = delete;
  virtual ~RingProcessor() = default;

  // Publishes whether this thread will look at the write pointer again before it sleeps. Sequentially consistent
  // with the loads of has_work(), as the driver's store of the pointer is with its load of this word.
  virtual void set_awake(bool awake) = 0;
  // Whether the ring is to be served and has entries. Reads shared memory.
  [[nodiscard]] virtual bool has_work() = 0;
  // Consumes what was in the ring when it was called, or up to the entry that stops the ring, or until `stop`.
  virtual void process(const std::atomic<bool>& stop) = 0;
};

class RingThread {
 public:
  // Borrows both; they outlive the thread.
  RingThread(Transport& transport, unsigned kick, RingProcessor& processor)
      : transport_(transport), kick_(kick), processor_(processor) {}
  RingThread(const RingThread&) = delete;
  RingThread& operator=(const RingThread&) = delete;
  ~RingThread() { join(); }

  // `name` shows in top and gdb, at most 15 characters.
  [[nodiscard]] Status start(const char* name);
  // Ends after the entry at hand, once the transport's waiters are interrupted.
  void request_stop() { stop_.store(true, std::memory_order_relaxed); }
  void join();

 private:
  void run();

  Transport& transport_;
  const unsigned kick_;
  RingProcessor& processor_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace kfdlab::device
