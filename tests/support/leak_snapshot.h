// SPDX-License-Identifier: MIT
// What a test or a suite could leave behind in the kernel, as numbers to compare. Shared by the suites (around
// every test) and by the runner (after a suite's process has gone).
#pragma once

#include <cstdint>
#include <string>

namespace kfdlab {

// Values of all GPUs added up.
struct LeakSnapshot {
  bool pins_known = false;    // root: /proc/sys/vm/stat_refresh could be written
  std::int64_t pins = 0;      // nr_foll_pin_acquired - nr_foll_pin_released
  bool device_known = false;  // /dev/kfdlab_test exists
  std::uint64_t svm_pages_occupied = 0;
  std::uint64_t vram_held = 0;  // bytes
  std::uint64_t svm_ranges = 0;
  std::uint64_t buffer_objects = 0;
  std::uint64_t processes = 0;  // known to the driver, other than the caller
};

[[nodiscard]] LeakSnapshot take_leak_snapshot();

// What is more now than before, as "3 pins, 12 SVM ranges"; empty when nothing leaked. What one side does not know
// is not compared.
[[nodiscard]] std::string describe_leaks(const LeakSnapshot& before, const LeakSnapshot& now);

}  // namespace kfdlab
