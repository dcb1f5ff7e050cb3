// SPDX-License-Identifier: MIT
// The numbers that say how a page got where it is: the driver's counters (KFDLAB_TEST ioctls, include/uapi/
// kfdlab_test.h) and the kernel's own pin counters. Tests take them before and after and compare the difference.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/fd.h"
#include "common/result.h"
#include "uapi/kfdlab_test.h"

namespace kfdlab {

// gpu_id of every GPU node of the KFD topology, in node order. Empty: no driver.
[[nodiscard]] std::vector<std::uint32_t> topology_gpu_ids();

// /dev/kfdlab_test. Every call reports an ioctl's errno as an Error; tests that expect one use raw().
class TestDevice {
 public:
  // Error: not root, or the module was loaded without enable_test_ioctls=1.
  static Result<TestDevice> open();

  [[nodiscard]] Result<kfdlab_test_counters> counters(std::uint32_t gpu_id) const;
  // The second witness of page placement (see pages.h): flags and frame of each page, moving nothing.
  [[nodiscard]] Result<std::vector<kfdlab_page>> pages(const void* start, std::size_t npages) const;

  struct Evicted {
    std::uint64_t moved = 0;   // pages that went to RAM
    std::uint64_t stayed = 0;  // pages somebody holds
  };
  // Evict every SVM page of the GPU, of all processes.
  [[nodiscard]] Result<Evicted> evict(std::uint32_t gpu_id) const;

  // What the page tables of this process on the GPU say about each page.
  [[nodiscard]] Result<std::vector<kfdlab_translation>> translate(std::uint32_t gpu_id, std::uint64_t va,
                                                                  std::size_t npages) const;

  // Take free VRAM away until this object goes: what is left fills quickly. errno.
  [[nodiscard]] int reserve(std::uint32_t gpu_id, std::uint64_t bytes) const;

  // errno of the ioctl, 0 for success.
  [[nodiscard]] int raw(unsigned long request, void* argument) const;

 private:
  explicit TestDevice(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

// FOLL_PIN references the whole system has taken and given back since boot (/proc/vmstat). Reading folds the
// per-CPU deltas first, so the difference of two readings is exact for pins that ended between them.
struct PinCounts {
  std::uint64_t acquired = 0;
  std::uint64_t released = 0;
  // Pins held now, if none was held at boot.
  [[nodiscard]] std::int64_t outstanding() const {
    return static_cast<std::int64_t>(acquired) - static_cast<std::int64_t>(released);
  }
};
[[nodiscard]] Result<PinCounts> read_pin_counts();

}  // namespace kfdlab
