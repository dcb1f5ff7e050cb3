// SPDX-License-Identifier: MIT
// Debian's unmodified libhsakmt on the driver: it opens, describes the GPU, allocates, signals, sets SVM attributes,
// and moves a process's pages to VRAM and back. And rocminfo, through ROCr.
#include <gtest/gtest.h>
#include <hsakmt.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/support/child.h"
#include "tests/kfd/kfd_fixture.h"
#include "tests/support/buffer.h"
#include "tests/support/needs.h"
#include "tests/support/pages.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

constexpr HSAuint32 kCpuNode = 0;
constexpr HSAuint32 kGpu = 1;
constexpr HSAuint32 kUndefinedNode = 0xffff'ffffu;
constexpr std::uint64_t kSeed = 21;

class KfdThunk : public testing::Test {
 protected:
  void SetUp() override {
    KFDLAB_NEEDS_NODE("/dev/kfd");
    ASSERT_EQ(hsaKmtOpenKFD(), HSAKMT_STATUS_SUCCESS);
    open_ = true;
    ASSERT_EQ(hsaKmtAcquireSystemProperties(&system_), HSAKMT_STATUS_SUCCESS);
    ASSERT_EQ(hsaKmtGetNodeProperties(kGpu, &gpu_), HSAKMT_STATUS_SUCCESS);
  }
  void TearDown() override {
    if (open_) {
      EXPECT_EQ(hsaKmtReleaseSystemProperties(), HSAKMT_STATUS_SUCCESS);
      EXPECT_EQ(hsaKmtCloseKFD(), HSAKMT_STATUS_SUCCESS);
    }
  }
  HsaSystemProperties system_{};
  HsaNodeProperties gpu_{};

 private:
  bool open_ = false;
};

TEST_F(KfdThunk, FindsOneCpuAndTheGpus) {
  HsaVersionInfo version{};
  ASSERT_EQ(hsaKmtGetVersion(&version), HSAKMT_STATUS_SUCCESS);
  EXPECT_EQ(version.KernelInterfaceMajorVersion, 1u);
  EXPECT_GE(version.KernelInterfaceMinorVersion, 5u) << "the thunk refuses SVM below";
  EXPECT_EQ(system_.NumNodes, kfd_gpu_ids().size() + 1);
  EXPECT_EQ(gpu_.NumCPUCores, 0u);
  EXPECT_GT(gpu_.NumFComputeCores, 0u);
  EXPECT_EQ(gpu_.EngineId.ui32.Major, 9u);
  EXPECT_EQ(gpu_.EngineId.ui32.Minor, 0u);
  EXPECT_EQ(gpu_.EngineId.ui32.Stepping, 10u);
  EXPECT_EQ(gpu_.Capability.ui32.SVMAPISupported, 1u);
  EXPECT_EQ(gpu_.Capability.ui32.CoherentHostAccess, 1u);
}

TEST_F(KfdThunk, SeesVramAsAPublicHeap) {
  std::vector<HsaMemoryProperties> banks(gpu_.NumMemoryBanks);
  ASSERT_EQ(hsaKmtGetNodeMemoryProperties(kGpu, gpu_.NumMemoryBanks, banks.data()), HSAKMT_STATUS_SUCCESS);
  std::uint64_t vram = 0;
  for (const auto& bank : banks) {
    if (bank.HeapType == HSA_HEAPTYPE_FRAME_BUFFER_PUBLIC) {
      vram += bank.SizeInBytes;
    }
  }
  EXPECT_EQ(vram, read_properties(std::string(kTopology) + "/nodes/1/mem_banks/0/properties")["size_in_bytes"]);
}

TEST_F(KfdThunk, OpensAndClosesAgainAndAgain) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(hsaKmtReleaseSystemProperties(), HSAKMT_STATUS_SUCCESS);
    ASSERT_EQ(hsaKmtCloseKFD(), HSAKMT_STATUS_SUCCESS);
    ASSERT_EQ(hsaKmtOpenKFD(), HSAKMT_STATUS_SUCCESS);
    ASSERT_EQ(hsaKmtAcquireSystemProperties(&system_), HSAKMT_STATUS_SUCCESS);
  }
}

HsaMemFlags host_visible() {
  HsaMemFlags flags{};
  flags.ui32.HostAccess = 1;
  flags.ui32.NonPaged = 0;
  return flags;
}

// Allocate on `node`, write with the CPU, map to the GPU, check, and free.
void use_memory(HSAuint32 node, HsaMemFlags flags) {
  constexpr HSAuint64 kSize = 2u << 20;
  void* memory = nullptr;
  ASSERT_EQ(hsaKmtAllocMemory(node, kSize, flags, &memory), HSAKMT_STATUS_SUCCESS);
  const std::span<std::byte> bytes(static_cast<std::byte*>(memory), kSize);
  fill_pattern(bytes, kSeed);
  HSAuint64 alternate = 0;
  EXPECT_EQ(hsaKmtMapMemoryToGPU(memory, kSize, &alternate), HSAKMT_STATUS_SUCCESS);
  EXPECT_EQ(pattern_error(bytes, kSeed), "");
  EXPECT_EQ(hsaKmtUnmapMemoryToGPU(memory), HSAKMT_STATUS_SUCCESS);
  EXPECT_EQ(pattern_error(bytes, kSeed), "");
  EXPECT_EQ(hsaKmtFreeMemory(memory, kSize), HSAKMT_STATUS_SUCCESS);
}

TEST_F(KfdThunk, HostMemoryIsAllocatedMappedAndFreed) { use_memory(kCpuNode, host_visible()); }

TEST_F(KfdThunk, VisibleVramIsAllocatedMappedAndFreed) {
  HsaMemFlags flags = host_visible();
  flags.ui32.NonPaged = 1;
  use_memory(kGpu, flags);
}

TEST_F(KfdThunk, UserMemoryIsRegisteredAtAnAddressOfItsOwn) {
  const Buffer buffer(16);
  fill_pattern(buffer.bytes(), kSeed);
  std::array<HSAuint32, 1> nodes{kGpu};
  ASSERT_EQ(hsaKmtRegisterMemoryToNodes(buffer.data(), buffer.size(), nodes.size(), nodes.data()),
            HSAKMT_STATUS_SUCCESS);
  HSAuint64 alternate = 0;
  ASSERT_EQ(hsaKmtMapMemoryToGPU(buffer.data(), buffer.size(), &alternate), HSAKMT_STATUS_SUCCESS);
  EXPECT_NE(alternate, 0u);
  EXPECT_NE(alternate, buffer.address());
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
  EXPECT_EQ(hsaKmtUnmapMemoryToGPU(buffer.data()), HSAKMT_STATUS_SUCCESS);
  EXPECT_EQ(hsaKmtDeregisterMemory(buffer.data()), HSAKMT_STATUS_SUCCESS);
}

// The first thing that went wrong with an event of its own, 0 if nothing did.
int use_event() {
  HsaEventDescriptor descriptor{};
  descriptor.EventType = HSA_EVENTTYPE_SIGNAL;
  descriptor.NodeId = kGpu;
  HsaSystemProperties system{};
  HsaEvent* event = nullptr;
  if (hsaKmtOpenKFD() != HSAKMT_STATUS_SUCCESS || hsaKmtAcquireSystemProperties(&system) != HSAKMT_STATUS_SUCCESS) {
    return 1;
  }
  if (hsaKmtCreateEvent(&descriptor, true, false, &event) != HSAKMT_STATUS_SUCCESS) {
    return 2;
  }
  if (hsaKmtWaitOnEvent(event, 0) != HSAKMT_STATUS_WAIT_TIMEOUT) {
    return 3;
  }
  if (hsaKmtSetEvent(event) != HSAKMT_STATUS_SUCCESS || hsaKmtWaitOnEvent(event, 1000) != HSAKMT_STATUS_SUCCESS) {
    return 4;
  }
  if (hsaKmtResetEvent(event) != HSAKMT_STATUS_SUCCESS || hsaKmtWaitOnEvent(event, 0) != HSAKMT_STATUS_WAIT_TIMEOUT) {
    return 5;
  }
  return hsaKmtDestroyEvent(event) == HSAKMT_STATUS_SUCCESS ? 0 : 6;
}

// In a process of its own: after hsaKmtCloseKFD() this thunk keeps the event page mapped until exit.
TEST(KfdThunkProcess, EventIsSetWaitedForAndReset) {
  KFDLAB_NEEDS_NODE("/dev/kfd");
  Child child([](Peer&) { return use_event(); });
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(KfdThunk, XnackModeIsQueriedAndSet) {
  HSAint32 mode = -1;
  ASSERT_EQ(hsaKmtGetXNACKMode(&mode), HSAKMT_STATUS_SUCCESS);
  EXPECT_EQ(mode, 0);
  ASSERT_EQ(hsaKmtSetXNACKMode(1), HSAKMT_STATUS_SUCCESS);
  ASSERT_EQ(hsaKmtGetXNACKMode(&mode), HSAKMT_STATUS_SUCCESS);
  EXPECT_EQ(mode, 1);
  EXPECT_EQ(hsaKmtSetXNACKMode(0), HSAKMT_STATUS_SUCCESS);
}

TEST_F(KfdThunk, ClockCountersAdvance) {
  HsaClockCounters first{}, second{};
  ASSERT_EQ(hsaKmtGetClockCounters(kGpu, &first), HSAKMT_STATUS_SUCCESS);
  ASSERT_EQ(hsaKmtGetClockCounters(kGpu, &second), HSAKMT_STATUS_SUCCESS);
  EXPECT_GT(second.SystemClockCounter, first.SystemClockCounter);
  EXPECT_EQ(first.SystemClockFrequencyHz, 1'000'000'000u);
}

TEST_F(KfdThunk, SvmAttributesReadBackAsSet) {
  const Buffer buffer(16);
  fill_pattern(buffer.bytes(), kSeed);
  std::vector<HSA_SVM_ATTRIBUTE> set{{HSA_SVM_ATTR_PREFERRED_LOC, kGpu},
                                     {HSA_SVM_ATTR_GRANULARITY, 5},
                                     {HSA_SVM_ATTR_SET_FLAGS, HSA_SVM_FLAG_GPU_EXEC},
                                     {HSA_SVM_ATTR_CLR_FLAGS, HSA_SVM_FLAG_COHERENT},
                                     {HSA_SVM_ATTR_ACCESS, kGpu}};
  ASSERT_EQ(hsaKmtSVMSetAttr(buffer.data(), buffer.size(), static_cast<unsigned>(set.size()), set.data()),
            HSAKMT_STATUS_SUCCESS);
  std::vector<HSA_SVM_ATTRIBUTE> get{{HSA_SVM_ATTR_PREFERRED_LOC, 0},
                                     {HSA_SVM_ATTR_PREFETCH_LOC, 0},
                                     {HSA_SVM_ATTR_GRANULARITY, 0},
                                     {HSA_SVM_ATTR_SET_FLAGS, 0},
                                     {HSA_SVM_ATTR_ACCESS, kGpu}};
  ASSERT_EQ(hsaKmtSVMGetAttr(buffer.data(), buffer.size(), static_cast<unsigned>(get.size()), get.data()),
            HSAKMT_STATUS_SUCCESS);
  EXPECT_EQ(get[0].value, kGpu);
  EXPECT_EQ(get[1].value, kUndefinedNode);
  EXPECT_EQ(get[2].value, 5u);
  EXPECT_EQ(get[3].value, static_cast<HSAuint32>(HSA_SVM_FLAG_HOST_ACCESS | HSA_SVM_FLAG_GPU_EXEC));
  EXPECT_EQ(get[4].type, static_cast<HSAuint32>(HSA_SVM_ATTR_ACCESS));
}

TEST_F(KfdThunk, PrefetchMovesPagesToVramAndBack) {
  KFDLAB_NEEDS_ROOT();
  auto oracle = PageOracle::open();
  ASSERT_TRUE(oracle) << oracle.error().message;
  auto device = TestDevice::open();
  KFDLAB_NEEDS(device.ok(), "the module was loaded without enable_test_ioctls=1");
  const std::uint32_t gpu_id = kfd_gpu_ids().front();

  const Buffer buffer(1024);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_EQ(oracle.value().census(buffer.data(), buffer.npages()), (PageCensus{.none = 0, .ram = 1024, .vram = 0}));
  const auto before = device.value().counters(gpu_id);
  ASSERT_TRUE(before);

  HSA_SVM_ATTRIBUTE prefetch{HSA_SVM_ATTR_PREFETCH_LOC, kGpu};
  ASSERT_EQ(hsaKmtSVMSetAttr(buffer.data(), buffer.size(), 1, &prefetch), HSAKMT_STATUS_SUCCESS);
  EXPECT_EQ(oracle.value().census(buffer.data(), buffer.npages()), (PageCensus{.none = 0, .ram = 0, .vram = 1024}));
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
  EXPECT_EQ(oracle.value().census(buffer.data(), buffer.npages()), (PageCensus{.none = 0, .ram = 0, .vram = 1024}))
      << "reading coherent memory moves nothing";
  const auto there = device.value().counters(gpu_id);
  ASSERT_TRUE(there);
  EXPECT_EQ(there.value().pages_to_vram - before.value().pages_to_vram, 1024u);
  EXPECT_EQ(there.value().svm_pages_occupied - before.value().svm_pages_occupied, 1024u);

  fill_pattern(buffer.bytes(), kSeed + 1);
  prefetch.value = kCpuNode;
  ASSERT_EQ(hsaKmtSVMSetAttr(buffer.data(), buffer.size(), 1, &prefetch), HSAKMT_STATUS_SUCCESS);
  EXPECT_EQ(oracle.value().census(buffer.data(), buffer.npages()), (PageCensus{.none = 0, .ram = 1024, .vram = 0}));
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed + 1), "");
  const auto back = device.value().counters(gpu_id);
  ASSERT_TRUE(back);
  EXPECT_EQ(back.value().pages_to_ram_prefetch - there.value().pages_to_ram_prefetch, 1024u);
  EXPECT_EQ(back.value().svm_pages_occupied, before.value().svm_pages_occupied);
}

// ---- ROCr ----

struct CommandResult {
  std::string output;
  int status = -1;
};

CommandResult run(const std::string& command) {
  CommandResult run;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "re");
  if (pipe == nullptr) {
    return run;
  }
  std::array<char, 4096> chunk{};
  for (std::size_t n = 0; (n = std::fread(chunk.data(), 1, chunk.size(), pipe)) > 0;) {
    run.output.append(chunk.data(), n);
  }
  const int status = ::pclose(pipe);
  run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return run;
}

TEST(KfdRocminfo, ListsTheGpuWithItsVramPool) {
  KFDLAB_NEEDS_NODE("/dev/kfd");
  KFDLAB_NEEDS(run("command -v rocminfo").status == 0, "rocminfo is not installed");
  const CommandResult rocminfo = run("rocminfo");
  ASSERT_EQ(rocminfo.status, 0) << rocminfo.output;
  EXPECT_NE(rocminfo.output.find("amdgcn-amd-amdhsa--gfx90a:sramecc+:xnack-"), std::string::npos) << rocminfo.output;
  const auto agent = rocminfo.output.find("Device Type:             GPU");
  ASSERT_NE(agent, std::string::npos) << rocminfo.output;
  const std::uint64_t vram =
      read_properties(std::string(kTopology) + "/nodes/1/mem_banks/0/properties")["size_in_bytes"];
  EXPECT_NE(rocminfo.output.find(std::to_string(vram / 1024) + "(0x", agent), std::string::npos)
      << "no pool of " << vram / 1024 << " KB\n"
      << rocminfo.output;
}

TEST(KfdRocminfo, FollowsTheXnackEnvironment) {
  KFDLAB_NEEDS_NODE("/dev/kfd");
  KFDLAB_NEEDS(run("command -v rocminfo").status == 0, "rocminfo is not installed");
  const CommandResult rocminfo = run("HSA_XNACK=1 rocminfo");
  ASSERT_EQ(rocminfo.status, 0) << rocminfo.output;
  EXPECT_NE(rocminfo.output.find("gfx90a:sramecc+:xnack+"), std::string::npos) << rocminfo.output;
}

}  // namespace
}  // namespace kfdlab
