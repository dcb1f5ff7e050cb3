// SPDX-License-Identifier: MIT
// The command line of kfdlab-gpu: what the launcher hands over. Descriptors are numbers here; nothing is opened.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace kfdlab::device {

// --ram-map GPA:SIZE:FILEOFF
struct RamMapOption {
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  std::uint64_t file_offset = 0;
};

// --gpu index=N,bar=FD,kick=FD:FD:FD,irq=FD:FD:FD:FD
struct GpuOption {
  unsigned index = 0;
  int bar_fd = -1;
  std::vector<int> kick_fds;  // KFDLAB_KICK_CONTROL, _COPY, _QUEUE
  std::vector<int> irq_fds;   // KFDLAB_IRQ_IH, _CONTROL, _STATE, _QUEUE_IDLE
};

struct Options {
  std::uint32_t generation = 0;
  int ram_fd = -1;
  std::vector<RamMapOption> ram_map;
  std::vector<GpuOption> gpus;
};

// Numbers are decimal or 0x hexadecimal. Errors quote the offending text.
[[nodiscard]] Result<std::vector<RamMapOption>> parse_ram_map(std::string_view text);
[[nodiscard]] Result<GpuOption> parse_gpu(std::string_view text);

}  // namespace kfdlab::device
