// SPDX-License-Identifier: MIT
// DrmTest: what the tests of the render node stand on. It finds the first GPU in the KFD topology and opens the
// render node that the topology names; nothing here depends on whose driver that is.
#pragma once

#include <amdgpu.h>
#include <amdgpu_drm.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include "common/fd.h"

namespace kfdlab {

// What the topology says about a GPU.
struct GpuNode {
  std::uint32_t gpu_id = 0;
  unsigned render_minor = 0;
  std::uint32_t device_id = 0;
  std::uint64_t compute_units = 0;
  std::uint64_t vram_bytes = 0;  // sum of its memory banks
};
// The first GPU node; nullopt without KFD or GPU.
[[nodiscard]] std::optional<GpuNode> first_gpu_node();

// A device of libdrm_amdgpu.
struct AmdgpuDeviceCloser {
  void operator()(amdgpu_device* device) const { amdgpu_device_deinitialize(device); }
};
using AmdgpuDevice = std::unique_ptr<amdgpu_device, AmdgpuDeviceCloser>;

class DrmTest : public testing::Test {
 protected:
  // Skips without a GPU in the topology.
  void SetUp() override;

  [[nodiscard]] const GpuNode& gpu() const { return *gpu_; }
  [[nodiscard]] std::string node_path() const;
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] Fd open_node() const;
  // amdgpu_device_initialize(); null if it fails, with the test marked as failed.
  [[nodiscard]] AmdgpuDevice initialize() const;

  // One ioctl on a descriptor: 0 or errno. EINTR is not retried; nothing here sleeps long.
  [[nodiscard]] static int raw(int fd, unsigned long command, void* argument);
  // AMDGPU_INFO with `size` bytes of room at `answer`: 0 or errno.
  [[nodiscard]] int info(std::uint32_t query, void* answer, std::uint32_t size) const;
  // AMDGPU_INFO with everything but the buffer filled in by the caller.
  [[nodiscard]] int info(drm_amdgpu_info request, void* answer, std::uint32_t size) const;
  // A query whose answer is one number.
  [[nodiscard]] std::uint64_t info_number(std::uint32_t query) const;

 private:
  std::optional<GpuNode> gpu_;
  Fd fd_;
};

}  // namespace kfdlab
