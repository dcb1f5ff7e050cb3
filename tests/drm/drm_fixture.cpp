// SPDX-License-Identifier: MIT
#include "tests/drm/drm_fixture.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>

#include "tests/support/needs.h"

namespace kfdlab {
namespace {

using Properties = std::map<std::string, std::uint64_t>;

constexpr char kNodes[] = "/sys/class/kfd/kfd/topology/nodes/";

Properties read_properties(const std::string& path) {
  Properties properties;
  std::ifstream file(path);
  std::string name;
  std::uint64_t value = 0;
  while (file >> name >> value) {
    properties[name] = value;
  }
  return properties;
}

std::uint64_t vram_bytes(const std::string& node, std::uint64_t banks) {
  std::uint64_t sum = 0;
  for (std::uint64_t bank = 0; bank < banks; ++bank) {
    sum += read_properties(node + "/mem_banks/" + std::to_string(bank) + "/properties")["size_in_bytes"];
  }
  return sum;
}

}  // namespace

std::optional<GpuNode> first_gpu_node() {
  for (unsigned index = 0;; ++index) {
    const std::string node = kNodes + std::to_string(index);
    Properties properties = read_properties(node + "/properties");
    if (properties.empty()) {
      return std::nullopt;
    }
    if (properties["simd_count"] == 0 || properties["simd_per_cu"] == 0) {
      continue;
    }
    GpuNode gpu;
    std::ifstream(node + "/gpu_id") >> gpu.gpu_id;
    gpu.render_minor = static_cast<unsigned>(properties["drm_render_minor"]);
    gpu.device_id = static_cast<std::uint32_t>(properties["device_id"]);
    gpu.compute_units = properties["simd_count"] / properties["simd_per_cu"];
    gpu.vram_bytes = vram_bytes(node, properties["mem_banks_count"]);
    return gpu;
  }
}

void DrmTest::SetUp() {
  gpu_ = first_gpu_node();
  KFDLAB_NEEDS(gpu_.has_value(), "the KFD topology has no GPU");
  fd_ = open_node();
  ASSERT_TRUE(fd_.valid()) << node_path() << ": " << std::strerror(errno);
}

std::string DrmTest::node_path() const { return "/dev/dri/renderD" + std::to_string(gpu_->render_minor); }

Fd DrmTest::open_node() const { return Fd(::open(node_path().c_str(), O_RDWR | O_CLOEXEC)); }

AmdgpuDevice DrmTest::initialize() const {
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  amdgpu_device_handle device = nullptr;
  const int error = amdgpu_device_initialize(fd(), &major, &minor, &device);
  EXPECT_EQ(error, 0) << "amdgpu_device_initialize";
  if (error != 0) {
    return nullptr;
  }
  EXPECT_EQ(major, 3u);
  return AmdgpuDevice(device);
}

int DrmTest::raw(int fd, unsigned long command, void* argument) {
  return ::ioctl(fd, command, argument) == 0 ? 0 : errno;
}

int DrmTest::info(drm_amdgpu_info request, void* answer, std::uint32_t size) const {
  request.return_pointer = reinterpret_cast<std::uintptr_t>(answer);
  request.return_size = size;
  return raw(fd(), DRM_IOCTL_AMDGPU_INFO, &request);
}

int DrmTest::info(std::uint32_t query, void* answer, std::uint32_t size) const {
  drm_amdgpu_info request = {};
  request.query = query;
  return info(request, answer, size);
}

std::uint64_t DrmTest::info_number(std::uint32_t query) const {
  std::uint64_t number = 0;
  EXPECT_EQ(info(query, &number, sizeof(number)), 0) << "query " << query;
  return number;
}

}  // namespace kfdlab
