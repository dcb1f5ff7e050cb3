// SPDX-License-Identifier: MIT
// One measurement: the same operation repeated, its median, and how many pages it moved. Ratios between two
// measurements are meaningful only inside one run: an emulated machine's absolute times say little.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace kfdlab::bench {

struct Measurement {
  std::string operation;  // "memcpy", "to_vram", "to_ram", "pin_ram", "pin_vram"; with _cpu: CPU copies
                          // instead of the device's; with _loop: CPU copies and one call per page
  std::uint64_t bytes = 0;
  unsigned repeats = 0;
  double median_us = 0;
  [[nodiscard]] double pages_per_second() const;
};

// Middle of the values, the mean of the two middle ones for an even number; 0 for none.
[[nodiscard]] double median(std::vector<double> values);

// How often to repeat so that small sizes are not noise and large ones do not take for ever.
[[nodiscard]] unsigned repeats_for(std::uint64_t bytes);

[[nodiscard]] double microseconds(const std::function<void()>& body);

// The metadata that kfdlab's modules hold in kernel memory: their areas in /proc/vmallocinfo, mappings of device memory
// left out. Bytes.
[[nodiscard]] std::uint64_t module_vmalloc_bytes();
// SUnreclaim of /proc/meminfo, bytes.
[[nodiscard]] std::uint64_t unreclaimable_slab_bytes();

}  // namespace kfdlab::bench
