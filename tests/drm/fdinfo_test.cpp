// SPDX-License-Identifier: MIT
// fdinfo of the render node: who a file is, what it holds, and that all files together are what the GPU says is used.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "tests/drm/gem_fixture.h"
#include "tests/drm/kfd_buffers.h"
#include "tests/support/buffer.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

using Fdinfo = GemTest;

constexpr std::uint64_t kSize = 4 << 20;

TEST_F(Fdinfo, SaysWhoTheFileIs) {
  const auto keys = gem().fdinfo();
  ASSERT_TRUE(keys.contains("drm-driver") && keys.contains("drm-pdev") && keys.contains("drm-client-id"));
  EXPECT_EQ(keys.at("drm-driver"), "amdgpu");
  unsigned domain = 0;
  unsigned bus = 0;
  unsigned device = 0;
  unsigned function = 0;
  EXPECT_EQ(std::sscanf(keys.at("drm-pdev").c_str(), "%4x:%2x:%2x.%1u", &domain, &bus, &device, &function), 4)
      << keys.at("drm-pdev");
}

TEST_F(Fdinfo, ClientsAreDifferentFilesAndCopiesAreNot) {
  std::set<std::string> ids;
  std::vector<Fd> files;
  for (int i = 0; i < 5; ++i) {
    files.push_back(open_node());
    ids.insert(GemFile(files.back().get()).fdinfo()["drm-client-id"]);
  }
  EXPECT_EQ(ids.size(), 5u);
  const Fd copy(::dup(files[0].get()));
  EXPECT_EQ(GemFile(copy.get()).fdinfo()["drm-client-id"], GemFile(files[0].get()).fdinfo()["drm-client-id"]);
}

TEST_F(Fdinfo, CountsObjectsWhereTheyAre) {
  struct Row {
    std::uint64_t domain;
    const char* key;
    const char* requested;
  };
  const Row rows[] = {{AMDGPU_GEM_DOMAIN_VRAM, "drm-memory-vram", "amd-requested-vram"},
                      {AMDGPU_GEM_DOMAIN_GTT, "drm-memory-gtt", "amd-requested-gtt"},
                      {AMDGPU_GEM_DOMAIN_CPU, "drm-memory-cpu", nullptr}};
  for (const Row& row : rows) {
    EXPECT_EQ(gem().fdinfo_bytes(row.key), 0u);
    const std::uint32_t handle = make(kSize, row.domain);
    EXPECT_EQ(gem().fdinfo_bytes(row.key), kSize);
    if (row.requested != nullptr) {
      EXPECT_EQ(gem().fdinfo_bytes(row.requested), kSize);
    }
    const std::uint32_t second = make(kPageSize, row.domain);
    EXPECT_EQ(gem().fdinfo_bytes(row.key), kSize + kPageSize);
    EXPECT_EQ(gem().close(handle), 0);
    EXPECT_EQ(gem().fdinfo_bytes(row.key), kPageSize);
    EXPECT_EQ(gem().close(second), 0);
  }
}

TEST_F(Fdinfo, EvictedVramIsNamed) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_VRAM);
  EXPECT_EQ(gem().fdinfo_bytes("amd-evicted-vram"), 0u);
  evict_all_vram();
  EXPECT_EQ(gem().fdinfo_bytes("drm-memory-vram"), 0u);
  EXPECT_EQ(gem().fdinfo_bytes("amd-evicted-vram"), kSize);
  EXPECT_EQ(gem().fdinfo_bytes("amd-requested-vram"), kSize);
  EXPECT_EQ(gem().fdinfo_bytes("drm-memory-gtt") + gem().fdinfo_bytes("drm-memory-cpu"), kSize);
  EXPECT_EQ(gem().close(handle), 0);
}

TEST_F(Fdinfo, SharedObjectsAreNamedInEveryFile) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_VRAM);
  EXPECT_EQ(gem().fdinfo_bytes("drm-shared-vram"), 0u);
  Fd dma_buf;
  ASSERT_EQ(gem().to_dma_buf(handle, &dma_buf), 0);
  const Fd file = open_node();
  const GemFile other(file.get());
  std::uint32_t imported = 0;
  ASSERT_EQ(other.from_dma_buf(dma_buf.get(), &imported), 0);
  for (const GemFile& each : {gem(), other}) {
    EXPECT_EQ(each.fdinfo_bytes("drm-memory-vram"), kSize);
    EXPECT_EQ(each.fdinfo_bytes("drm-shared-vram"), kSize);
  }
  EXPECT_EQ(gem().close(handle), 0);
}

// Every file's own objects, and SVM pages, which belong to no file: together they are what is used.
TEST_F(Fdinfo, FilesAndSvmAddUpToVramUsage) {
  const Result<KfdClient> kfd = KfdClient::open();
  ASSERT_TRUE(kfd.ok()) << kfd.error().message;
  const Fd acquired = open_node();
  ASSERT_EQ(kfd.value().acquire_vm(gpu().gpu_id, acquired.get()), 0);
  const std::uint64_t before = vram_used();  // page tables, which are in no file
  std::vector<Fd> files;
  const auto sum = [&] {
    std::uint64_t bytes = GemFile(acquired.get()).fdinfo_bytes("drm-memory-vram");
    for (const Fd& file : files) {
      bytes += GemFile(file.get()).fdinfo_bytes("drm-memory-vram");
    }
    return bytes;
  };
  for (std::uint64_t i = 1; i <= 4; ++i) {
    files.push_back(open_node());
    std::uint32_t handle = 0;
    ASSERT_EQ(GemFile(files.back().get()).create(i * kSize, AMDGPU_GEM_DOMAIN_VRAM, 0, &handle), 0);
    EXPECT_EQ(vram_used() - before, sum()) << "after " << i << " objects";
  }
  // A buffer of KFD belongs to the file whose address space KFD took over.
  KfdAlloc buffer;
  const Buffer space(kSize / kPageSize);
  buffer.va = space.address();
  buffer.size = kSize;
  buffer.gpu_id = gpu().gpu_id;
  buffer.flags = KFD_IOC_ALLOC_MEM_FLAGS_VRAM | KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE | KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC;
  ASSERT_EQ(kfd.value().alloc(&buffer), 0);
  EXPECT_EQ(GemFile(acquired.get()).fdinfo_bytes("drm-memory-vram"), kSize);
  EXPECT_EQ(vram_used() - before, sum());

  const Buffer pages(512);
  fill_pattern(pages.bytes(), 1);
  ASSERT_EQ(kfd.value().svm_prefetch(pages.address(), pages.size(), gpu().gpu_id), 0);
  EXPECT_EQ(vram_used() - before, sum() + pages.size());
  ASSERT_EQ(kfd.value().svm_prefetch(pages.address(), pages.size(), kSvmSystem), 0);
  EXPECT_TRUE(eventually([&] { return vram_used() - before == sum(); }));

  evict_all_vram();
  EXPECT_TRUE(eventually([&] { return vram_used() - before == sum(); })) << vram_used() << " used, " << sum();
  EXPECT_EQ(sum(), 0u);
  EXPECT_EQ(kfd.value().free(buffer.handle), 0);
}

}  // namespace
}  // namespace kfdlab
