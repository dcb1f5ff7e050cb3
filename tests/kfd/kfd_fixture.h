// SPDX-License-Identifier: MIT
// KfdTest: what the tests of /dev/kfd stand on. It opens the device and finds the first GPU in the topology; most
// ioctls need nothing more, and acquire() ties the process to the render node for those that do.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/fd.h"
#include "tests/support/counters.h"
#include "tests/support/kfd_client.h"

namespace kfdlab {

inline constexpr char kTopology[] = "/sys/devices/virtual/kfd/kfd/topology";

using Properties = std::map<std::string, std::uint64_t>;
// A topology file of "name value" lines; empty if it cannot be read. Non-numeric values (sibling_map) read as 0.
[[nodiscard]] Properties read_properties(const std::string& path);
// properties of node `node`.
[[nodiscard]] Properties node_properties(unsigned node);

class KfdTest : public testing::Test {
 protected:
  static constexpr unsigned kGpuNode = 1;

  // Skips without /dev/kfd or a GPU.
  void SetUp() override;

  [[nodiscard]] const KfdClient& kfd() const { return *kfd_; }
  // Close /dev/kfd before the test ends.
  void close_kfd() { kfd_.reset(); }
  [[nodiscard]] std::uint32_t gpu_id() const { return gpu_id_; }
  // The render node of the first GPU, opened; the test fails if it cannot be.
  [[nodiscard]] static Fd open_render();
  // ACQUIRE_VM with a render file that stays open until the test ends.
  void acquire();
  [[nodiscard]] int render_fd() const { return render_.get(); }
  // An unused gpu_id.
  [[nodiscard]] std::uint32_t dead_gpu_id() const { return gpu_id_ + 0x1234; }

 private:
  std::optional<KfdClient> kfd_;
  std::uint32_t gpu_id_ = 0;
  Fd render_;
};

// A page-aligned stretch of address space of this process that nothing else uses; inaccessible.
class Reservation {
 public:
  explicit Reservation(std::size_t size);
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;
  ~Reservation();
  [[nodiscard]] std::uint64_t address() const;
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  void* start_;
  std::size_t size_;
};

}  // namespace kfdlab
