// SPDX-License-Identifier: MIT
#include "device/mmu/page_walker.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/mmu/support/test_gpu.h"

namespace kfdlab::device {
namespace {

constexpr std::uint64_t kVa = 0x7f1234500000;
constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t k2M = 2u << 20;

class PageWalkerTest : public testing::Test {
 protected:
  Translation walk(std::uint64_t va) { return gpu_.walker().walk(gpu_.root(), va); }
  // Where the byte at `va` is, or null.
  std::byte* byte_at(std::uint64_t va) {
    const Translation found = walk(va);
    return found.size == 0 ? nullptr : found.host + (va - found.start);
  }
  TestGpu gpu_;
};

TEST_F(PageWalkerTest, LocalPageIsAnOffsetIntoVram) {
  gpu_.map(kVa, 0x3000 | TestGpu::kReadWrite);
  const Translation found = walk(kVa + 5);
  EXPECT_EQ(found.start, kVa);
  EXPECT_EQ(found.size, kPage);
  EXPECT_EQ(found.host, gpu_.vram().data() + 0x3000);
  EXPECT_TRUE(found.readable && found.writable && found.executable);
  EXPECT_EQ(walk(kVa + kPage).size, 0u);
  EXPECT_EQ(walk(kVa - 1).size, 0u);
}

TEST_F(PageWalkerTest, SystemPageIsGuestPhysical) {
  gpu_.map(kVa, (TestGpu::kRamBase + 0x5000) | TestGpu::kSystem | TestGpu::kReadWrite);
  EXPECT_EQ(byte_at(kVa + 8), gpu_.ram().data() + 0x5008);
  gpu_.map(kVa, (TestGpu::kBarBase + KFDLAB_BAR_VRAM + 0x7000) | TestGpu::kSystem | TestGpu::kReadWrite);
  EXPECT_EQ(byte_at(kVa + 8), gpu_.vram().data() + 0x7008);
  gpu_.map(kVa, (TestGpu::kBarBase + KFDLAB_BAR_DOORBELLS + 0x2000) | TestGpu::kSystem | TestGpu::kReadWrite);
  EXPECT_EQ(byte_at(kVa + 8), gpu_.bar().doorbells().data() + 0x2008);
}

TEST_F(PageWalkerTest, RegistersRingsAndHolesAreNotMapped) {
  for (const std::uint64_t target :
       {TestGpu::kBarBase, TestGpu::kBarBase + KFDLAB_BAR_DEVICE_REGS, TestGpu::kBarBase + KFDLAB_BAR_IH_RING,
        TestGpu::kNowhere, TestGpu::kRamBase - kPage, TestGpu::kRamBase + TestGpu::kRamSize,
        TestGpu::kBarBase + TestGpu::kBarSize}) {
    gpu_.map(kVa, target | TestGpu::kSystem | TestGpu::kReadWrite);
    EXPECT_EQ(walk(kVa).size, 0u) << std::hex << target;
  }
  gpu_.map(kVa, TestGpu::kVramSize | TestGpu::kReadWrite);
  EXPECT_EQ(walk(kVa).size, 0u);
  gpu_.map(kVa, AMDGPU_PTE_ADDRESS | TestGpu::kReadWrite);
  EXPECT_EQ(walk(kVa).size, 0u);
}

TEST_F(PageWalkerTest, PermissionsAreTheEntrys) {
  gpu_.map(kVa, 0x3000 | TestGpu::kReadOnly);
  EXPECT_TRUE(walk(kVa).readable);
  EXPECT_FALSE(walk(kVa).writable);
  EXPECT_FALSE(walk(kVa).executable);
  gpu_.map(kVa, 0x3000 | AMDGPU_PTE_VALID | AMDGPU_PTE_WRITEABLE);
  EXPECT_FALSE(walk(kVa).writable) << "writing needs READABLE too";
  gpu_.map(kVa, 0x3000 | (TestGpu::kReadWrite & ~AMDGPU_PTE_VALID));
  EXPECT_EQ(walk(kVa).size, 0u);
}

TEST_F(PageWalkerTest, HugePagesAreOneTranslationOf2MiB) {
  const std::uint64_t va = 0x40000000;
  gpu_.map(va, k2M | AMDGPU_PDE_PTE | TestGpu::kReadWrite, KFDLAB_GPUVM_PDB0);
  Translation found = walk(va + 0x12345);
  EXPECT_EQ(found.start, va);
  EXPECT_EQ(found.size, k2M);
  EXPECT_EQ(found.host, gpu_.vram().data() + k2M);
  // 1 GiB maps beyond the end of VRAM: what exists is mapped.
  gpu_.map(0x80000000, 0 | AMDGPU_PDE_PTE | TestGpu::kReadWrite, KFDLAB_GPUVM_PDB1);
  found = walk(0x80000000 + 3 * k2M + 7);
  EXPECT_EQ(found.start, 0x80000000 + 3 * k2M);
  EXPECT_EQ(found.host, gpu_.vram().data() + 3 * k2M);
  EXPECT_EQ(walk(0x80000000 + TestGpu::kVramSize).size, 0u);
  EXPECT_EQ(walk(0x80000000 + TestGpu::kVramSize - 1).size, k2M);
}

TEST_F(PageWalkerTest, HugePageThatEndsOutsideIsMappedPageByPage) {
  const std::uint64_t va = 0x40000000;
  const std::uint64_t target = TestGpu::kRamBase + TestGpu::kRamSize - kPage;
  gpu_.map(va, target | TestGpu::kSystem | AMDGPU_PDE_PTE | TestGpu::kReadWrite, KFDLAB_GPUVM_PDB0);
  EXPECT_EQ(walk(va + 1).size, kPage);
  EXPECT_EQ(walk(va + kPage).size, 0u);
}

TEST_F(PageWalkerTest, FragmentsAreOneTranslation) {
  const std::uint64_t va = 0x50000000;
  gpu_.map_range(va, 0x10000 | TestGpu::kReadWrite | AMDGPU_PTE_FRAG(4), 0x10000);
  const Translation found = walk(va + 0x5123);
  EXPECT_EQ(found.start, va);
  EXPECT_EQ(found.size, 0x10000u);
  EXPECT_EQ(found.host, gpu_.vram().data() + 0x10000);
}

TEST_F(PageWalkerTest, FragmentIsNotBelievedBeyondTheEntriesThatAgree) {
  const std::uint64_t va = 0x50000000;
  gpu_.map_range(va, 0x10000 | TestGpu::kReadWrite | AMDGPU_PTE_FRAG(4), 0x10000);
  gpu_.unmap(va + 0x3000);
  gpu_.map(va + 0x8000, 0x18000 | TestGpu::kReadOnly | AMDGPU_PTE_FRAG(4));
  const Translation found = walk(va + 0x5123);
  EXPECT_EQ(found.start, va + 0x4000);
  EXPECT_EQ(found.size, 0x4000u);
  EXPECT_EQ(found.host, gpu_.vram().data() + 0x14000);
  EXPECT_EQ(walk(va + 0x3000).size, 0u);
  // A fragment of 2^31 pages and an address that its first page would put before VRAM.
  gpu_.map(va + 0x3000, 0 | TestGpu::kReadWrite | AMDGPU_PTE_FRAG(31));
  EXPECT_EQ(walk(va + 0x3000).size, kPage);
}

TEST_F(PageWalkerTest, NonCanonicalAddressesAreNotMapped) {
  gpu_.map(0x1000, 0x3000 | TestGpu::kReadWrite);
  EXPECT_NE(walk(0x1000).size, 0u);
  EXPECT_EQ(walk(0x1000 | 1ull << 48).size, 0u);
  EXPECT_EQ(walk(0x1000 | 1ull << 63).size, 0u);
}

TEST_F(PageWalkerTest, TablesOutsideMemoryAndLoopsEndTheWalk) {
  // A root that is its own PDB1, PDB0 and PTB: four levels, then a page.
  std::uint64_t root = gpu_.make_root();
  auto* const table = reinterpret_cast<std::uint64_t*>(gpu_.vram().data() + (root & AMDGPU_PTE_ADDRESS));
  table[0] = root | TestGpu::kReadWrite;
  EXPECT_EQ(gpu_.walker().walk(root, 0).host, gpu_.vram().data() + (root & AMDGPU_PTE_ADDRESS));
  for (const std::uint64_t pde : {0ull + TestGpu::kVramSize, TestGpu::kNowhere | AMDGPU_PTE_SYSTEM,
                                  (TestGpu::kBarBase + KFDLAB_BAR_DOORBELLS) | AMDGPU_PTE_SYSTEM, AMDGPU_PTE_ADDRESS}) {
    table[0] = pde | AMDGPU_PTE_VALID;
    EXPECT_EQ(gpu_.walker().walk(root, 0).size, 0u) << std::hex << pde;
    EXPECT_EQ(gpu_.walker().walk(pde | AMDGPU_PTE_VALID, 0).size, 0u) << std::hex << pde;
  }
  EXPECT_EQ(gpu_.walker().walk(0, 0).size, 0u);
}

TEST_F(PageWalkerTest, TablesMayLieInRam) {
  auto* const table = reinterpret_cast<std::uint64_t*>(gpu_.ram().data());
  const std::uint64_t root = TestGpu::kRamBase | TestGpu::kSystem | AMDGPU_PTE_VALID;
  table[0] = root;
  table[1] = (TestGpu::kRamBase + 0x1000) | TestGpu::kSystem | TestGpu::kReadWrite;
  EXPECT_EQ(gpu_.walker().walk(root, 0x1004).host, gpu_.ram().data() + 0x1000);
}

TEST_F(PageWalkerTest, NoRetryIsTold) {
  gpu_.map(kVa, AMDGPU_VM_NORETRY_FLAGS);
  EXPECT_EQ(walk(kVa).size, 0u);
  EXPECT_TRUE(walk(kVa).no_retry);
  gpu_.map(kVa, AMDGPU_VM_NORETRY_FLAGS & ~AMDGPU_PTE_TF);
  EXPECT_FALSE(walk(kVa).no_retry);
}

TEST_F(PageWalkerTest, RandomTablesNeverLeadOutsideMemory) {
  std::mt19937_64 random(1);
  auto* const words = reinterpret_cast<std::uint64_t*>(gpu_.vram().data());
  const std::uint64_t pages = gpu_.vram().size() / kPage;
  const std::uint64_t flags = TestGpu::kReadWrite | AMDGPU_PTE_SYSTEM | AMDGPU_PDE_PTE | AMDGPU_PTE_FRAG_MASK;
  for (std::size_t i = 0; i < gpu_.vram().size() / 8; ++i) {
    const std::uint64_t bits = random();
    const std::uint64_t near = bits % (pages + pages / 8) * kPage;
    const std::uint64_t far = bits & AMDGPU_PTE_ADDRESS;
    words[i] = ((bits >> 60) == 0 ? far : near) | (random() & flags) | ((bits >> 58 & 3) != 0 ? AMDGPU_PTE_VALID : 0);
    if ((words[i] & AMDGPU_PTE_SYSTEM) != 0 && (bits >> 57 & 1) != 0) {
      words[i] += bits >> 56 & 1 ? TestGpu::kRamBase : TestGpu::kBarBase + KFDLAB_BAR_DOORBELLS;
    }
  }
  unsigned mapped = 0;
  for (int i = 0; i < 200000; ++i) {
    const std::uint64_t va = random() >> 16;
    const std::uint64_t root = (random() % pages) * kPage | AMDGPU_PTE_VALID;
    const Translation found = gpu_.walker().walk(root, va);
    if (found.size == 0) {
      continue;
    }
    ++mapped;
    ASSERT_LE(found.start, va);
    ASSERT_LT(va - found.start, found.size);
    const auto inside = [&](std::span<std::byte> memory) {
      return found.host >= memory.data() && found.host + found.size <= memory.data() + memory.size();
    };
    ASSERT_TRUE(inside(gpu_.vram()) || inside(gpu_.ram()) || inside(gpu_.bar().doorbells()));
  }
  EXPECT_GT(mapped, 1000u);
}

}  // namespace
}  // namespace kfdlab::device
