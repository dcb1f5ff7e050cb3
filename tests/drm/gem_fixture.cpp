// SPDX-License-Identifier: MIT
#include "tests/drm/gem_fixture.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "tests/support/buffer.h"
#include "tests/support/needs.h"

namespace kfdlab {
namespace {

int call(int fd, unsigned long command, void* argument) { return ::drmIoctl(fd, command, argument) == 0 ? 0 : errno; }

}  // namespace

int GemFile::create(std::uint64_t size, std::uint64_t domains, std::uint64_t flags, std::uint32_t* handle,
                    std::uint64_t alignment) const {
  drm_amdgpu_gem_create args = {};
  args.in.bo_size = size;
  args.in.alignment = alignment;
  args.in.domains = domains;
  args.in.domain_flags = flags;
  const int error = call(fd_, DRM_IOCTL_AMDGPU_GEM_CREATE, &args);
  *handle = error == 0 ? args.out.handle : 0;
  return error;
}

int GemFile::close(std::uint32_t handle) const {
  drm_gem_close args = {};
  args.handle = handle;
  return call(fd_, DRM_IOCTL_GEM_CLOSE, &args);
}

int GemFile::mmap_offset(std::uint32_t handle, std::uint64_t* offset) const {
  drm_amdgpu_gem_mmap args = {};
  args.in.handle = handle;
  const int error = call(fd_, DRM_IOCTL_AMDGPU_GEM_MMAP, &args);
  *offset = error == 0 ? args.out.addr_ptr : 0;
  return error;
}

int GemFile::wait_idle(std::uint32_t handle, std::uint64_t deadline, bool* busy) const {
  drm_amdgpu_gem_wait_idle args = {};
  args.in.handle = handle;
  args.in.timeout = deadline;
  const int error = call(fd_, DRM_IOCTL_AMDGPU_GEM_WAIT_IDLE, &args);
  *busy = error == 0 && args.out.status != 0;
  return error;
}

int GemFile::set_metadata(std::uint32_t handle, std::uint64_t flags, std::span<const std::byte> bytes) const {
  drm_amdgpu_gem_metadata args = {};
  args.handle = handle;
  args.op = AMDGPU_GEM_METADATA_OP_SET_METADATA;
  args.data.flags = flags;
  args.data.data_size_bytes = static_cast<std::uint32_t>(bytes.size());
  std::memcpy(args.data.data, bytes.data(), std::min(bytes.size(), sizeof args.data.data));
  return call(fd_, DRM_IOCTL_AMDGPU_GEM_METADATA, &args);
}

int GemFile::get_metadata(std::uint32_t handle, drm_amdgpu_gem_metadata* metadata) const {
  *metadata = {};
  metadata->handle = handle;
  metadata->op = AMDGPU_GEM_METADATA_OP_GET_METADATA;
  return call(fd_, DRM_IOCTL_AMDGPU_GEM_METADATA, metadata);
}

int GemFile::create_info(std::uint32_t handle, drm_amdgpu_gem_create_in* info) const {
  drm_amdgpu_gem_op args = {};
  args.handle = handle;
  args.op = AMDGPU_GEM_OP_GET_GEM_CREATE_INFO;
  args.value = reinterpret_cast<std::uintptr_t>(info);
  return call(fd_, DRM_IOCTL_AMDGPU_GEM_OP, &args);
}

int GemFile::set_placement(std::uint32_t handle, std::uint64_t domains) const {
  drm_amdgpu_gem_op args = {};
  args.handle = handle;
  args.op = AMDGPU_GEM_OP_SET_PLACEMENT;
  args.value = domains;
  return call(fd_, DRM_IOCTL_AMDGPU_GEM_OP, &args);
}

int GemFile::userptr(const void* start, std::uint64_t size, std::uint32_t flags, std::uint32_t* handle) const {
  drm_amdgpu_gem_userptr args = {};
  args.addr = reinterpret_cast<std::uintptr_t>(start);
  args.size = size;
  args.flags = flags;
  const int error = call(fd_, DRM_IOCTL_AMDGPU_GEM_USERPTR, &args);
  *handle = error == 0 ? args.handle : 0;
  return error;
}

int GemFile::va(std::uint32_t operation, std::uint32_t handle, std::uint64_t address, std::uint64_t size,
                std::uint64_t offset, std::uint32_t flags) const {
  drm_amdgpu_gem_va args = {};
  args.handle = handle;
  args.operation = operation;
  args.flags = flags;
  args.va_address = address;
  args.offset_in_bo = offset;
  args.map_size = size;
  return call(fd_, DRM_IOCTL_AMDGPU_GEM_VA, &args);
}

int GemFile::to_dma_buf(std::uint32_t handle, Fd* dma_buf) const {
  drm_prime_handle args = {};
  args.handle = handle;
  args.flags = DRM_CLOEXEC | DRM_RDWR;
  const int error = call(fd_, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args);
  *dma_buf = Fd(error == 0 ? args.fd : -1);
  return error;
}

int GemFile::from_dma_buf(int dma_buf, std::uint32_t* handle) const {
  drm_prime_handle args = {};
  args.fd = dma_buf;
  const int error = call(fd_, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);
  *handle = error == 0 ? args.handle : 0;
  return error;
}

std::map<std::string, std::string> GemFile::fdinfo() const {
  std::map<std::string, std::string> keys;
  std::ifstream file("/proc/self/fdinfo/" + std::to_string(fd_));
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    const std::size_t value = line.find_first_not_of(" \t", colon + 1);
    if (colon != std::string::npos && value != std::string::npos) {
      keys[line.substr(0, colon)] = line.substr(value);
    }
  }
  return keys;
}

std::uint64_t GemFile::fdinfo_bytes(const std::string& key) const {
  const std::map<std::string, std::string> keys = fdinfo();
  const auto found = keys.find(key);
  EXPECT_NE(found, keys.end()) << key;
  if (found == keys.end()) {
    return 0;
  }
  EXPECT_NE(found->second.find(" KiB"), std::string::npos) << found->second;
  return std::stoull(found->second) * 1024;
}

GemMapping::GemMapping(int fd, std::uint64_t offset, std::size_t size, int prot)
    : start_(::mmap(nullptr, size, prot, MAP_SHARED, fd, static_cast<off_t>(offset))), size_(size), error_(errno) {}

GemMapping::~GemMapping() {
  if (valid()) {
    ::munmap(start_, size_);
  }
}

bool GemMapping::all_zero() const { return *data() == std::byte{0} && std::memcmp(data(), data() + 1, size_ - 1) == 0; }

void GemTest::SetUp() {
  DrmTest::SetUp();
  if (IsSkipped() || HasFatalFailure()) {
    return;
  }
  Result<TestDevice> device = TestDevice::open();
  KFDLAB_NEEDS(device.ok(), "only our test ioctls tell where an object's pages are");
  device_.emplace(device.take());
  vram_before_ = vram_used();
  gtt_before_ = gtt_used();
}

std::uint32_t GemTest::make(std::uint64_t size, std::uint64_t domains, std::uint64_t flags) const {
  std::uint32_t handle = 0;
  EXPECT_EQ(gem().create(size, domains, flags, &handle), 0);
  return handle;
}

std::uint64_t GemTest::offset_of(std::uint32_t handle) const {
  std::uint64_t offset = 0;
  EXPECT_EQ(gem().mmap_offset(handle, &offset), 0);
  return offset;
}

PageCensus GemTest::homes(const GemMapping& mapping) const {
  for (std::size_t i = 0; i < mapping.npages(); ++i) {
    (void)*static_cast<volatile std::byte*>(mapping.data() + i * kPageSize);
  }
  return census(mapping);
}

PageCensus GemTest::census(const GemMapping& mapping) const {
  const Result<std::vector<kfdlab_page>> pages = device_->pages(mapping.data(), mapping.npages());
  EXPECT_TRUE(pages.ok());
  PageCensus census;
  for (std::size_t i = 0; pages.ok() && i < mapping.npages(); ++i) {
    const std::uint32_t flags = pages.value()[i].flags;
    EXPECT_TRUE(flags == 0 || (flags & KFDLAB_PAGE_PFNMAP) != 0) << "page " << i << " can be referenced";
    ++(flags == 0 ? census.none : (flags & KFDLAB_PAGE_VRAM) != 0 ? census.vram : census.ram);
  }
  return census;
}

std::uint64_t GemTest::frame(const void* page) const {
  (void)*static_cast<const volatile std::byte*>(page);
  const Result<std::vector<kfdlab_page>> pages = device_->pages(page, 1);
  EXPECT_TRUE(pages.ok());
  return pages.ok() ? pages.value().front().pfn : 0;
}

void GemTest::shrink_vram(std::uint64_t bytes) {
  const std::uint64_t free = gpu().vram_bytes - vram_used();
  ASSERT_EQ(device_->reserve(gpu().gpu_id, free - bytes), 0);
  vram_before_ += free - bytes;
}

std::int64_t GemTest::try_evict_all_vram() const {
  std::ifstream file("/sys/kernel/debug/dri/" + std::to_string(gpu().render_minor) + "/amdgpu_evict_vram");
  std::int64_t result = -1;
  file >> result;
  return result;
}

void GemTest::evict_all_vram() const { EXPECT_EQ(try_evict_all_vram(), 0); }

void GemTest::evict_all_vram_in_use() const {
  std::int64_t result = 0;
  EXPECT_TRUE(eventually([&] { return (result = try_evict_all_vram()) != -EBUSY; }));
  EXPECT_EQ(result, 0);
}

void GemTest::expect_usage_back() const {
  EXPECT_TRUE(eventually([this] { return vram_used() <= vram_before_; })) << vram_used() << " bytes of VRAM";
  EXPECT_TRUE(eventually([this] { return gtt_used() <= gtt_before_; })) << gtt_used() << " bytes of GTT";
}

}  // namespace kfdlab
