// SPDX-License-Identifier: MIT
// KfdBuffersTest: buffers that KFD allocates and the render node maps, the way libhsakmt does it.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <optional>

#include "tests/drm/drm_fixture.h"
#include "tests/support/kfd_client.h"

namespace kfdlab {

class KfdBuffersTest : public DrmTest {
 protected:
  // Opens /dev/kfd and ties the process to fd().
  void SetUp() override {
    DrmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    Result<KfdClient> kfd = KfdClient::open();
    ASSERT_TRUE(kfd.ok()) << kfd.error().message;
    kfd_.emplace(kfd.take());
    ASSERT_EQ(kfd_->acquire_vm(gpu().gpu_id, fd()), 0);
  }

  [[nodiscard]] const KfdClient& kfd() const { return *kfd_; }

  // A buffer of `type` (VRAM or GTT), CPU accessible, at an address range reserved for it. The handle is 0 on failure.
  [[nodiscard]] KfdAlloc allocate(std::uint32_t type, std::uint64_t size) const { return allocate(*kfd_, type, size); }
  [[nodiscard]] KfdAlloc allocate(const KfdClient& kfd, std::uint32_t type, std::uint64_t size) const {
    KfdAlloc buffer;
    void* va = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    buffer.va = reinterpret_cast<std::uintptr_t>(va);
    buffer.size = size;
    buffer.gpu_id = gpu().gpu_id;
    buffer.flags = type | KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE | KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC;
    if (va == MAP_FAILED || kfd.alloc(&buffer) != 0) {
      buffer.handle = 0;
    }
    return buffer;
  }
  void release(const KfdAlloc& buffer) const {
    EXPECT_EQ(kfd().free(buffer.handle), 0);
    ::munmap(reinterpret_cast<void*>(buffer.va), buffer.size);
  }
  // Maps a buffer through a render file at its own address; MAP_FAILED as mmap() does.
  [[nodiscard]] static void* map(const KfdAlloc& buffer, int render_fd, int flags = MAP_SHARED) {
    return ::mmap(reinterpret_cast<void*>(buffer.va), buffer.size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, render_fd,
                  static_cast<off_t>(buffer.mmap_offset));
  }

 private:
  std::optional<KfdClient> kfd_;
};

}  // namespace kfdlab
