// SPDX-License-Identifier: MIT
// Machine: all that one process serves, which is the guest's RAM and every GPU of the VM.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "common/result.h"
#include "device/bus/bar.h"
#include "device/gpu.h"
#include "device/host/guest_memory.h"
#include "device/host/mapping.h"
#include "device/host/transport.h"
#include "device/mmu/physical_map.h"
#include "device/options.h"

namespace kfdlab::device {

class Machine {
 public:
  // Maps what the options name and checks it. Takes ownership of their descriptors. Kernels run on `engine`.
  [[nodiscard]] static Result<std::unique_ptr<Machine>> create(const Options& options, const EngineParts& engine);
  // The same over transports and RAM of the caller: GPU i of the VM is transports[i]. Borrows the RAM.
  [[nodiscard]] static Result<std::unique_ptr<Machine>> create(std::uint32_t generation, std::vector<RamSegment> ram,
                                                               std::vector<std::unique_ptr<Transport>> transports,
                                                               const EngineParts& engine);
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() = default;

  // Starts every GPU; on an error none runs any more once the machine is destroyed.
  [[nodiscard]] Status start();

 private:
  Machine(GuestMemory ram, std::vector<std::unique_ptr<Transport>> transports)
      : ram_(std::move(ram)), transports_(std::move(transports)) {}

  // In the order of dependence: each member uses only those above it, so the GPUs end first.
  std::vector<Mapping> ram_mappings_;
  GuestMemory ram_;
  std::vector<std::unique_ptr<Transport>> transports_;
  std::vector<std::unique_ptr<Bar>> bars_;
  std::optional<PhysicalMap> map_;
  std::vector<std::unique_ptr<Gpu>> gpus_;
};

}  // namespace kfdlab::device
