// SPDX-License-Identifier: MIT
// Shaders on PM4 queues: what they reach, on which compute units they run, global wave sync, and their faults.
#include <atomic>
#include <set>
#include <thread>

#include "tests/support/child.h"
#include "tests/support/needs.h"
#include "tests/thunk/shaders.h"
#include "tests/thunk/thunk_fixture.h"

namespace kfdlab::thunk {
namespace {

using ThunkDispatch = ThunkTest;

TEST_F(ThunkDispatch, CopiesFromRamToVramAndBack) {
  const Memory ram(kPage);
  const Memory vram(kPage, Memory::Kind::Vram);
  ASSERT_TRUE(ram.ok() && vram.ok());
  ram.store(0, 0x01010101);
  ASSERT_TRUE(run({.program = kCopyDword, .first = ram.address(), .second = vram.address()}));
  EXPECT_EQ(vram.load(), 0x01010101u);
  ASSERT_TRUE(run({.program = kCopyDword, .first = vram.address(), .second = ram.address() + 8}));
  EXPECT_EQ(ram.load(2), 0x01010101u);
}

TEST_F(ThunkDispatch, AtomicsOfGpuAndCpuAddUp) {
  const Memory memory(kPage);
  ASSERT_TRUE(memory.ok());
  std::atomic<bool> stop{false};
  std::uint32_t added = 0;
  std::thread adder([&] {
    for (; !stop.load(); ++added) {
      std::atomic_ref(*memory.dwords()).fetch_add(1);
    }
  });
  const bool done = run({.program = kAddOne, .first = memory.address(), .groups_x = 1024});
  stop = true;
  adder.join();
  ASSERT_TRUE(done);
  EXPECT_EQ(memory.load(), 1024 + added);
}

TEST_F(ThunkDispatch, ScratchApertureReachesTheBackingMemory) {
  const Memory scratch(16 * kPage, Memory::Kind::Scratch);
  const Memory memory(kPage);
  ASSERT_TRUE(scratch.ok() && memory.ok());
  std::vector<HsaMemoryProperties> banks(gpu_.NumMemoryBanks);
  ASSERT_EQ(hsaKmtGetNodeMemoryProperties(kGpuNode, gpu_.NumMemoryBanks, banks.data()), HSAKMT_STATUS_SUCCESS);
  std::uint64_t aperture = 0;
  for (const auto& bank : banks) {
    aperture = bank.HeapType == HSA_HEAPTYPE_GPU_SCRATCH ? bank.VirtualBaseAddress : aperture;
  }
  ASSERT_NE(aperture, 0u);
  memory.store(0, 0x2468ace0);
  ASSERT_TRUE(run({.program = kCopyDwordScratch,
                   .first = memory.address(),
                   .second = aperture,
                   .scratch = scratch.address()}));
  ASSERT_TRUE(run({.program = kCopyDwordScratch,
                   .first = aperture,
                   .second = memory.address() + 4,
                   .scratch = scratch.address()}));
  EXPECT_EQ(memory.load(1), 0x2468ace0u);
}

TEST_F(ThunkDispatch, HdpFlushRegistersAreThere) {
  std::vector<HsaMemoryProperties> banks(gpu_.NumMemoryBanks);
  ASSERT_EQ(hsaKmtGetNodeMemoryProperties(kGpuNode, gpu_.NumMemoryBanks, banks.data()), HSAKMT_STATUS_SUCCESS);
  std::uint32_t* registers = nullptr;
  for (const auto& bank : banks) {
    registers = bank.HeapType == HSA_HEAPTYPE_MMIO_REMAP ? reinterpret_cast<std::uint32_t*>(bank.VirtualBaseAddress)
                                                         : registers;
  }
  ASSERT_NE(registers, nullptr);
  // The CPU writes VRAM under a shader that reads it, flushing in between.
  const Memory vram(kPage, Memory::Kind::Vram);
  Queue queue(HSA_QUEUE_COMPUTE);
  Program program;
  const Event done;
  ASSERT_TRUE(vram.ok() && queue.ok() && program.ok() && done.ok());
  vram.store(0, 0);
  program.start(queue, {.program = kCopyWhenTold, .first = vram.address()}, done);
  vram.store(1, 0xbeef);
  std::atomic_ref(registers[0]).store(1);
  vram.store(0, kGo);
  ASSERT_TRUE(done.wait());
  std::atomic_ref(registers[0]).store(1);
  EXPECT_EQ(vram.load(2), 0xbeefu);
  // A shader may write them, too.
  const Memory ram(kPage);
  ASSERT_TRUE(ram.ok());
  ram.store(0, 1);
  EXPECT_TRUE(run({.program = kCopyDword,
                   .first = ram.address(),
                   .second = reinterpret_cast<std::uintptr_t>(registers)}));
}

// ---- compute units ----

std::set<unsigned> units_used(const Memory& table, std::size_t groups) {
  std::set<unsigned> units;
  for (std::size_t i = 0; i < groups; ++i) {
    units.insert(table.load(i) >> 8 & 0xf);
  }
  return units;
}

TEST_F(ThunkDispatch, RunsOnTheComputeUnitsOfTheQueuesMaskOnly) {
  constexpr std::uint32_t kGroups = 1024;
  const Memory table(kPage);
  Queue queue(HSA_QUEUE_COMPUTE);
  Program program;
  const Event done;
  ASSERT_TRUE(table.ok() && queue.ok() && program.ok() && done.ok());
  const unsigned units = gpu_.NumFComputeCores / gpu_.NumSIMDPerCU;
  ASSERT_GE(units, 4u);
  ASSERT_EQ(gpu_.NumShaderBanks, 1u) << "HW_ID's CU_ID is unique";

  const Dispatch dispatch{.program = kStoreHwId, .first = table.address(), .groups_x = kGroups};
  program.start(queue, dispatch, done);
  ASSERT_TRUE(done.wait());
  EXPECT_GT(units_used(table, kGroups).size(), 1u) << "all of them without a mask";
  for (HSAuint32 mask : {0x4u, 0x9u, (1u << units) - 2}) {
    ASSERT_EQ(hsaKmtSetQueueCUMask(queue.resource().QueueId, 32, &mask), HSAKMT_STATUS_SUCCESS);
    program.start(queue, dispatch, done);
    ASSERT_TRUE(done.wait());
    for (const unsigned unit : units_used(table, kGroups)) {
      EXPECT_TRUE(mask >> unit & 1) << "mask " << mask << ", unit " << unit;
    }
  }
}

// ---- global wave sync ----

TEST_F(ThunkDispatch, GlobalSemaphoreExcludesWorkgroups) {
  constexpr std::uint32_t kGroups = 4096;
  ASSERT_EQ(gpu_.NumGws, 64u);
  const Memory memory(kPage);
  Queue queue(HSA_QUEUE_COMPUTE);
  Program program;
  const Event done;
  ASSERT_TRUE(memory.ok() && queue.ok() && program.ok() && done.ok());
  HSAuint32 first = ~0u;
  ASSERT_EQ(hsaKmtAllocQueueGWS(queue.resource().QueueId, gpu_.NumGws, &first), HSAKMT_STATUS_SUCCESS);
  EXPECT_EQ(first, 0u);
  memory.store(0, 1);
  program.start(queue, {.program = kInitSemaphore, .first = memory.address()}, done);
  ASSERT_TRUE(done.wait());
  program.start(queue, {.program = kAddOneUnderSemaphore, .first = memory.address(), .groups_x = kGroups}, done);
  ASSERT_TRUE(done.wait());
  EXPECT_EQ(memory.load(), kGroups + 1);
}

// ---- faults ----

// 0, or where it went wrong. All queues of the process end with the fault, so this is a child's work.
int provoke(bool read_only, bool xnack) {
  if (!open_thunk() || hsaKmtSetXNACKMode(xnack) != HSAKMT_STATUS_SUCCESS) {
    return 1;
  }
  const Memory source(kPage);
  const Memory protected_page(kPage, Memory::Kind::ReadOnlyRam);
  Queue queue(HSA_QUEUE_COMPUTE);
  Program program;
  const Event done;
  const Event fault(HSA_EVENTTYPE_MEMORY, true);
  if (!source.ok() || !protected_page.ok() || !queue.ok() || !program.ok() || !done.ok() || !fault.ok()) {
    return 2;
  }
  const std::uint64_t target = read_only ? protected_page.address() : 0x12345000;
  // Thousands of workgroups at once: told once.
  program.start(queue, {.program = kCopyDword, .first = source.address(), .second = target, .groups_x = 4096}, done);
  if (!fault.wait()) {
    return 3;
  }
  const HsaMemoryAccessFault& told = fault.get()->EventData.EventData.MemoryAccessFault;
  if (fault.get()->EventData.EventType != HSA_EVENTTYPE_MEMORY || told.NodeId != kGpuNode) {
    return 4;
  }
  if (told.VirtualAddress != target) {
    return 5;
  }
  if ((told.Failure.NotPresent != 0) == read_only || (told.Failure.ReadOnly != 0) != read_only) {
    return 6;
  }
  return queue.destroy() ? 0 : 7;
}

TEST(ThunkFault, UnmappedAddressIsTold) {
  KFDLAB_NEEDS_NODE("/dev/kfd");
  for (const bool xnack : {false, true}) {
    Child child([xnack](Peer&) { return provoke(false, xnack); });
    EXPECT_EQ(child.wait(), 0) << "XNACK " << xnack;
  }
}

TEST(ThunkFault, WriteToReadOnlyMemoryIsTold) {
  KFDLAB_NEEDS_NODE("/dev/kfd");
  for (const bool xnack : {false, true}) {
    Child child([xnack](Peer&) { return provoke(true, xnack); });
    EXPECT_EQ(child.wait(), 0) << "XNACK " << xnack;
  }
}

}  // namespace
}  // namespace kfdlab::thunk
