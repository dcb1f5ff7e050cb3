// SPDX-License-Identifier: MIT
// What HIP says about the device: what the virtual GPU is, what the driver offers, and what is left of its memory.
#include <cstring>
#include <string>

#include "tests/hip/hip_fixture.h"

namespace kfdlab {
namespace {

class HipDevice : public HipTest {
 protected:
  static int attribute(hipDeviceAttribute_t which) {
    int value = -1;
    EXPECT_EQ(hipDeviceGetAttribute(&value, which, kGpu), hipSuccess);
    return value;
  }
  static hipDeviceProp_t properties() {
    hipDeviceProp_t found;
    std::memset(&found, 0, sizeof found);
    EXPECT_EQ(hipGetDeviceProperties(&found, kGpu), hipSuccess);
    return found;
  }
};

TEST_F(HipDevice, EveryGpuOfTheTopologyIsADevice) {
  int count = 0;
  HIP_OK(hipGetDeviceCount(&count));
  EXPECT_EQ(static_cast<std::size_t>(count), topology_gpu_ids().size());
  EXPECT_EQ(hipSetDevice(count), hipErrorInvalidDevice);
  EXPECT_EQ(hipSetDevice(-1), hipErrorInvalidDevice);
  hipDeviceProp_t found;
  EXPECT_EQ(hipGetDeviceProperties(&found, count), hipErrorInvalidDevice);
}

TEST_F(HipDevice, IsAGfx90aWithTheXnackModeOfTheProcess) {
  const hipDeviceProp_t found = properties();
  const std::string name = found.gcnArchName;
  EXPECT_TRUE(name.starts_with("gfx90a")) << name;
  EXPECT_NE(name.find(xnack_is_on() ? ":xnack+" : ":xnack-"), std::string::npos) << name;
  EXPECT_EQ(found.warpSize, 64);
  EXPECT_EQ(found.maxThreadsPerBlock, 1024);
  EXPECT_EQ(found.sharedMemPerBlock, 65536u);
  EXPECT_GT(found.multiProcessorCount, 0);
  EXPECT_GT(found.clockRate, 0);
  EXPECT_EQ(found.integrated, 0);
  EXPECT_EQ(found.concurrentKernels, 1);
}

TEST_F(HipDevice, ManagedMemoryIsOfferedAndPageableMemoryWithXnackOnly) {
  const hipDeviceProp_t found = properties();
  EXPECT_EQ(found.managedMemory, 1);
  EXPECT_EQ(found.concurrentManagedAccess, 1);
  EXPECT_EQ(found.pageableMemoryAccess, xnack_is_on() ? 1 : 0);
  EXPECT_EQ(found.canMapHostMemory, 1);
  EXPECT_EQ(attribute(hipDeviceAttributeManagedMemory), 1);
  EXPECT_EQ(attribute(hipDeviceAttributeConcurrentManagedAccess), 1);
  EXPECT_EQ(attribute(hipDeviceAttributePageableMemoryAccess), xnack_is_on() ? 1 : 0);
  EXPECT_EQ(attribute(hipDeviceAttributeCanMapHostMemory), 1);
  EXPECT_EQ(attribute(hipDeviceAttributeWarpSize), 64);
}

TEST_F(HipDevice, TotalMemoryIsTheVramAndFreeMemoryFollowsAllocations) {
  std::size_t free_before = 0;
  std::size_t total = 0;
  HIP_OK(hipMemGetInfo(&free_before, &total));
  EXPECT_EQ(total, properties().totalGlobalMem);
  const std::uint64_t vram = counters().vram_size;
  EXPECT_LE(total, vram);
  EXPECT_GE(total, vram / 2);
  EXPECT_LE(free_before, total);
  constexpr std::size_t kBytes = 32 * kMiB;
  std::size_t free_now = 0;
  {
    const std::uint64_t held = counters().vram_held;
    const HipMemory memory = HipMemory::vram(kBytes);
    HIP_OK(hipMemGetInfo(&free_now, &total));
    EXPECT_LE(free_now + kBytes, free_before);
    EXPECT_GE(counters().vram_held, held + kBytes);
  }
  HIP_OK(hipMemGetInfo(&free_now, &total));
  EXPECT_EQ(free_now, free_before);
}

TEST_F(HipDevice, MoreThanTheVramIsOutOfMemoryAndDisturbsNothing) {
  const HipMemory before = HipMemory::vram(kMiB);
  HIP_OK(launch_fill(before.data(), before.words(), before.address(), 1, nullptr));
  void* data = nullptr;
  EXPECT_EQ(hipMalloc(&data, counters().vram_size + kMiB), hipErrorOutOfMemory);
  EXPECT_EQ(hipGetLastError(), hipErrorOutOfMemory);
  EXPECT_EQ(data, nullptr);
  HIP_OK(launch_check(before.data(), before.words(), before.address(), 1, wrong(), nullptr));
  EXPECT_EQ(kernel_errors(), "");
}

TEST_F(HipDevice, PointersTellWhatMemoryTheyAreOf) {
  const HipMemory vram = HipMemory::vram(kPage);
  const HipMemory host = HipMemory::host(kPage);
  const HipMemory managed = HipMemory::managed(kPage);
  hipPointerAttribute_t found;
  HIP_OK(hipPointerGetAttributes(&found, vram.data() + 100));
  EXPECT_EQ(found.memoryType, hipMemoryTypeDevice);
  EXPECT_EQ(found.device, kGpu);
  HIP_OK(hipPointerGetAttributes(&found, host.data()));
  EXPECT_EQ(found.memoryType, hipMemoryTypeHost);
  EXPECT_EQ(found.hostPointer, host.data());
  HIP_OK(hipPointerGetAttributes(&found, managed.data()));
  EXPECT_EQ(found.isManaged, 1);
  // With XNACK every address of the process is memory that kernels may use, and HIP has an object that stands for all of it.
  int local = 0;
  EXPECT_EQ(hipPointerGetAttributes(&found, &local), xnack_is_on() ? hipSuccess : hipErrorInvalidValue);
  (void)hipGetLastError();
}

}  // namespace
}  // namespace kfdlab
