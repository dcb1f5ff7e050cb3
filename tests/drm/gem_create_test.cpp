// SPDX-License-Identifier: MIT
// GEM_CREATE: which objects there are, where they come to lie, that they are zero, and what is refused how.
#include <cerrno>
#include <vector>

#include "tests/drm/gem_fixture.h"
#include "tests/support/buffer.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

using GemCreate = GemTest;

constexpr std::uint64_t kSize = 2 << 20;
constexpr std::uint64_t kSeed = 0x9e3;

struct Place {
  const char* name;
  std::uint64_t domains;
  bool vram;  // where such an object lies while there is room
};
constexpr Place kPlaces[] = {
    {"VRAM", AMDGPU_GEM_DOMAIN_VRAM, true},
    {"GTT", AMDGPU_GEM_DOMAIN_GTT, false},
    {"CPU", AMDGPU_GEM_DOMAIN_CPU, false},
    {"none", 0, false},
    {"VRAM or GTT", AMDGPU_GEM_DOMAIN_VRAM | AMDGPU_GEM_DOMAIN_GTT, true},
    {"GTT or CPU", AMDGPU_GEM_DOMAIN_GTT | AMDGPU_GEM_DOMAIN_CPU, false},
};

TEST_F(GemCreate, ObjectLiesInItsDomainAndStartsZeroed) {
  for (const Place& place : kPlaces) {
    // The second round reuses memory that had something in it.
    for (int round = 0; round < 2; ++round) {
      const std::uint32_t handle = make(kSize, place.domains);
      const GemMapping mapping(fd(), offset_of(handle), kSize);
      ASSERT_TRUE(mapping.valid()) << place.name;
      EXPECT_TRUE(mapping.all_zero()) << place.name;
      const PageCensus expected{0, place.vram ? 0 : mapping.npages(), place.vram ? mapping.npages() : 0};
      EXPECT_EQ(homes(mapping), expected) << place.name;
      fill_pattern(mapping.bytes(), kSeed);
      EXPECT_EQ(pattern_error(mapping.bytes(), kSeed), "") << place.name;
      EXPECT_EQ(gem().close(handle), 0);
    }
  }
  expect_usage_back();
}

TEST_F(GemCreate, InfoTellsWhatWasAskedFor) {
  for (const Place& place : kPlaces) {
    std::uint32_t handle = 0;
    ASSERT_EQ(gem().create(kSize - 100, place.domains, 0, &handle, 1 << 16), 0) << place.name;
    drm_amdgpu_gem_create_in info = {};
    ASSERT_EQ(gem().create_info(handle, &info), 0);
    EXPECT_EQ(info.bo_size, kSize) << "rounded up to pages";
    EXPECT_EQ(info.alignment, 1u << 16);
    EXPECT_EQ(info.domains, place.domains) << place.name;
    EXPECT_EQ(gem().close(handle), 0);
  }
}

TEST_F(GemCreate, FlagsAreHonouredOrForgottenLikeHints) {
  struct Flag {
    std::uint64_t given;
    bool kept;
  };
  const Flag flags[] = {
      {AMDGPU_GEM_CREATE_CPU_ACCESS_REQUIRED, false}, {AMDGPU_GEM_CREATE_NO_CPU_ACCESS, true},
      {AMDGPU_GEM_CREATE_VRAM_CLEARED, true},         {AMDGPU_GEM_CREATE_VM_ALWAYS_VALID, true},
      {AMDGPU_GEM_CREATE_EXPLICIT_SYNC, true},        {kDiscardable, true},
  };
  for (const Flag& flag : flags) {
    const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_VRAM, flag.given);
    drm_amdgpu_gem_create_in info = {};
    ASSERT_EQ(gem().create_info(handle, &info), 0);
    EXPECT_EQ((info.domain_flags & flag.given) != 0, flag.kept) << "flag " << flag.given;
    EXPECT_EQ(gem().close(handle), 0);
  }
  const std::uint32_t write_combined = make(kSize, AMDGPU_GEM_DOMAIN_GTT, AMDGPU_GEM_CREATE_CPU_GTT_USWC);
  EXPECT_EQ(gem().close(write_combined), 0);
}

TEST_F(GemCreate, BadArgumentsAreRefused) {
  struct Row {
    const char* what;
    std::uint64_t size, domains, flags, alignment;
    int error;
  };
  const std::uint64_t vram = AMDGPU_GEM_DOMAIN_VRAM;
  const std::uint64_t gtt = AMDGPU_GEM_DOMAIN_GTT;
  const Row rows[] = {
      {"doorbell", kSize, 0x40, 0, 0, EINVAL},
      {"unknown domain", kSize, vram | 0x80, 0, 0, EINVAL},
      {"domain beyond 32 bits", kSize, vram | 1ull << 40, 0, 0, EINVAL},
      {"VRAM and GDS", kSize, vram | AMDGPU_GEM_DOMAIN_GDS, 0, 0, EINVAL},
      {"encrypted", kSize, vram, AMDGPU_GEM_CREATE_ENCRYPTED, 0, EINVAL},
      {"contiguous", kSize, vram, AMDGPU_GEM_CREATE_VRAM_CONTIGUOUS, 0, EINVAL},
      {"kernel's own flag", kSize, gtt, AMDGPU_GEM_CREATE_PREEMPTIBLE, 0, EINVAL},
      {"unknown flag", kSize, vram, 1ull << 40, 0, EINVAL},
      {"all flags", kSize, vram, ~0ull, 0, EINVAL},
      {"nothing", 0, vram, 0, 0, EINVAL},
      {"alignment no power of two", kSize, vram, 0, 3 * kPageSize, EINVAL},
      {"alignment beyond VRAM", kSize, vram, 0, 1ull << 50, EINVAL},
      {"larger than any heap", 1ull << 50, vram, 0, 0, ENOMEM},
      {"larger than GTT", 1ull << 50, gtt, 0, 0, ENOMEM},
      {"wraps when rounded up", ~0ull, vram, 0, 0, ENOMEM},
      {"wraps when rounded up", ~0ull, gtt, 0, 0, ENOMEM},
      {"wraps when rounded up", ~0ull - 4094, AMDGPU_GEM_DOMAIN_CPU, 0, 0, ENOMEM},
  };
  for (const Row& row : rows) {
    std::uint32_t handle = 0;
    EXPECT_EQ(gem().create(row.size, row.domains, row.flags, &handle, row.alignment), row.error) << row.what;
  }
  expect_usage_back();
}

// This GPU has none of the on-chip heaps.
TEST_F(GemCreate, OnChipHeapsAreRefused) {
  for (const std::uint64_t domain : {AMDGPU_GEM_DOMAIN_GDS, AMDGPU_GEM_DOMAIN_GWS, AMDGPU_GEM_DOMAIN_OA}) {
    std::uint32_t handle = 0;
    EXPECT_EQ(gem().create(kPageSize, domain, 0, &handle), EINVAL) << "domain " << domain;
  }
}

TEST_F(GemCreate, AlignmentIsKeptInVram) {
  // Alignment is of the place in VRAM, which itself begins at 2 MiB.
  std::vector<std::uint32_t> handles;
  for (const std::uint64_t alignment : {1ull << 16, 1ull << 21, 1ull << 20, 1ull << 21}) {
    std::uint32_t handle = 0;
    ASSERT_EQ(gem().create(kPageSize, AMDGPU_GEM_DOMAIN_VRAM, 0, &handle, alignment), 0);
    const GemMapping mapping(fd(), offset_of(handle), kPageSize);
    ASSERT_TRUE(mapping.valid());
    EXPECT_TRUE(mapping.all_zero());
    const std::uint64_t at = frame(mapping.data());
    EXPECT_EQ(at * kPageSize % alignment, 0u) << "frame " << at << ", alignment " << alignment;
    handles.push_back(handle);
  }
  for (const std::uint32_t handle : handles) {
    EXPECT_EQ(gem().close(handle), 0);
  }
}

// A wish for VRAM that cannot be met falls back to GTT, and the object says so.
TEST_F(GemCreate, VramThatDoesNotFitFallsBackToGtt) {
  std::vector<std::uint32_t> handles;
  constexpr std::uint64_t kStep = 64 << 20;
  const std::uint64_t left = gpu().vram_bytes - vram_used();
  for (std::uint64_t i = 0; i < left / kStep; ++i) {
    handles.push_back(make(kStep, AMDGPU_GEM_DOMAIN_VRAM, AMDGPU_GEM_CREATE_NO_CPU_ACCESS));
  }
  const std::uint64_t gtt_before = gtt_used();
  const std::uint32_t handle = make(kStep, AMDGPU_GEM_DOMAIN_VRAM);
  drm_amdgpu_gem_create_in info = {};
  ASSERT_EQ(gem().create_info(handle, &info), 0);
  EXPECT_EQ(info.domains, static_cast<std::uint64_t>(AMDGPU_GEM_DOMAIN_VRAM | AMDGPU_GEM_DOMAIN_GTT));
  EXPECT_GE(gtt_used(), gtt_before + kStep);
  EXPECT_LE(vram_used(), gpu().vram_bytes);
  EXPECT_EQ(gem().close(handle), 0);
  for (const std::uint32_t each : handles) {
    EXPECT_EQ(gem().close(each), 0);
  }
  expect_usage_back();
}

// What an unprivileged process can take ends at the heaps' sizes, with an error and without anybody being killed.
TEST_F(GemCreate, HeapsTogetherAreTheLimit) {
  drm_amdgpu_info_vram_gtt heaps = {};
  ASSERT_EQ(info(AMDGPU_INFO_VRAM_GTT, &heaps, sizeof(heaps)), 0);
  constexpr std::uint64_t kStep = 128 << 20;
  for (const std::uint64_t domain : {AMDGPU_GEM_DOMAIN_GTT, AMDGPU_GEM_DOMAIN_CPU}) {
    std::vector<std::uint32_t> handles;
    int error = 0;
    while (error == 0 && handles.size() * kStep <= heaps.gtt_size) {
      std::uint32_t handle = 0;
      error = gem().create(kStep, domain, AMDGPU_GEM_CREATE_NO_CPU_ACCESS, &handle);
      if (error == 0) {
        handles.push_back(handle);
      }
    }
    EXPECT_EQ(error, ENOMEM) << "domain " << domain;
    EXPECT_FALSE(handles.empty());
    for (const std::uint32_t handle : handles) {
      EXPECT_EQ(gem().close(handle), 0);
    }
  }
  expect_usage_back();
}

TEST_F(GemCreate, ClosedAndForeignHandlesAreUnknown) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_GTT);
  const Fd file = open_node();
  const GemFile other(file.get());
  EXPECT_EQ(gem().close(handle), 0);
  for (const GemFile& each : {gem(), other}) {
    std::uint64_t offset = 0;
    bool busy = false;
    drm_amdgpu_gem_metadata metadata;
    drm_amdgpu_gem_create_in info;
    Fd dma_buf;
    EXPECT_EQ(each.close(handle), EINVAL);
    EXPECT_EQ(each.mmap_offset(handle, &offset), ENOENT);
    EXPECT_EQ(each.wait_idle(handle, 0, &busy), ENOENT);
    EXPECT_EQ(each.get_metadata(handle, &metadata), ENOENT);
    EXPECT_EQ(each.create_info(handle, &info), ENOENT);
    EXPECT_EQ(each.va(AMDGPU_VA_OP_MAP, handle, 1 << 24, kSize), ENOENT);
    EXPECT_EQ(each.to_dma_buf(handle, &dma_buf), ENOENT);
  }
}

// libdrm's own way through all of it.
TEST_F(GemCreate, LibdrmAllocatesMapsAndFrees) {
  const AmdgpuDevice device = initialize();
  ASSERT_NE(device, nullptr);
  amdgpu_bo_alloc_request request = {};
  request.alloc_size = kSize;
  request.preferred_heap = AMDGPU_GEM_DOMAIN_VRAM;
  amdgpu_bo_handle object = nullptr;
  ASSERT_EQ(amdgpu_bo_alloc(device.get(), &request, &object), 0);
  std::uint64_t va = 0;
  amdgpu_va_handle range = nullptr;
  ASSERT_EQ(amdgpu_va_range_alloc(device.get(), amdgpu_gpu_va_range_general, kSize, kSize, 0, &va, &range, 0), 0);
  EXPECT_EQ(amdgpu_bo_va_op(object, 0, kSize, va, 0, AMDGPU_VA_OP_MAP), 0);
  void* cpu = nullptr;
  ASSERT_EQ(amdgpu_bo_cpu_map(object, &cpu), 0);
  const std::span<std::byte> bytes(static_cast<std::byte*>(cpu), kSize);
  fill_pattern(bytes, kSeed);
  EXPECT_EQ(pattern_error(bytes, kSeed), "");
  bool busy = true;
  EXPECT_EQ(amdgpu_bo_wait_for_idle(object, 1'000'000'000, &busy), 0);
  EXPECT_FALSE(busy);
  amdgpu_bo_info description = {};
  EXPECT_EQ(amdgpu_bo_query_info(object, &description), 0);
  EXPECT_EQ(description.alloc_size, kSize);
  EXPECT_EQ(description.preferred_heap, static_cast<std::uint32_t>(AMDGPU_GEM_DOMAIN_VRAM));
  EXPECT_EQ(amdgpu_bo_cpu_unmap(object), 0);
  EXPECT_EQ(amdgpu_bo_va_op(object, 0, kSize, va, 0, AMDGPU_VA_OP_UNMAP), 0);
  EXPECT_EQ(amdgpu_va_range_free(range), 0);
  EXPECT_EQ(amdgpu_bo_free(object), 0);
}

}  // namespace
}  // namespace kfdlab
