// SPDX-License-Identifier: MIT
#include "device/mmu/tlb.h"

#include <gtest/gtest.h>

#include "tests/unit/mmu/support/test_gpu.h"

namespace kfdlab::device {
namespace {

constexpr std::uint64_t kVa = 0x7f1234600000;
constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t k2M = 2u << 20;
constexpr auto kRead = MemoryAccess::Read;
constexpr auto kWrite = MemoryAccess::Write;
constexpr auto kExecute = MemoryAccess::Execute;

class TlbTest : public testing::Test {
 protected:
  TlbTest() { tlb_.catch_up(); }

  template <MemoryAccess kAccess = kRead>
  std::byte* get(std::uint64_t va, std::uint32_t vmid = TestGpu::kVmid) {
    return tlb_.translate<kAccess>(Tlb::key(vmid), va, fault_);
  }
  std::byte* vram(std::uint64_t offset) { return gpu_.vram().data() + offset; }

  TestGpu gpu_;
  Tlb tlb_{gpu_.spaces(), gpu_.walker()};
  MemoryFault fault_;
};

TEST_F(TlbTest, SecondLookUpOfAPageDoesNotWalk) {
  gpu_.map(kVa, 0x3000 | TestGpu::kReadWrite);
  EXPECT_EQ(tlb_.find<kRead>(Tlb::key(TestGpu::kVmid), kVa), nullptr);
  EXPECT_EQ(get(kVa + 12), vram(0x300c));
  EXPECT_EQ(tlb_.find<kRead>(Tlb::key(TestGpu::kVmid), kVa + 4095), vram(0x3fff));
  EXPECT_EQ(tlb_.find<kWrite>(Tlb::key(TestGpu::kVmid), kVa), vram(0x3000));
  EXPECT_EQ(tlb_.find<kRead>(Tlb::key(TestGpu::kVmid), kVa + 4096), nullptr);
  EXPECT_EQ(tlb_.counters().walks, 1u);
  EXPECT_EQ(tlb_.counters().misses, 1u);
}

TEST_F(TlbTest, AddressSpacesAreApart) {
  const std::uint64_t root = gpu_.make_root();
  gpu_.spaces().set_root(9, root);
  gpu_.map(kVa, 0x3000 | TestGpu::kReadWrite);
  gpu_.entry(root, kVa, KFDLAB_GPUVM_PTB) = 0x8000 | TestGpu::kReadWrite;
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(get(kVa, TestGpu::kVmid), vram(0x3000));
    EXPECT_EQ(get(kVa, 9), vram(0x8000));
    EXPECT_EQ(get(kVa, 10), nullptr);
    EXPECT_EQ(fault_.vmid, 10u);
  }
}

TEST_F(TlbTest, FaultSaysWhatHappened) {
  EXPECT_EQ(get<kWrite>(kVa + 0x123), nullptr);
  EXPECT_EQ(fault_, (MemoryFault{.page = kVa, .vmid = TestGpu::kVmid, .access = kWrite}));
  gpu_.map(kVa, 0x3000 | TestGpu::kReadOnly);
  EXPECT_EQ(get<kWrite>(kVa + 0x123), nullptr);
  EXPECT_EQ(
      fault_,
      (MemoryFault{.page = kVa, .vmid = TestGpu::kVmid, .access = kWrite, .reason = MemoryFault::Reason::Permission}));
  EXPECT_EQ(get<kExecute>(kVa), nullptr);
  EXPECT_EQ(fault_.access, kExecute);
  EXPECT_EQ(get<kRead>(kVa), vram(0x3000));
  gpu_.map(kVa + kPage, AMDGPU_VM_NORETRY_FLAGS);
  EXPECT_EQ(get<kRead>(kVa + kPage), nullptr);
  EXPECT_TRUE(fault_.no_retry);
  EXPECT_EQ(get<kRead>(1ull << 48 | 0x1000), nullptr);
  EXPECT_EQ(fault_.page, 1ull << 48 | 0x1000);
}

TEST_F(TlbTest, FaultsAreNotRemembered) {
  EXPECT_EQ(get(kVa), nullptr);
  gpu_.map(kVa, 0x3000 | TestGpu::kReadOnly);
  EXPECT_EQ(get(kVa), vram(0x3000));
  EXPECT_EQ(get<kWrite>(kVa), nullptr);
  gpu_.map(kVa, 0x3000 | TestGpu::kReadWrite);
  EXPECT_EQ(get<kWrite>(kVa), vram(0x3000));
}

TEST_F(TlbTest, HugePageWalksOnce) {
  gpu_.map(kVa, k2M | AMDGPU_PDE_PTE | TestGpu::kReadWrite, KFDLAB_GPUVM_PDB0);
  for (std::uint64_t offset = 0; offset < k2M; offset += kPage) {
    ASSERT_EQ(get(kVa + offset + 8), vram(k2M + offset + 8));
  }
  EXPECT_EQ(tlb_.counters().walks, 1u);
  EXPECT_EQ(tlb_.counters().misses, 512u);
}

TEST_F(TlbTest, InvalidationOfARangeDropsThatAndNothingElse) {
  gpu_.map_range(kVa, 0x10000 | TestGpu::kReadWrite, 4 * kPage);
  for (int i = 0; i < 4; ++i) {
    EXPECT_NE(get(kVa + i * kPage), nullptr);
  }
  gpu_.map_range(kVa, 0x20000 | TestGpu::kReadWrite, 4 * kPage);
  gpu_.spaces().invalidate({.vmid = TestGpu::kVmid, .first_page = kVa / kPage + 1, .pages = 2});
  gpu_.spaces().invalidate({.vmid = 9, .first_page = kVa / kPage, .pages = 4});
  EXPECT_EQ(get(kVa + kPage), vram(0x11000)) << "before the safe point";
  EXPECT_TRUE(tlb_.catch_up());
  EXPECT_FALSE(tlb_.catch_up());
  EXPECT_EQ(get(kVa), vram(0x10000));
  EXPECT_EQ(get(kVa + kPage), vram(0x21000));
  EXPECT_EQ(get(kVa + 2 * kPage), vram(0x22000));
  EXPECT_EQ(get(kVa + 3 * kPage), vram(0x13000));
}

TEST_F(TlbTest, InvalidationOfOnePageDropsTheHugePageAround) {
  gpu_.map(kVa, k2M | AMDGPU_PDE_PTE | TestGpu::kReadWrite, KFDLAB_GPUVM_PDB0);
  EXPECT_EQ(get(kVa), vram(k2M));
  EXPECT_EQ(get(kVa + 7 * kPage), vram(k2M + 7 * kPage));
  gpu_.entry(gpu_.root(), kVa, KFDLAB_GPUVM_PDB0) = 0;
  gpu_.spaces().invalidate({.vmid = TestGpu::kVmid, .first_page = kVa / kPage + 7, .pages = 1});
  tlb_.catch_up();
  EXPECT_EQ(get(kVa + 7 * kPage), nullptr);
  EXPECT_EQ(get(kVa + 9 * kPage), nullptr) << "not from the range either";
}

TEST_F(TlbTest, WholeVmidAndNewRoot) {
  const std::uint64_t root = gpu_.make_root();
  gpu_.spaces().set_root(9, root);
  tlb_.catch_up();
  gpu_.entry(root, kVa, KFDLAB_GPUVM_PTB) = 0x8000 | TestGpu::kReadWrite;
  gpu_.map(kVa, 0x3000 | TestGpu::kReadWrite);
  EXPECT_EQ(get(kVa), vram(0x3000));
  EXPECT_EQ(get(kVa, 9), vram(0x8000));
  gpu_.spaces().set_root(TestGpu::kVmid, 0);
  gpu_.entry(root, kVa, KFDLAB_GPUVM_PTB) = 0;
  tlb_.catch_up();
  EXPECT_EQ(get(kVa), nullptr);
  EXPECT_EQ(get(kVa, 9), vram(0x8000));
}

TEST_F(TlbTest, AnyNumberOfInvalidationsIsSeen) {
  for (const int count : {1, 8, 9, 64, 65, 1000}) {
    gpu_.map(kVa, 0x3000 | TestGpu::kReadWrite);
    EXPECT_EQ(get(kVa), vram(0x3000));
    gpu_.unmap(kVa);
    gpu_.spaces().invalidate({.vmid = TestGpu::kVmid, .first_page = kVa / kPage, .pages = 1});
    for (int i = 1; i < count; ++i) {
      gpu_.spaces().invalidate({.vmid = 3, .first_page = 77, .pages = 1});
    }
    tlb_.catch_up();
    EXPECT_EQ(get(kVa), nullptr) << count;
  }
}

TEST_F(TlbTest, InvalidationRangesDoNotWrap) {
  const Invalidation all{.vmid = 1, .first_page = 5, .pages = ~0ull};
  EXPECT_TRUE(all.hits(1, 5 * kPage, kPage));
  EXPECT_TRUE(all.hits(1, 0, k2M));
  EXPECT_FALSE(all.hits(1, 0, 5 * kPage));
  EXPECT_FALSE(all.hits(2, 5 * kPage, kPage));
  const Invalidation far{.vmid = 1, .first_page = ~0ull, .pages = 2};
  EXPECT_FALSE(far.hits(1, 0, kPage));
  const Invalidation one{.vmid = 1, .first_page = 512 + 511, .pages = 1};
  EXPECT_TRUE(one.hits(1, k2M, k2M));
  EXPECT_FALSE(one.hits(1, 2 * k2M, k2M));
}

}  // namespace
}  // namespace kfdlab::device
