// SPDX-License-Identifier: MIT
// Between the engine and the GPU around it: EngineLink turns what waves report into IH entries; EngineParts is how a GPU
// gets its engine (tests give it another one); NoEngine stands where there is none and refuses every kernel.
#pragma once

#include <memory>
#include <string>

#include "device/cp/queue_reports.h"
#include "device/cp/vmid_table.h"
#include "device/engine/dispatch.h"

namespace kfdlab::device {

class EngineLink final : public engine::EngineHost {
 public:
  // Borrows both.
  EngineLink(QueueReports& reports, const VmidTable& vmids) : reports_(reports), vmids_(vmids) {}

  void retry_fault(engine::QueueId, const MemoryFault& fault) override { reports_.fault(fault, true); }
  bool send_interrupt(engine::QueueId queue, std::uint32_t m0) override {
    const std::uint32_t vmid = vmids_.vmid_of_queue(queue);
    return vmid == 0 || reports_.wave_message(vmid, m0);  // of a queue that is gone: to nobody
  }

 private:
  QueueReports& reports_;
  const VmidTable& vmids_;
};

class NoEngine final : public engine::Engine {
 public:
  engine::DispatchId launch(const engine::Dispatch&, Completion done) override {
    engine::Outcome outcome;
    outcome.verdict = engine::Verdict::Refused;
    outcome.name = "this device has no engine";
    done(outcome);
    return 0;
  }
  void quiesce_queue(engine::QueueId) override {}
  void resume_queue(engine::QueueId) override {}
  void quiesce_vmid(std::uint32_t) override {}
  void resume_vmid(std::uint32_t) override {}
  void kill_queue(engine::QueueId) override {}
  void kill_vmid(std::uint32_t) override {}
  void retry_vmid(std::uint32_t) override {}
  void invalidate_code(std::uint32_t) override {}
  [[nodiscard]] Counters counters() const override { return {}; }
  [[nodiscard]] bool idle() const override { return true; }
};

struct EngineParts {
  // Null: this host cannot have one.
  std::unique_ptr<engine::Engine> (*create)(engine::EngineHost& host, const engine::EngineMemory& memory,
                                            const engine::EngineOptions& options);
  // engine::prepare_aql()
  std::string (*prepare_aql)(const engine::AqlLaunch& launch, engine::Dispatch& out, std::uint32_t& lane_bytes);
};

// NoEngine.
[[nodiscard]] EngineParts no_engine();

}  // namespace kfdlab::device
