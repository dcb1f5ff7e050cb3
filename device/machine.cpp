// SPDX-License-Identifier: MIT
#include "device/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/fd.h"
#include "device/host/transport_memfd.h"

namespace kfdlab::device {
namespace {

std::vector<Fd> take_fds(const std::vector<int>& numbers) {
  std::vector<Fd> fds;
  for (const int number : numbers) {
    fds.emplace_back(number);
  }
  return fds;
}

Result<std::vector<Mapping>> map_ram(int fd, const std::vector<RamMapOption>& map) {
  std::vector<Mapping> mappings;
  for (const RamMapOption& segment : map) {
    Result<Mapping> mapping =
        Mapping::map(fd, segment.file_offset, segment.size, fmt::format("guest RAM at {:#x}", segment.address));
    if (!mapping.ok()) {
      return mapping.error();
    }
    mappings.push_back(mapping.take());
  }
  return mappings;
}

}  // namespace

Result<std::unique_ptr<Machine>> Machine::create(const Options& options, const EngineParts& engine) {
  const Fd ram_fd(options.ram_fd);
  Result<std::vector<Mapping>> mappings = map_ram(ram_fd.get(), options.ram_map);
  if (!mappings.ok()) {
    return mappings.error();
  }
  std::vector<RamSegment> ram;
  for (std::size_t i = 0; i < options.ram_map.size(); ++i) {
    ram.push_back({.address = options.ram_map[i].address, .host = mappings.value()[i].bytes()});
  }
  std::vector<std::unique_ptr<Transport>> transports(options.gpus.size());
  for (const GpuOption& gpu : options.gpus) {
    if (gpu.index >= transports.size() || transports[gpu.index] != nullptr) {
      return Error{fmt::format("gpu {}: indices must be 0 to {}, each once", gpu.index, transports.size() - 1)};
    }
    Result<std::unique_ptr<MemfdTransport>> transport = MemfdTransport::create(
        fmt::format("gpu {}", gpu.index), Fd(gpu.bar_fd), take_fds(gpu.kick_fds), take_fds(gpu.irq_fds));
    if (!transport.ok()) {
      return transport.error();
    }
    transports[gpu.index] = transport.take();
  }
  Result<std::unique_ptr<Machine>> machine = create(options.generation, std::move(ram), std::move(transports), engine);
  if (machine.ok()) {
    machine.value()->ram_mappings_ = mappings.take();
  }
  return machine;
}

Result<std::unique_ptr<Machine>> Machine::create(std::uint32_t generation, std::vector<RamSegment> ram,
                                                 std::vector<std::unique_ptr<Transport>> transports,
                                                 const EngineParts& engine) {
  if (generation == 0) {
    return Error{"generation 0 means \"none\"; the first process has generation 1"};
  }
  if (transports.empty() || transports.size() > kMaxGpus) {
    return Error{fmt::format("{} GPUs: a VM has 1 to {}", transports.size(), kMaxGpus)};
  }
  Result<GuestMemory> memory = GuestMemory::create(std::move(ram));
  if (!memory.ok()) {
    return memory.error();
  }
  std::unique_ptr<Machine> machine(new Machine(memory.take(), std::move(transports)));
  const auto count = static_cast<unsigned>(machine->transports_.size());
  std::vector<const Bar*> bars;
  for (unsigned index = 0; index < count; ++index) {
    Result<Bar> bar = Bar::create(machine->transports_[index]->bar(), index, count);
    if (!bar.ok()) {
      return bar.error();
    }
    machine->bars_.push_back(std::make_unique<Bar>(bar.take()));
    bars.push_back(machine->bars_.back().get());
  }
  machine->map_.emplace(machine->ram_, std::move(bars));
  for (unsigned index = 0; index < count; ++index) {
    machine->gpus_.push_back(
        std::make_unique<Gpu>(*machine->bars_[index], *machine->map_, *machine->transports_[index], generation, engine));
  }
  return machine;
}

Status Machine::start() {
  for (const std::unique_ptr<Gpu>& gpu : gpus_) {
    KFDLAB_TRY(gpu->start());
  }
  return ok_status();
}

}  // namespace kfdlab::device
