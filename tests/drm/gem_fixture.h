// SPDX-License-Identifier: MIT
// GemTest: objects made through the render node itself, by raw ioctls, with the errno of each call; and where the
// pages behind a mapping are.
#pragma once

#include <sys/mman.h>
#include <xf86drm.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "tests/drm/drm_fixture.h"
#include "tests/support/counters.h"
#include "tests/support/pages.h"

namespace kfdlab {

// AMDGPU_GEM_CREATE_DISCARDABLE, which Debian 12's libdrm does not know yet.
inline constexpr std::uint64_t kDiscardable = 1 << 12;

// The GEM ioctls on one open file of the render node. Every call returns 0 or errno.
class GemFile {
 public:
  explicit GemFile(int fd) : fd_(fd) {}
  [[nodiscard]] int fd() const { return fd_; }

  [[nodiscard]] int create(std::uint64_t size, std::uint64_t domains, std::uint64_t flags, std::uint32_t* handle,
                           std::uint64_t alignment = 0) const;
  int close(std::uint32_t handle) const;
  [[nodiscard]] int mmap_offset(std::uint32_t handle, std::uint64_t* offset) const;
  // `deadline` in ns of CLOCK_MONOTONIC; *busy: it was not idle by then.
  [[nodiscard]] int wait_idle(std::uint32_t handle, std::uint64_t deadline, bool* busy) const;
  [[nodiscard]] int set_metadata(std::uint32_t handle, std::uint64_t flags, std::span<const std::byte> bytes) const;
  [[nodiscard]] int get_metadata(std::uint32_t handle, drm_amdgpu_gem_metadata* metadata) const;
  [[nodiscard]] int create_info(std::uint32_t handle, drm_amdgpu_gem_create_in* info) const;
  [[nodiscard]] int set_placement(std::uint32_t handle, std::uint64_t domains) const;
  [[nodiscard]] int userptr(const void* start, std::uint64_t size, std::uint32_t flags, std::uint32_t* handle) const;
  [[nodiscard]] int va(std::uint32_t operation, std::uint32_t handle, std::uint64_t address, std::uint64_t size,
                       std::uint64_t offset = 0, std::uint32_t flags = kReadWrite) const;
  [[nodiscard]] int to_dma_buf(std::uint32_t handle, Fd* dma_buf) const;
  [[nodiscard]] int from_dma_buf(int dma_buf, std::uint32_t* handle) const;
  // The keys of this file's fdinfo.
  [[nodiscard]] std::map<std::string, std::string> fdinfo() const;
  // A "... KiB" value of it in bytes; fails the test if there is none.
  [[nodiscard]] std::uint64_t fdinfo_bytes(const std::string& key) const;

  static constexpr std::uint32_t kReadWrite = AMDGPU_VM_PAGE_READABLE | AMDGPU_VM_PAGE_WRITEABLE;

 private:
  int fd_;
};

// A CPU mapping, unmapped with the object. valid() is false when mmap() failed; errno is kept in error().
class GemMapping {
 public:
  GemMapping(int fd, std::uint64_t offset, std::size_t size, int prot = PROT_READ | PROT_WRITE);
  GemMapping(const GemMapping&) = delete;
  GemMapping& operator=(const GemMapping&) = delete;
  ~GemMapping();
  [[nodiscard]] bool valid() const { return start_ != MAP_FAILED; }
  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] std::byte* data() const { return static_cast<std::byte*>(start_); }
  [[nodiscard]] std::span<std::byte> bytes() const { return {data(), size_}; }
  [[nodiscard]] std::size_t npages() const { return size_ / 4096; }
  [[nodiscard]] bool all_zero() const;

 private:
  void* start_;
  std::size_t size_;
  int error_;
};

class GemTest : public DrmTest {
 protected:
  void SetUp() override;

  [[nodiscard]] GemFile gem() const { return GemFile(fd()); }
  // An object of this file; 0 if it could not be made, with the test marked as failed.
  [[nodiscard]] std::uint32_t make(std::uint64_t size, std::uint64_t domains, std::uint64_t flags = 0) const;
  // Offset for mmap; fails the test if there is none.
  [[nodiscard]] std::uint64_t offset_of(std::uint32_t handle) const;
  // Where all pages of a mapping are, after touching each.
  [[nodiscard]] PageCensus homes(const GemMapping& mapping) const;
  // The same without touching.
  [[nodiscard]] PageCensus census(const GemMapping& mapping) const;
  // Page frame of a mapped page, after touching it.
  [[nodiscard]] std::uint64_t frame(const void* page) const;
  // Leaves `bytes` of VRAM free until the test ends.
  void shrink_vram(std::uint64_t bytes);
  // Everything that can leave VRAM does.
  void evict_all_vram() const;
  // The same while other threads use mappings: TTM of 6.1 answers EBUSY when a page fault has an object reserved just
  // then.
  void evict_all_vram_in_use() const;
  // What reading amdgpu_evict_vram of debugfs answers: 0 or a negative errno.
  [[nodiscard]] std::int64_t try_evict_all_vram() const;
  [[nodiscard]] std::uint64_t vram_used() const { return info_number(AMDGPU_INFO_VRAM_USAGE); }
  [[nodiscard]] std::uint64_t gtt_used() const { return info_number(AMDGPU_INFO_GTT_USAGE); }
  // Polls until the usage numbers are back to what they were in SetUp().
  void expect_usage_back() const;

 private:
  std::optional<TestDevice> device_;
  std::uint64_t vram_before_ = 0;
  std::uint64_t gtt_before_ = 0;
};

}  // namespace kfdlab
