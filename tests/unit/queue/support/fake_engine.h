// SPDX-License-Identifier: MIT
// FakeEngine: takes kernels and ends them when the test says so. What it was asked to do is counted.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "device/cp/engine_link.h"
#include "device/engine/dispatch.h"

namespace kfdlab::device {

class FakeEngine final : public engine::Engine {
 public:
  // A GPU made with these has a FakeEngine, which current() is until the GPU's end.
  [[nodiscard]] static EngineParts parts();
  [[nodiscard]] static FakeEngine& current();
  ~FakeEngine() override;

  // Kernels launched so far, also those that have ended.
  [[nodiscard]] std::size_t launched() const;
  [[nodiscard]] engine::Dispatch dispatch(std::size_t index) const;
  // Ends kernel `index`; it must be running.
  void finish(std::size_t index, const engine::Outcome& outcome);
  void finish(std::size_t index) { finish(index, done()); }
  [[nodiscard]] bool running(std::size_t index) const;
  [[nodiscard]] static engine::Outcome done() {
    engine::Outcome outcome;
    outcome.start_ns = 1000;
    outcome.end_ns = 5000;
    return outcome;
  }
  [[nodiscard]] static engine::Outcome failed(engine::Verdict verdict);

  // How deep a queue is quiesced.
  [[nodiscard]] int quiesced(engine::QueueId queue) const;
  [[nodiscard]] unsigned code_invalidations() const;
  [[nodiscard]] unsigned retries() const;

  engine::DispatchId launch(const engine::Dispatch& dispatch, Completion done) override;
  void quiesce_queue(engine::QueueId queue) override;
  void resume_queue(engine::QueueId queue) override;
  void quiesce_vmid(std::uint32_t) override {}
  void resume_vmid(std::uint32_t) override {}
  void kill_queue(engine::QueueId queue) override;
  void kill_vmid(std::uint32_t) override {}
  void retry_vmid(std::uint32_t) override;
  void invalidate_code(std::uint32_t) override;
  [[nodiscard]] Counters counters() const override { return {}; }
  [[nodiscard]] bool idle() const override { return false; }

  // For AqlQueue: the entry is the kernel object, the scratch what the packet asks for; a kernel object of
  // kBadObject is refused.
  static constexpr std::uint64_t kBadObject = 0xbad;
  [[nodiscard]] static std::string prepare_aql(const engine::AqlLaunch& launch, engine::Dispatch& out,
                                               std::uint32_t& lane_bytes);

 private:
  struct Kernel {
    engine::Dispatch dispatch;
    Completion done;  // empty once called
  };
  mutable std::mutex mutex_;
  std::vector<Kernel> kernels_;
  std::map<engine::QueueId, int> quiesced_;
  unsigned code_invalidations_ = 0;
  unsigned retries_ = 0;
};

}  // namespace kfdlab::device
