// SPDX-License-Identifier: MIT
#include "tests/unit/device/support/loopback_vm.h"

#include "common/check.h"

namespace kfdlab::device {

LoopbackVm::LoopbackVm(unsigned gpus, bool adopt, const EngineParts& engine) {
  std::vector<RamSegment> segments;
  for (const std::uint64_t address : {kRamBase, kRamBase + kSegmentSize, kHighRamBase}) {
    ram_.push_back(std::make_unique<GuardedMemory>(kSegmentSize));
    segments.push_back({.address = address, .host = ram_.back()->bytes()});
  }
  std::vector<std::unique_ptr<Transport>> transports;
  for (unsigned index = 0; index < gpus; ++index) {
    bars_.push_back(std::make_unique<GuardedMemory>(kBarSize));
    write_identity(bars_.back()->bytes(), index, gpus);
    auto transport = std::make_unique<LoopbackTransport>(bars_.back()->bytes(), KFDLAB_KICK_COUNT, KFDLAB_IRQ_COUNT);
    transports_.push_back(transport.get());
    drivers_.push_back(
        std::make_unique<TestDriver>(bars_.back()->bytes(), kBarBase + index * kBarSize,
                                     [loopback = transport.get()](unsigned kick) { loopback->kick(kick); }));
    transports.push_back(std::move(transport));
  }
  Result<std::unique_ptr<Machine>> machine = Machine::create(1, std::move(segments), std::move(transports), engine);
  KFDLAB_CHECK(machine.ok());
  machine_ = machine.take();
  KFDLAB_CHECK(machine_->start().ok());
  for (const std::unique_ptr<TestDriver>& driver : drivers_) {
    KFDLAB_CHECK(driver->wait_ready(1));
    if (adopt) {
      driver->adopt(1);
    }
  }
}

std::span<std::byte> LoopbackVm::ram(std::uint64_t address, std::uint64_t size) const {
  if (address >= kHighRamBase) {
    return ram_[2]->bytes().subspan(address - kHighRamBase, size);
  }
  const std::uint64_t offset = address - kRamBase;
  return ram_[offset / kSegmentSize]->bytes().subspan(offset % kSegmentSize, size);
}

}  // namespace kfdlab::device
