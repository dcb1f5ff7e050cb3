// SPDX-License-Identifier: MIT
// EngineRig: a whole engine with its threads over the memory of a TestGpu, whose VRAM is mapped at kMemory.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "device/engine/dispatch.h"
#include "tests/unit/mmu/support/test_gpu.h"

namespace kfdlab::engine {

class EngineRig : public EngineHost {
 public:
  static constexpr std::uint64_t kMemory = 0x10000000;  // GPU VA of VRAM
  static constexpr std::uint64_t kMemoryBytes = 12u << 20;
  static constexpr std::uint64_t kCode = kMemory;       // where load() puts code
  static constexpr std::uint64_t kData = kMemory + (1u << 20);

  explicit EngineRig(const EngineOptions& options = {.threads = 2, .compute_units = 4, .quantum = 200'000});
  ~EngineRig() override;

  [[nodiscard]] Engine& engine() { return *engine_; }
  [[nodiscard]] device::TestGpu& gpu() { return gpu_; }
  // Host memory behind a GPU VA of kMemory.
  template <typename T>
  [[nodiscard]] T* at(std::uint64_t va) {
    return reinterpret_cast<T*>(gpu_.vram().data() + (va - kMemory));
  }
  void load(const std::vector<std::uint32_t>& words, std::uint64_t at_va = kCode);

  // One dimension, 16 VGPRs and as many AGPRs, HIP's MODE, user SGPRs 0-1 pointing at kData, then the workgroup's number.
  [[nodiscard]] Dispatch linear(std::uint32_t items, std::uint32_t group_size) const;

  // Launches; wait() gives the outcome or, after 20 s, nothing.
  DispatchId launch(const Dispatch& dispatch);
  [[nodiscard]] std::optional<Outcome> wait(DispatchId id);
  [[nodiscard]] std::optional<Outcome> run(const Dispatch& dispatch) { return wait(launch(dispatch)); }
  [[nodiscard]] bool ended(DispatchId id);

  // Waits until `condition` (called with the lock) holds; false after 20 s.
  bool wait_for(const std::function<bool()>& condition);
  [[nodiscard]] std::vector<device::MemoryFault> faults();
  [[nodiscard]] std::vector<std::uint32_t> messages();
  std::function<void(const device::MemoryFault&)> on_fault;  // set before the first launch

  // Unmaps or maps the page of kMemory, as the driver does: entry, invalidation, wait.
  void unmap_page(std::uint64_t va);
  void map_page(std::uint64_t va, std::uint64_t flags = device::TestGpu::kReadWrite);

  void retry_fault(QueueId queue, const device::MemoryFault& fault) override;
  [[nodiscard]] bool send_interrupt(QueueId queue, std::uint32_t m0) override;

 private:
  device::TestGpu gpu_;
  device::EpochDomain epochs_;
  std::mutex mutex_;  // guards what is below, up to engine_
  std::condition_variable changed_;
  std::map<DispatchId, Outcome> outcomes_;
  std::vector<device::MemoryFault> faults_;
  std::vector<std::uint32_t> messages_;
  DispatchId next_ = 1;
  std::unique_ptr<Engine> engine_;
};

}  // namespace kfdlab::engine
