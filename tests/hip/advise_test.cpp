// SPDX-License-Identifier: MIT
// hipMemAdvise and hipMemRangeGetAttribute(s): what is asked for is reported, and it decides where pages go.
#include <array>

#include "tests/hip/hip_fixture.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kSeed = 0xad;

class HipAdvise : public HipTest {
 protected:
  static hipError_t advise(const HipMemory& memory, hipMemoryAdvise advice, int where) {
    return hipMemAdvise(memory.data(), memory.size(), advice, where);
  }
  static std::int32_t attribute(const HipMemory& memory, hipMemRangeAttribute which) {
    std::int32_t value = -77;
    EXPECT_EQ(hipMemRangeGetAttribute(&value, sizeof value, which, memory.data(), memory.size()), hipSuccess);
    return value;
  }
  // The memory works, whatever was advised.
  void use(const HipMemory& memory) const {
    fill_pattern(memory.bytes(), kSeed);
    HIP_OK(launch_reseed(memory.data(), memory.words(), memory.address(), kSeed, kSeed + 1, wrong(), nullptr));
    EXPECT_EQ(kernel_errors(), "");
    EXPECT_EQ(pattern_error(memory.bytes(), kSeed + 1), "");
  }
};

TEST_F(HipAdvise, FreshMemoryHasNoAdvice) {
  const HipMemory memory = HipMemory::managed(kMiB);
  EXPECT_EQ(attribute(memory, hipMemRangeAttributeReadMostly), 0);
  EXPECT_EQ(attribute(memory, hipMemRangeAttributePreferredLocation), hipInvalidDeviceId);
  EXPECT_EQ(attribute(memory, hipMemRangeAttributeLastPrefetchLocation), hipInvalidDeviceId);
  EXPECT_EQ(attribute(memory, hipMemRangeAttributeCoherencyMode), hipMemRangeCoherencyModeFineGrain);
}

TEST_F(HipAdvise, ReadMostlyIsSetAndTakenBack) {
  const HipMemory memory = HipMemory::managed(kMiB);
  HIP_OK(advise(memory, hipMemAdviseSetReadMostly, kGpu));
  EXPECT_EQ(attribute(memory, hipMemRangeAttributeReadMostly), 1);
  use(memory);
  HIP_OK(advise(memory, hipMemAdviseUnsetReadMostly, kGpu));
  EXPECT_EQ(attribute(memory, hipMemRangeAttributeReadMostly), 0);
  use(memory);
}

TEST_F(HipAdvise, PreferredLocationIsSetAndTakenBack) {
  const HipMemory memory = HipMemory::managed(kMiB);
  for (const int place : {kGpu, hipCpuDeviceId}) {
    HIP_OK(advise(memory, hipMemAdviseSetPreferredLocation, place));
    EXPECT_EQ(attribute(memory, hipMemRangeAttributePreferredLocation), place);
    use(memory);
    HIP_OK(advise(memory, hipMemAdviseUnsetPreferredLocation, place));
    EXPECT_EQ(attribute(memory, hipMemRangeAttributePreferredLocation), hipInvalidDeviceId);
    use(memory);
  }
}

TEST_F(HipAdvise, AccessedByIsSetForADevice) {
  const HipMemory memory = HipMemory::managed(kMiB);
  HIP_OK(advise(memory, hipMemAdviseSetAccessedBy, kGpu));
  std::array<std::int32_t, 4> devices{-77, -77, -77, -77};
  HIP_OK(hipMemRangeGetAttribute(devices.data(), sizeof devices, hipMemRangeAttributeAccessedBy, memory.data(),
                                 memory.size()));
  EXPECT_EQ(devices[0], kGpu);
  use(memory);
  HIP_OK(advise(memory, hipMemAdviseUnsetAccessedBy, kGpu));
}

TEST_F(HipAdvise, CoarseGrainIsSetAndTakenBack) {
  const HipMemory memory = HipMemory::managed(kMiB);
  HIP_OK(advise(memory, hipMemAdviseSetCoarseGrain, kGpu));
  EXPECT_EQ(attribute(memory, hipMemRangeAttributeCoherencyMode), hipMemRangeCoherencyModeCoarseGrain);
  use(memory);
  HIP_OK(advise(memory, hipMemAdviseUnsetCoarseGrain, kGpu));
  EXPECT_EQ(attribute(memory, hipMemRangeAttributeCoherencyMode), hipMemRangeCoherencyModeFineGrain);
  use(memory);
}

TEST_F(HipAdvise, TheLastPrefetchIsRemembered) {
  const HipMemory memory = HipMemory::managed(kMiB);
  fill_pattern(memory.bytes(), kSeed);
  for (const int place : {kGpu, hipCpuDeviceId}) {
    HIP_OK(prefetch(memory, place));
    EXPECT_EQ(attribute(memory, hipMemRangeAttributeLastPrefetchLocation), place);
  }
}

// Of the same kind only: HIP 5.2.3 takes the first attribute's kind for all that follow.
TEST_F(HipAdvise, SeveralAttributesAreReadAtOnce) {
  const HipMemory memory = HipMemory::managed(kMiB);
  HIP_OK(advise(memory, hipMemAdviseSetReadMostly, kGpu));
  std::int32_t values[2] = {-77, -77};
  void* data[2] = {&values[0], &values[1]};
  std::size_t sizes[2] = {4, 4};
  hipMemRangeAttribute which[2] = {hipMemRangeAttributeReadMostly, hipMemRangeAttributeReadMostly};
  HIP_OK(hipMemRangeGetAttributes(data, sizes, which, 2, memory.data(), memory.size()));
  EXPECT_EQ(values[0], 1);
  EXPECT_EQ(values[1], 1);
}

TEST_F(HipAdvise, BadArgumentsAreRefused) {
  const HipMemory memory = HipMemory::managed(kMiB);
  std::int32_t value = 0;
  EXPECT_EQ(hipMemAdvise(nullptr, kMiB, hipMemAdviseSetReadMostly, kGpu), hipErrorInvalidValue);
  EXPECT_EQ(hipMemAdvise(memory.data(), 0, hipMemAdviseSetReadMostly, kGpu), hipErrorInvalidValue);
  EXPECT_NE(hipMemAdvise(memory.data(), kMiB, hipMemAdviseSetReadMostly, 1000), hipSuccess);
  EXPECT_EQ(hipMemRangeGetAttribute(nullptr, 4, hipMemRangeAttributeReadMostly, memory.data(), kMiB),
            hipErrorInvalidValue);
  EXPECT_EQ(hipMemRangeGetAttribute(&value, 0, hipMemRangeAttributeReadMostly, memory.data(), kMiB),
            hipErrorInvalidValue);
  (void)hipGetLastError();
}

// ---- with XNACK the advice decides where a fault puts pages ----

class HipXnackAdvise : public HipXnackTest {
 protected:
  // Where pages that the CPU wrote are after a kernel used them.
  PageCensus after_a_kernel(const HipMemory& memory) const {
    fill_pattern(memory.bytes(), kSeed);
    EXPECT_EQ(launch_reseed(memory.data(), memory.words(), memory.address(), kSeed, kSeed + 1, wrong(), nullptr),
              hipSuccess);
    EXPECT_EQ(kernel_errors(), "");
    EXPECT_EQ(pattern_error(memory.bytes(), kSeed + 1), "");
    return census(memory);
  }
};

TEST_F(HipXnackAdvise, PagesThatPreferTheHostStayInRam) {
  const HipMemory memory = HipMemory::managed(kMiB);
  HIP_OK(hipMemAdvise(memory.data(), kMiB, hipMemAdviseSetPreferredLocation, hipCpuDeviceId));
  EXPECT_EQ(after_a_kernel(memory), all_ram(256));
}

TEST_F(HipXnackAdvise, PagesThatPreferTheGpuGoToVram) {
  const HipMemory memory = HipMemory::managed(kMiB);
  HIP_OK(hipMemAdvise(memory.data(), kMiB, hipMemAdviseSetPreferredLocation, kGpu));
  EXPECT_EQ(after_a_kernel(memory), all_vram(256));
}

TEST_F(HipXnackAdvise, ReadMostlyPagesGoToVramLikeOthers) {
  const HipMemory memory = HipMemory::managed(kMiB);
  HIP_OK(hipMemAdvise(memory.data(), kMiB, hipMemAdviseSetReadMostly, kGpu));
  EXPECT_EQ(after_a_kernel(memory), all_vram(256));
}

}  // namespace
}  // namespace kfdlab
