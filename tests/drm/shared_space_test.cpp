// SPDX-License-Identifier: MIT
// KFD and GEM_VA share the address space of an acquired file: neither maps over the other.
#include <cerrno>

#include "tests/drm/gem_fixture.h"
#include "tests/drm/kfd_buffers.h"
#include "tests/support/buffer.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kSize = 1 << 20;

class SharedSpace : public KfdBuffersTest {
 protected:
  [[nodiscard]] GemFile gem() const { return GemFile(fd()); }
  [[nodiscard]] std::uint32_t make() const {
    std::uint32_t handle = 0;
    EXPECT_EQ(gem().create(kSize, AMDGPU_GEM_DOMAIN_GTT, 0, &handle), 0);
    return handle;
  }
};

TEST_F(SharedSpace, GemMapsNothingOverABufferOfKfd) {
  const std::uint32_t handle = make();
  const KfdAlloc buffer = allocate(KFD_IOC_ALLOC_MEM_FLAGS_VRAM, kSize);
  ASSERT_NE(buffer.handle, 0u);
  EXPECT_EQ(gem().va(AMDGPU_VA_OP_MAP, handle, buffer.va, kPageSize), EINVAL);
  EXPECT_EQ(gem().va(AMDGPU_VA_OP_MAP, handle, buffer.va + kSize - kPageSize, 2 * kPageSize), EINVAL);
  EXPECT_EQ(gem().va(AMDGPU_VA_OP_REPLACE, handle, buffer.va, kSize), EINVAL);
  EXPECT_EQ(gem().va(AMDGPU_VA_OP_UNMAP, handle, buffer.va, kSize), ENOENT);
  EXPECT_EQ(gem().va(AMDGPU_VA_OP_UNMAP, 0, buffer.va, kSize, 0, AMDGPU_VM_PAGE_PRT), ENOENT);
  EXPECT_EQ(gem().va(AMDGPU_VA_OP_CLEAR, 0, buffer.va, kSize, 0, 0), 0) << "of what GEM_VA mapped";
  EXPECT_EQ(gem().va(AMDGPU_VA_OP_MAP, handle, buffer.va, kPageSize), EINVAL) << "the buffer is still there";
  const std::uint64_t va = buffer.va;
  release(buffer);
  EXPECT_EQ(gem().va(AMDGPU_VA_OP_MAP, handle, va, kSize), 0);
  EXPECT_EQ(gem().close(handle), 0);
}

TEST_F(SharedSpace, KfdAllocatesNothingOverAGemMapping) {
  const std::uint32_t handle = make();
  const Buffer space(kSize / kPageSize);
  ASSERT_EQ(gem().va(AMDGPU_VA_OP_MAP, handle, space.address(), kPageSize), 0);
  KfdAlloc buffer;
  buffer.va = space.address();
  buffer.size = kSize;
  buffer.gpu_id = gpu().gpu_id;
  buffer.flags = KFD_IOC_ALLOC_MEM_FLAGS_GTT | KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE;
  EXPECT_EQ(kfd().alloc(&buffer), EADDRINUSE);
  EXPECT_EQ(kfd().svm_prefetch(space.address(), kSize, kSvmSystem), EADDRINUSE);
  EXPECT_EQ(gem().va(AMDGPU_VA_OP_UNMAP, handle, space.address(), kPageSize), 0);
  EXPECT_EQ(kfd().svm_prefetch(space.address(), kSize, kSvmSystem), 0);
  EXPECT_EQ(gem().close(handle), 0);
}

// A file that KFD has nothing to do with is another space.
TEST_F(SharedSpace, OtherFilesAreNotAffected) {
  const KfdAlloc buffer = allocate(KFD_IOC_ALLOC_MEM_FLAGS_VRAM, kSize);
  ASSERT_NE(buffer.handle, 0u);
  const Fd file = open_node();
  const GemFile other(file.get());
  std::uint32_t handle = 0;
  ASSERT_EQ(other.create(kSize, AMDGPU_GEM_DOMAIN_GTT, 0, &handle), 0);
  EXPECT_EQ(other.va(AMDGPU_VA_OP_MAP, handle, buffer.va, kSize), 0);
  release(buffer);
}

}  // namespace
}  // namespace kfdlab
