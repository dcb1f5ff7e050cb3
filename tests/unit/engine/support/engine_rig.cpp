// SPDX-License-Identifier: MIT
#include "tests/unit/engine/support/engine_rig.h"

#include <algorithm>
#include <chrono>

namespace kfdlab::engine {

using device::TestGpu;

EngineRig::EngineRig(const EngineOptions& options) {
  gpu_.map_range(kMemory, TestGpu::kReadWrite, kMemoryBytes);
  engine_ = Engine::create(*this, {gpu_.spaces(), gpu_.walker(), epochs_}, options);
}
EngineRig::~EngineRig() { engine_.reset(); }

void EngineRig::load(const std::vector<std::uint32_t>& words, std::uint64_t at_va) {
  std::memcpy(at<std::uint8_t>(at_va), words.data(), words.size() * 4);
  engine_->invalidate_code(TestGpu::kVmid);
}

Dispatch EngineRig::linear(std::uint32_t items, std::uint32_t group_size) const {
  Dispatch dispatch;
  dispatch.vmid = TestGpu::kVmid;
  dispatch.queue = 1;
  dispatch.entry = kCode;
  dispatch.rsrc1 = 3 | 0xf0u << 12 | 1u << 21 | 1u << 23;  // 32 VGPRs
  dispatch.rsrc2 = 2u << 1 | 1u << 7;
  dispatch.rsrc3 = 3;  // AGPRs from 16 on
  dispatch.user_sgpr[0] = static_cast<std::uint32_t>(kData);
  dispatch.user_sgpr[1] = static_cast<std::uint32_t>(kData >> 32);
  dispatch.grid = {items, 1, 1};
  dispatch.workgroup = {group_size, 1, 1};
  return dispatch;
}

DispatchId EngineRig::launch(const Dispatch& dispatch) {
  DispatchId id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = next_++;
  }
  engine_->launch(dispatch, [this, id](const Outcome& outcome) {
    const std::lock_guard lock(mutex_);
    outcomes_[id] = outcome;
    changed_.notify_all();
  });
  return id;
}
bool EngineRig::wait_for(const std::function<bool()>& condition) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(20), condition);
}
std::optional<Outcome> EngineRig::wait(DispatchId id) {
  if (!wait_for([&] { return outcomes_.contains(id); })) {
    return std::nullopt;
  }
  const std::lock_guard lock(mutex_);
  return outcomes_[id];
}
bool EngineRig::ended(DispatchId id) {
  const std::lock_guard lock(mutex_);
  return outcomes_.contains(id);
}
std::vector<device::MemoryFault> EngineRig::faults() {
  const std::lock_guard lock(mutex_);
  return faults_;
}
std::vector<std::uint32_t> EngineRig::messages() {
  const std::lock_guard lock(mutex_);
  return messages_;
}

void EngineRig::unmap_page(std::uint64_t va) {
  gpu_.unmap(va);
  gpu_.spaces().invalidate({.vmid = TestGpu::kVmid, .first_page = va >> 12, .pages = 1});
  epochs_.synchronize();
}
void EngineRig::map_page(std::uint64_t va, std::uint64_t flags) {
  gpu_.map(va, (va - kMemory) | flags);
  gpu_.spaces().invalidate({.vmid = TestGpu::kVmid, .first_page = va >> 12, .pages = 1});
  engine_->retry_vmid(TestGpu::kVmid);
}

void EngineRig::retry_fault(QueueId, const device::MemoryFault& fault) {
  {
    const std::lock_guard lock(mutex_);
    faults_.push_back(fault);
    changed_.notify_all();
  }
  if (on_fault) {
    on_fault(fault);
  }
}
bool EngineRig::send_interrupt(QueueId, std::uint32_t m0) {
  const std::lock_guard lock(mutex_);
  messages_.push_back(m0);
  changed_.notify_all();
  return true;
}

}  // namespace kfdlab::engine
