// SPDX-License-Identifier: MIT
#include "tests/hip/hip_fixture.h"

#include <cstdlib>
#include <cstring>
#include <utility>

namespace kfdlab {

bool xnack_is_on() {
  const char* text = std::getenv("HSA_XNACK");
  return text != nullptr && std::strcmp(text, "1") == 0;
}

HipMemory HipMemory::managed(std::size_t bytes) {
  void* data = nullptr;
  EXPECT_EQ(hipMallocManaged(&data, bytes, hipMemAttachGlobal), hipSuccess) << bytes << " bytes";
  return {Kind::Device, data, bytes};
}

HipMemory HipMemory::vram(std::size_t bytes) {
  void* data = nullptr;
  EXPECT_EQ(hipMalloc(&data, bytes), hipSuccess) << bytes << " bytes";
  return {Kind::Device, data, bytes};
}

HipMemory HipMemory::host(std::size_t bytes, unsigned flags) {
  void* data = nullptr;
  EXPECT_EQ(hipHostMalloc(&data, bytes, flags), hipSuccess) << bytes << " bytes, flags " << flags;
  return {Kind::Host, data, bytes};
}

HipMemory::HipMemory(HipMemory&& other) noexcept
    : kind_(other.kind_), data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}

HipMemory::~HipMemory() {
  if (data_ != nullptr) {
    EXPECT_EQ(kind_ == Kind::Host ? hipHostFree(data_) : hipFree(data_), hipSuccess);
  }
}

void HipTest::SetUp() {
  KFDLAB_NEEDS_NODE("/dev/kfd");
  KFDLAB_NEEDS_ROOT();
  auto device = TestDevice::open();
  KFDLAB_NEEDS(device.ok(), "/dev/kfdlab_test tells nothing: not our driver, or loaded without enable_test_ioctls=1");
  device_ = device.take();
  auto oracle = PageOracle::open();
  ASSERT_TRUE(oracle.ok()) << oracle.error().message;
  oracle_ = oracle.take();
  const auto gpus = topology_gpu_ids();
  ASSERT_FALSE(gpus.empty());
  gpu_id_ = gpus[0];
  HIP_OK(hipSetDevice(kGpu));
  wrong_.emplace(HipMemory::host(kPage));
  ASSERT_NE(wrong_->data(), nullptr);
  *wrong() = 0;
}

void HipTest::TearDown() {
  if (!IsSkipped() && wrong_) {
    EXPECT_EQ(kernel_errors(), "");
  }
}

kfdlab_test_counters HipTest::counters() const {
  const auto now = device().counters(gpu_id_);
  EXPECT_TRUE(now.ok());
  return now.ok() ? now.value() : kfdlab_test_counters{};
}

void HipTest::leave_vram(std::size_t bytes) {
  const kfdlab_test_counters now = counters();
  const std::uint64_t free = now.vram_size - now.vram_held;
  ASSERT_GT(free, bytes);
  ASSERT_EQ(device().reserve(gpu_id_, free - bytes), 0);
}

hipError_t HipTest::prefetch(const HipMemory& memory, int where) {
  const hipError_t result = hipMemPrefetchAsync(memory.data(), memory.size(), where, nullptr);
  return result == hipSuccess ? hipStreamSynchronize(nullptr) : result;
}

std::string HipTest::kernel_errors() const {
  if (const hipError_t result = hipDeviceSynchronize(); result != hipSuccess) {
    return hipGetErrorString(result);
  }
  const std::uint64_t count = std::exchange(*wrong(), 0);
  return count == 0 ? "" : std::to_string(count) + " wrong words";
}

void HipXnackTest::SetUp() {
  KFDLAB_NEEDS(xnack_is_on(), "a rule of HSA_XNACK=1");
  HipTest::SetUp();
}

void HipNoXnackTest::SetUp() {
  KFDLAB_NEEDS(!xnack_is_on(), "a rule of HSA_XNACK=0");
  HipTest::SetUp();
}

}  // namespace kfdlab
