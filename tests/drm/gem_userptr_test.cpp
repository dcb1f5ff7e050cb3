// SPDX-License-Identifier: MIT
// GEM_USERPTR: memory of a process as an object. It is watched, never pinned: the process may do with it what it wants.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "tests/drm/gem_fixture.h"
#include "tests/support/buffer.h"
#include "tests/support/child.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

using GemUserptr = GemTest;

constexpr std::size_t kPages = 64;
constexpr std::uint64_t kSeed = 0x05e7;
constexpr std::uint32_t kWatched = AMDGPU_GEM_USERPTR_REGISTER;
constexpr std::uint32_t kValidated = AMDGPU_GEM_USERPTR_REGISTER | AMDGPU_GEM_USERPTR_VALIDATE;

TEST_F(GemUserptr, BadArgumentsAreRefused) {
  const Buffer buffer(kPages);
  struct Row {
    const char* what;
    const void* start;
    std::uint64_t size;
    std::uint32_t flags;
    int error;
  };
  const auto at = [](std::uint64_t address) { return reinterpret_cast<const void*>(address); };
  const Row rows[] = {
      {"nothing", buffer.data(), 0, kWatched, EINVAL},
      {"address no page", buffer.data() + 8, kPageSize, kWatched, EINVAL},
      {"size no page", buffer.data(), 100, kWatched, EINVAL},
      {"unknown flag", buffer.data(), kPageSize, kWatched | 16, EINVAL},
      {"all flags", buffer.data(), kPageSize, ~0u, EINVAL},
      {"writable and not watched", buffer.data(), kPageSize, 0, EACCES},
      {"the same, validated", buffer.data(), kPageSize, AMDGPU_GEM_USERPTR_VALIDATE, EACCES},
      {"kernel addresses", at(0xffff888000000000), kPageSize, kWatched, EFAULT},
      {"wraps", at(~0ull - 4095), 2 * kPageSize, kWatched, EFAULT},
      {"everything", at(4096), (1ull << 47) - 16 * kPageSize, kWatched, ENOMEM},
      {"nothing mapped there", at(4096), kPageSize, kValidated, EFAULT},
      {"runs into a hole", buffer.page(kPages - 1), 4 * kPageSize, kValidated, EFAULT},
  };
  for (const Row& row : rows) {
    std::uint32_t handle = 0;
    EXPECT_EQ(gem().userptr(row.start, row.size, row.flags, &handle), row.error) << row.what;
  }
}

TEST_F(GemUserptr, IsAnObjectOfGttWithoutMemoryOfItsOwn) {
  const Buffer buffer(kPages);
  fill_pattern(buffer.bytes(), kSeed);
  const std::uint64_t gtt = gtt_used();
  std::uint32_t handle = 0;
  ASSERT_EQ(gem().userptr(buffer.data(), buffer.size(), kValidated, &handle), 0);
  drm_amdgpu_gem_create_in info = {};
  ASSERT_EQ(gem().create_info(handle, &info), 0);
  EXPECT_EQ(info.bo_size, buffer.size());
  EXPECT_EQ(info.domains, static_cast<std::uint64_t>(AMDGPU_GEM_DOMAIN_GTT));
  EXPECT_LE(gtt_used(), gtt + buffer.size());
  EXPECT_EQ(gem().va(AMDGPU_VA_OP_MAP, handle, 1ull << 32, buffer.size()), 0);
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
  EXPECT_EQ(gem().close(handle), 0);
}

TEST_F(GemUserptr, CannotBeMappedMovedOrExported) {
  const Buffer buffer(kPages);
  std::uint32_t handle = 0;
  ASSERT_EQ(gem().userptr(buffer.data(), buffer.size(), kWatched, &handle), 0);
  std::uint64_t offset = 0;
  Fd dma_buf;
  EXPECT_EQ(gem().mmap_offset(handle, &offset), EPERM);
  EXPECT_EQ(gem().set_placement(handle, AMDGPU_GEM_DOMAIN_GTT), EPERM);
  EXPECT_EQ(gem().to_dma_buf(handle, &dma_buf), EPERM);
  EXPECT_EQ(gem().close(handle), 0);
}

TEST_F(GemUserptr, ValidationFaultsPagesInAndPinsNone) {
  const Result<PageOracle> oracle = PageOracle::open();
  ASSERT_TRUE(oracle.ok());
  const Buffer buffer(kPages);
  const Result<PinCounts> before = read_pin_counts();
  std::uint32_t handle = 0;
  ASSERT_EQ(gem().userptr(buffer.data(), buffer.size(), kValidated, &handle), 0);
  EXPECT_EQ(oracle.value().census(buffer.data(), kPages).ram, kPages) << "faulted in";
  const Result<PinCounts> after = read_pin_counts();
  ASSERT_TRUE(before.ok() && after.ok());
  EXPECT_EQ(after.value().acquired, before.value().acquired);
  const Result<TestDevice> device = TestDevice::open();
  ASSERT_TRUE(device.ok());
  for (const kfdlab_page& page : device.value().pages(buffer.data(), kPages).take()) {
    // A write fault leaves a private page of the process: its page table, and perhaps a batch of LRU updates.
    EXPECT_LE(page.refcount, 2u);
    EXPECT_EQ(page.flags & KFDLAB_PAGE_MAYBE_PINNED, 0u);
  }
  EXPECT_EQ(gem().close(handle), 0);
}

// READONLY needs no page of one's own: the shared zero page will do.
TEST_F(GemUserptr, ReadOnlyValidationDoesNotWrite) {
  const Buffer buffer(kPages);
  buffer.protect(0, kPages, PROT_READ);
  std::uint32_t handle = 0;
  EXPECT_EQ(gem().userptr(buffer.data(), buffer.size(), kValidated, &handle), EPERM) << "not writable";
  EXPECT_EQ(
      gem().userptr(buffer.data(), buffer.size(), AMDGPU_GEM_USERPTR_READONLY | AMDGPU_GEM_USERPTR_VALIDATE, &handle),
      0);
  EXPECT_EQ(gem().close(handle), 0);
}

TEST_F(GemUserptr, AnonymousOnlyRefusesFiles) {
  const Fd file(::memfd_create("gem_userptr", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), kPages * kPageSize), 0);
  const Buffer mapped(kPages, file.get(), MAP_SHARED);
  std::uint32_t handle = 0;
  const std::uint32_t flags = kValidated | AMDGPU_GEM_USERPTR_ANONONLY;
  EXPECT_EQ(gem().userptr(mapped.data(), mapped.size(), flags, &handle), EPERM);
  EXPECT_EQ(gem().userptr(mapped.data(), mapped.size(), kValidated, &handle), 0);
  EXPECT_EQ(gem().close(handle), 0);
  const Buffer anonymous(kPages);
  EXPECT_EQ(gem().userptr(anonymous.data(), anonymous.size(), flags, &handle), 0);
  EXPECT_EQ(gem().close(handle), 0);
}

// Everything a process may do to its memory, it may still do, and another object over the same pages is no trouble.
TEST_F(GemUserptr, OwnerMayUnmapRemapForkAndProtect) {
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  {
    Buffer buffer(kPages);
    fill_pattern(buffer.bytes(), kSeed);
    ASSERT_EQ(gem().userptr(buffer.data(), buffer.size(), kValidated, &first), 0);
    ASSERT_EQ(gem().userptr(buffer.page(8), 8 * kPageSize, kValidated, &second), 0);
    buffer.protect(0, kPages, PROT_READ);
    buffer.protect(0, kPages, PROT_READ | PROT_WRITE);
    EXPECT_EQ(::madvise(buffer.page(16), 8 * kPageSize, MADV_DONTNEED), 0);
    Child child([&](Peer&) {
      std::memset(buffer.data(), 1, kPageSize);
      return *buffer.page(3) == *buffer.page(3) ? 0 : 1;
    });
    EXPECT_EQ(child.wait(), 0);
    EXPECT_EQ(pattern_error(buffer.pages(0, 16), kSeed), "");
    buffer.unmap(32, 16);
  }
  EXPECT_EQ(gem().close(first), 0);
  EXPECT_EQ(gem().close(second), 0);
}

// The object is of one process; a child with the same file has the handle and can do nothing with the memory.
TEST_F(GemUserptr, ObjectOutlivesItsProcess) {
  Child child([&](Peer& parent) {
    const Buffer buffer(kPages);
    std::uint32_t handle = 0;
    const int error = gem().userptr(buffer.data(), buffer.size(), kValidated, &handle);
    return error == 0 && parent.send(handle) ? 0 : 1;
  });
  std::uint32_t handle = 0;
  ASSERT_TRUE(child.peer().receive(&handle));
  EXPECT_EQ(child.wait(), 0);
  drm_amdgpu_gem_create_in info = {};
  EXPECT_EQ(gem().create_info(handle, &info), 0);
  EXPECT_EQ(gem().close(handle), 0);
}

// Records that cost the user no memory of an object are bounded by the size of GTT.
TEST_F(GemUserptr, TogetherTheyAreBoundedByGtt) {
  drm_amdgpu_info_vram_gtt heaps = {};
  ASSERT_EQ(info(AMDGPU_INFO_VRAM_GTT, &heaps, sizeof(heaps)), 0);
  const Buffer buffer((256ul << 20) / kPageSize);
  std::vector<std::uint32_t> handles;
  int error = 0;
  while (error == 0 && handles.size() * buffer.size() <= heaps.gtt_size) {
    std::uint32_t handle = 0;
    error = gem().userptr(buffer.data(), buffer.size(), kWatched, &handle);
    if (error == 0) {
      handles.push_back(handle);
    }
  }
  EXPECT_EQ(error, ENOMEM);
  for (const std::uint32_t handle : handles) {
    EXPECT_EQ(gem().close(handle), 0);
  }
}

TEST_F(GemUserptr, LibdrmMakesOne) {
  const AmdgpuDevice device = initialize();
  ASSERT_NE(device, nullptr);
  const Buffer buffer(kPages);
  amdgpu_bo_handle object = nullptr;
  ASSERT_EQ(amdgpu_create_bo_from_user_mem(device.get(), buffer.data(), buffer.size(), &object), 0);
  EXPECT_EQ(amdgpu_bo_free(object), 0);
}

}  // namespace
}  // namespace kfdlab
