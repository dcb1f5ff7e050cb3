// SPDX-License-Identifier: MIT
// LoopbackVm: a machine whose devices are threads of the test. Its RAM is in pieces that are neighbours for the
// guest and far apart here, with guards between them, as is each BAR.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "device/host/transport_loopback.h"
#include "device/machine.h"
#include "tests/unit/device/support/guarded_memory.h"
#include "tests/unit/device/support/test_driver.h"

namespace kfdlab::device {

class LoopbackVm {
 public:
  static constexpr std::uint64_t kSegmentSize = 1u << 20;
  static constexpr std::uint64_t kRamBase = 0x100000;  // two segments, adjacent for the guest
  static constexpr std::uint64_t kRamSize = 2 * kSegmentSize;
  static constexpr std::uint64_t kHighRamBase = 0x100000000;  // one more
  static constexpr std::uint64_t kBarSize = 16u << 20;
  static constexpr std::uint64_t kBarBase = 0x800000000;  // GPU i is i BARs behind it
  static constexpr std::uint64_t kNowhere = 0x700000000;  // neither RAM nor BAR

  // Starts devices of generation 1. With `adopt` the drivers have taken them over.
  explicit LoopbackVm(unsigned gpus = 1, bool adopt = true, const EngineParts& engine = no_engine());

  [[nodiscard]] TestDriver& gpu(unsigned index = 0) { return *drivers_[index]; }
  [[nodiscard]] LoopbackTransport& transport(unsigned index = 0) { return *transports_[index]; }
  // The host bytes of [address, address + size), which must not cross a segment.
  [[nodiscard]] std::span<std::byte> ram(std::uint64_t address, std::uint64_t size) const;
  // Ends the devices' threads.
  void stop() { machine_.reset(); }

 private:
  std::vector<std::unique_ptr<GuardedMemory>> ram_;
  std::vector<std::unique_ptr<GuardedMemory>> bars_;
  std::vector<LoopbackTransport*> transports_;  // owned by machine_
  std::vector<std::unique_ptr<TestDriver>> drivers_;
  std::unique_ptr<Machine> machine_;
};

}  // namespace kfdlab::device
