// SPDX-License-Identifier: MIT
#include "tests/drm/cs_fixture.h"

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "tests/support/needs.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kNopBytes = kPageSize;
constexpr std::chrono::seconds kHangs{20};

std::uint64_t pointer(const void* data) { return reinterpret_cast<std::uintptr_t>(data); }

}  // namespace

std::uint64_t deadline_in(std::chrono::nanoseconds time) {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec) +
         static_cast<std::uint64_t>(time.count());
}

// ---- Submission ----

Submission& Submission::chunk(std::uint32_t id, const void* data, std::size_t bytes) {
  std::vector<std::uint32_t>& copy = data_.emplace_back(bytes / sizeof(std::uint32_t));
  if (bytes != 0) {
    std::memcpy(copy.data(), data, bytes);
  }
  drm_amdgpu_cs_chunk& head = heads_.emplace_back();
  head.chunk_id = id;
  head.length_dw = static_cast<std::uint32_t>(copy.size());
  head.chunk_data = pointer(copy.data());
  return *this;
}

Submission& Submission::ib(const drm_amdgpu_cs_chunk_ib& ib) { return chunk(AMDGPU_CHUNK_ID_IB, ib); }

Submission& Submission::ib(std::uint64_t va, std::uint32_t bytes) {
  drm_amdgpu_cs_chunk_ib ib = {};
  ib.va_start = va;
  ib.ib_bytes = bytes;
  ib.ip_type = AMDGPU_HW_IP_DMA;
  return this->ib(ib);
}

Submission& Submission::list(std::uint32_t handle) {
  args_.in.bo_list_handle = handle;
  return *this;
}

Submission& Submission::buffers(std::span<const std::uint32_t> handles) {
  std::vector<drm_amdgpu_bo_list_entry>& entries = lists_.emplace_back();
  for (const std::uint32_t handle : handles) {
    entries.push_back({.bo_handle = handle, .bo_priority = 0});
  }
  drm_amdgpu_bo_list_in list = {};
  list.operation = ~0u;
  list.list_handle = ~0u;
  list.bo_number = static_cast<std::uint32_t>(entries.size());
  list.bo_info_size = sizeof(drm_amdgpu_bo_list_entry);
  list.bo_info_ptr = pointer(entries.data());
  return chunk(AMDGPU_CHUNK_ID_BO_HANDLES, list);
}

Submission& Submission::user_fence(std::uint32_t handle, std::uint32_t offset) {
  return chunk(AMDGPU_CHUNK_ID_FENCE, drm_amdgpu_cs_chunk_fence{.handle = handle, .offset = offset});
}

Submission& Submission::after(std::uint32_t context, std::uint64_t number) {
  drm_amdgpu_cs_chunk_dep dep = {};
  dep.ip_type = AMDGPU_HW_IP_DMA;
  dep.ctx_id = context;
  dep.handle = number;
  return chunk(AMDGPU_CHUNK_ID_DEPENDENCIES, dep);
}

Submission& Submission::wait_syncobj(std::uint32_t handle) {
  return chunk(AMDGPU_CHUNK_ID_SYNCOBJ_IN, drm_amdgpu_cs_chunk_sem{.handle = handle});
}

Submission& Submission::signal_syncobj(std::uint32_t handle) {
  return chunk(AMDGPU_CHUNK_ID_SYNCOBJ_OUT, drm_amdgpu_cs_chunk_sem{.handle = handle});
}

Submission& Submission::wait_point(std::uint32_t handle, std::uint64_t point, std::uint32_t flags) {
  return chunk(AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_WAIT,
               drm_amdgpu_cs_chunk_syncobj{.handle = handle, .flags = flags, .point = point});
}

Submission& Submission::signal_point(std::uint32_t handle, std::uint64_t point) {
  return chunk(AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_SIGNAL,
               drm_amdgpu_cs_chunk_syncobj{.handle = handle, .flags = 0, .point = point});
}

int Submission::submit(int fd, std::uint64_t* number) {
  pointers_.clear();
  for (const drm_amdgpu_cs_chunk& head : heads_) {
    pointers_.push_back(pointer(&head));
  }
  drm_amdgpu_cs args = args_;
  if (args.in.num_chunks == 0) {
    args.in.num_chunks = static_cast<std::uint32_t>(pointers_.size());
  }
  if (args.in.chunks == 0) {
    args.in.chunks = pointer(pointers_.data());
  }
  int error = 0;
  do {
    error = ::ioctl(fd, DRM_IOCTL_AMDGPU_CS, &args) == 0 ? 0 : errno;
  } while (error == EINTR);
  if (number != nullptr) {
    *number = error == 0 ? args.out.handle : 0;
  }
  return error;
}

// ---- CsTest ----

void CsTest::SetUp() {
  DrmTest::SetUp();
  if (IsSkipped() || HasFatalFailure()) {
    return;
  }
  context_ = new_context();
  ASSERT_NE(context_, 0u);
  nops_ = create(AMDGPU_GEM_DOMAIN_GTT, kNopBytes);
  ASSERT_FALSE(bytes(nops_).empty());  // zero is a NOP
}

void CsTest::TearDown() {
  for (const std::span<std::byte> mapping : mappings_) {
    ::munmap(mapping.data(), mapping.size());
  }
  while (!buffers_.empty()) {
    discard(buffers_.back());
  }
  if (context_ != 0) {
    EXPECT_EQ(free_context(fd(), context_), 0);
  }
}

std::uint32_t CsTest::new_context(int fd) const {
  drm_amdgpu_ctx args = {};
  args.in.op = AMDGPU_CTX_OP_ALLOC_CTX;
  const int error = raw(fd, DRM_IOCTL_AMDGPU_CTX, &args);
  EXPECT_EQ(error, 0) << std::strerror(error);
  return error == 0 ? args.out.alloc.ctx_id : 0;
}

int CsTest::free_context(int fd, std::uint32_t context) {
  drm_amdgpu_ctx args = {};
  args.in.op = AMDGPU_CTX_OP_FREE_CTX;
  args.in.ctx_id = context;
  return raw(fd, DRM_IOCTL_AMDGPU_CTX, &args);
}

GpuBuffer CsTest::create(std::uint64_t domain, std::uint64_t size, std::uint64_t flags) {
  drm_amdgpu_gem_create create = {};
  create.in.bo_size = size;
  create.in.domains = domain;
  create.in.domain_flags = flags;
  int error = raw(fd(), DRM_IOCTL_AMDGPU_GEM_CREATE, &create);
  EXPECT_EQ(error, 0) << "GEM_CREATE of " << size << " bytes: " << std::strerror(error);
  if (error != 0) {
    return {};
  }
  GpuBuffer buffer = {.handle = create.out.handle, .size = size, .va = next_va_};
  next_va_ += (size + (2 << 20)) & ~((2ull << 20) - 1);
  drm_amdgpu_gem_va map = {};
  map.handle = buffer.handle;
  map.operation = AMDGPU_VA_OP_MAP;
  map.flags = AMDGPU_VM_PAGE_READABLE | AMDGPU_VM_PAGE_WRITEABLE | AMDGPU_VM_PAGE_EXECUTABLE;
  map.va_address = buffer.va;
  map.map_size = size;
  error = raw(fd(), DRM_IOCTL_AMDGPU_GEM_VA, &map);
  EXPECT_EQ(error, 0) << "GEM_VA: " << std::strerror(error);
  buffers_.push_back(buffer);
  return buffer;
}

void CsTest::discard(const GpuBuffer& buffer) {
  drm_gem_close close = {.handle = buffer.handle, .pad = 0};
  EXPECT_EQ(raw(fd(), DRM_IOCTL_GEM_CLOSE, &close), 0);
  std::erase_if(buffers_, [&](const GpuBuffer& other) { return other.handle == buffer.handle; });
}

std::span<std::byte> CsTest::bytes(const GpuBuffer& buffer) {
  drm_amdgpu_gem_mmap args = {};
  args.in.handle = buffer.handle;
  const int error = raw(fd(), DRM_IOCTL_AMDGPU_GEM_MMAP, &args);
  EXPECT_EQ(error, 0) << "GEM_MMAP: " << std::strerror(error);
  if (error != 0) {
    return {};
  }
  void* start =
      ::mmap(nullptr, buffer.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd(), static_cast<off_t>(args.out.addr_ptr));
  EXPECT_NE(start, MAP_FAILED) << std::strerror(errno);
  if (start == MAP_FAILED) {
    return {};
  }
  mappings_.emplace_back(static_cast<std::byte*>(start), buffer.size);
  return mappings_.back();
}

Submission CsTest::nop_submission(std::uint32_t context) const {
  Submission submission(context);
  submission.ib(nops_.va, static_cast<std::uint32_t>(nops_.size));
  return submission;
}

int CsTest::wait(int fd, std::uint32_t context, std::uint64_t number, std::uint64_t until, bool* busy) {
  drm_amdgpu_wait_cs args = {};
  args.in.handle = number;
  args.in.timeout = until;
  args.in.ip_type = AMDGPU_HW_IP_DMA;
  args.in.ctx_id = context;
  int error = 0;
  do {
    error = raw(fd, DRM_IOCTL_AMDGPU_WAIT_CS, &args);
  } while (error == EINTR);
  *busy = error == 0 && args.out.status != 0;
  return error;
}

testing::AssertionResult CsTest::completes(std::uint32_t context, std::uint64_t number) const {
  bool busy = false;
  const int error = wait(context, number, deadline_in(kHangs * patience()), &busy);
  if (error != 0) {
    return testing::AssertionFailure() << "number " << number << " ended with " << std::strerror(error);
  }
  if (busy) {
    return testing::AssertionFailure() << "number " << number << " hangs";
  }
  return testing::AssertionSuccess();
}

testing::AssertionResult CsTest::is_busy(std::uint32_t context, std::uint64_t number) const {
  bool busy = false;
  const int error = wait(context, number, 0, &busy);
  if (error != 0) {
    return testing::AssertionFailure() << "number " << number << " ended with " << std::strerror(error);
  }
  return busy ? testing::AssertionSuccess() : testing::AssertionFailure() << "number " << number << " is done";
}

int CsTest::query_state(std::uint32_t op, std::uint32_t context, drm_amdgpu_ctx* state) const {
  *state = {};
  state->in.op = op;
  state->in.ctx_id = context;
  return raw(fd(), DRM_IOCTL_AMDGPU_CTX, state);
}

int CsTest::bo_list(drm_amdgpu_bo_list_in request, std::uint32_t* handle) const {
  drm_amdgpu_bo_list args = {};
  args.in = request;
  const int error = raw(fd(), DRM_IOCTL_AMDGPU_BO_LIST, &args);
  *handle = error == 0 ? args.out.list_handle : 0;
  return error;
}

std::uint32_t CsTest::new_list(std::span<const std::uint32_t> handles) const {
  std::vector<drm_amdgpu_bo_list_entry> entries;
  for (const std::uint32_t handle : handles) {
    entries.push_back({.bo_handle = handle, .bo_priority = 0});
  }
  drm_amdgpu_bo_list_in request = {};
  request.operation = AMDGPU_BO_LIST_OP_CREATE;
  request.bo_number = static_cast<std::uint32_t>(entries.size());
  request.bo_info_size = sizeof(drm_amdgpu_bo_list_entry);
  request.bo_info_ptr = pointer(entries.data());
  std::uint32_t list = 0;
  const int error = bo_list(request, &list);
  EXPECT_EQ(error, 0) << "BO_LIST: " << std::strerror(error);
  return list;
}

}  // namespace kfdlab
