// SPDX-License-Identifier: MIT
#include "tests/support/leak_snapshot.h"

#include <unistd.h>

#include <filesystem>

#include "tests/support/counters.h"

namespace kfdlab {
namespace {

// A process that ever opened /dev/kfd stays known to the driver until it exits: the caller itself is no leak.
bool is_kfd_process(pid_t pid) { return std::filesystem::exists("/sys/class/kfd/kfd/proc/" + std::to_string(pid)); }

void add_device_counters(LeakSnapshot* snapshot) {
  const auto device = TestDevice::open();
  if (!device) {
    return;
  }
  for (const std::uint32_t gpu_id : topology_gpu_ids()) {
    const auto counters = device.value().counters(gpu_id);
    if (!counters) {
      continue;
    }
    snapshot->device_known = true;
    snapshot->svm_pages_occupied += counters.value().svm_pages_occupied;
    snapshot->vram_held += counters.value().vram_held;
    snapshot->buffer_objects += counters.value().buffer_objects;
    // Ranges and processes are the module's, not one GPU's: every GPU reports the same number.
    snapshot->svm_ranges = counters.value().svm_ranges;
    snapshot->processes = counters.value().processes;
  }
  if (snapshot->processes > 0 && is_kfd_process(::getpid())) {
    --snapshot->processes;
  }
}

template <typename T>
void add_leak(std::string* text, T before, T now, const char* what) {
  if (now <= before) {
    return;
  }
  *text += text->empty() ? "" : ", ";
  *text += std::to_string(now - before) + " " + what;
}

}  // namespace

LeakSnapshot take_leak_snapshot() {
  LeakSnapshot snapshot;
  if (const auto pins = read_pin_counts()) {
    snapshot.pins_known = true;
    snapshot.pins = pins.value().outstanding();
  }
  add_device_counters(&snapshot);
  return snapshot;
}

std::string describe_leaks(const LeakSnapshot& before, const LeakSnapshot& now) {
  std::string text;
  if (before.pins_known && now.pins_known) {
    add_leak(&text, before.pins, now.pins, "pins (nr_foll_pin_acquired - nr_foll_pin_released)");
  }
  if (before.device_known && now.device_known) {
    add_leak(&text, before.svm_pages_occupied, now.svm_pages_occupied, "SVM pages in VRAM");
    add_leak(&text, before.vram_held, now.vram_held, "bytes of VRAM held");
    add_leak(&text, before.svm_ranges, now.svm_ranges, "SVM ranges");
    add_leak(&text, before.buffer_objects, now.buffer_objects, "buffer objects");
    add_leak(&text, before.processes, now.processes, "KFD processes");
  }
  return text;
}

}  // namespace kfdlab
