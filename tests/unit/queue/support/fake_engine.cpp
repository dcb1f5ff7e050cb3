// SPDX-License-Identifier: MIT
#include "tests/unit/queue/support/fake_engine.h"

#include <cstring>
#include <utility>

#include "common/check.h"
#include "hw/aql.h"

namespace kfdlab::device {
namespace {
FakeEngine* newest = nullptr;
}

EngineParts FakeEngine::parts() {
  return {.create = [](engine::EngineHost&, const engine::EngineMemory&,
                       const engine::EngineOptions&) -> std::unique_ptr<engine::Engine> {
            auto made = std::make_unique<FakeEngine>();
            newest = made.get();
            return made;
          },
          .prepare_aql = &FakeEngine::prepare_aql};
}

FakeEngine& FakeEngine::current() {
  KFDLAB_CHECK(newest != nullptr);
  return *newest;
}

FakeEngine::~FakeEngine() {
  if (newest == this) {
    newest = nullptr;
  }
}

std::size_t FakeEngine::launched() const {
  const std::lock_guard lock(mutex_);
  return kernels_.size();
}

engine::Dispatch FakeEngine::dispatch(std::size_t index) const {
  const std::lock_guard lock(mutex_);
  return kernels_.at(index).dispatch;
}

bool FakeEngine::running(std::size_t index) const {
  const std::lock_guard lock(mutex_);
  return kernels_.at(index).done != nullptr;
}

void FakeEngine::finish(std::size_t index, const engine::Outcome& outcome) {
  Completion done;
  {
    const std::lock_guard lock(mutex_);
    done = std::exchange(kernels_.at(index).done, nullptr);
  }
  KFDLAB_CHECK(done != nullptr);
  done(outcome);
}

engine::Outcome FakeEngine::failed(engine::Verdict verdict) {
  engine::Outcome outcome;
  outcome.verdict = verdict;
  outcome.pc = 0x1234;
  outcome.name = "v_made_up";
  return outcome;
}

int FakeEngine::quiesced(engine::QueueId queue) const {
  const std::lock_guard lock(mutex_);
  const auto found = quiesced_.find(queue);
  return found != quiesced_.end() ? found->second : 0;
}

unsigned FakeEngine::code_invalidations() const {
  const std::lock_guard lock(mutex_);
  return code_invalidations_;
}

unsigned FakeEngine::retries() const {
  const std::lock_guard lock(mutex_);
  return retries_;
}

engine::DispatchId FakeEngine::launch(const engine::Dispatch& dispatch, Completion done) {
  const std::lock_guard lock(mutex_);
  kernels_.push_back({.dispatch = dispatch, .done = std::move(done)});
  return kernels_.size();
}

void FakeEngine::quiesce_queue(engine::QueueId queue) {
  const std::lock_guard lock(mutex_);
  ++quiesced_[queue];
}

void FakeEngine::resume_queue(engine::QueueId queue) {
  const std::lock_guard lock(mutex_);
  --quiesced_[queue];
}

void FakeEngine::kill_queue(engine::QueueId queue) {
  std::vector<Completion> killed;
  {
    const std::lock_guard lock(mutex_);
    for (Kernel& kernel : kernels_) {
      if (kernel.dispatch.queue == queue && kernel.done != nullptr) {
        killed.push_back(std::exchange(kernel.done, nullptr));
      }
    }
  }
  for (const Completion& done : killed) {
    done(failed(engine::Verdict::Killed));
  }
}

void FakeEngine::retry_vmid(std::uint32_t) {
  const std::lock_guard lock(mutex_);
  ++retries_;
}

void FakeEngine::invalidate_code(std::uint32_t) {
  const std::lock_guard lock(mutex_);
  ++code_invalidations_;
}

std::string FakeEngine::prepare_aql(const engine::AqlLaunch& launch, engine::Dispatch& out,
                                    std::uint32_t& lane_bytes) {
  aql_kernel_dispatch packet;
  std::memcpy(&packet, launch.packet.data(), sizeof(packet));
  out.entry = packet.kernel_object;
  out.dispatch_va = launch.packet_va;
  out.queue_va = launch.queue_va;
  out.lds_bytes = packet.group_segment_size;
  // The first dword of the descriptor, to show that it was read.
  std::memcpy(&out.rsrc1, launch.descriptor.data(), sizeof(out.rsrc1));
  lane_bytes = packet.private_segment_size;
  return out.rsrc1 == kBadObject ? "a kernel nobody can run" : "";
}

}  // namespace kfdlab::device
