// SPDX-License-Identifier: MIT
// Operations of a thread on buffer objects: KFD's allocations and GEM objects of the render node, which share VRAM with
// everybody's pages and must keep their bytes through eviction and back.
#include <amdgpu_drm.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cerrno>

#include "tests/stress/actor.h"

namespace kfdlab::stress {
namespace {

constexpr std::size_t kMostPages = 64;
// Slots of buffer pages in keys, behind every window's.
constexpr std::size_t kFirstKeySlot = 0x8000;

int drm(int fd, unsigned long request, void* argument) { return ::ioctl(fd, request, argument) == 0 ? 0 : errno; }

int gem_create(int fd, std::uint64_t size, bool vram, std::uint32_t* handle) {
  drm_amdgpu_gem_create request{};
  request.in.bo_size = size;
  request.in.alignment = kPageBytes;
  request.in.domains = vram ? AMDGPU_GEM_DOMAIN_VRAM : AMDGPU_GEM_DOMAIN_GTT;
  request.in.domain_flags = AMDGPU_GEM_CREATE_CPU_ACCESS_REQUIRED;
  const int error = drm(fd, DRM_IOCTL_AMDGPU_GEM_CREATE, &request);
  *handle = request.out.handle;
  return error;
}

int gem_offset(int fd, std::uint32_t handle, std::uint64_t* offset) {
  drm_amdgpu_gem_mmap request{};
  request.in.handle = handle;
  const int error = drm(fd, DRM_IOCTL_AMDGPU_GEM_MMAP, &request);
  *offset = request.out.addr_ptr;
  return error;
}

int gem_close(int fd, std::uint32_t handle) {
  drm_gem_close request{};
  request.handle = handle;
  return drm(fd, DRM_IOCTL_GEM_CLOSE, &request);
}

}  // namespace

void Actor::buffers(Random& random) {
  const auto index = static_cast<unsigned>(random.below(buffers_.size()));
  if (buffers_[index].memory == nullptr) {
    allocate_buffer(random, index);
  } else if (random.one_in(3)) {
    use_buffer(random, index);
  } else {
    free_buffer(random, index);
  }
}

// ENOMEM is an answer: VRAM may be full of pages that somebody holds.
int Actor::create_object(Random& random, Buffer* buffer, std::size_t pages) {
  const std::uint64_t size = pages * kPageBytes;
  buffer->vram = !random.one_in(4);
  buffer->gem = random.one_in(2);
  if (buffer->gem) {
    const int fd = context_.render_fds[buffer->gpu];
    const int error = gem_create(fd, size, buffer->vram, &buffer->gem_handle);
    buffer->alloc = {};
    buffer->alloc.size = size;
    return error != 0 ? error : gem_offset(fd, buffer->gem_handle, &buffer->alloc.mmap_offset);
  }
  buffer->alloc = {};
  buffer->alloc.va = reinterpret_cast<std::uintptr_t>(buffer->place);
  buffer->alloc.size = size;
  buffer->alloc.gpu_id = context_.setup->gpus[buffer->gpu];
  buffer->alloc.flags = (buffer->vram ? KFD_IOC_ALLOC_MEM_FLAGS_VRAM : KFD_IOC_ALLOC_MEM_FLAGS_GTT) |
                        static_cast<std::uint32_t>(KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE) | KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC;
  return context_.kfd->alloc(&buffer->alloc);
}

void Actor::allocate_buffer(Random& random, unsigned index) {
  Buffer& buffer = buffers_[index];
  const std::size_t pages = random.size(kMostPages);
  buffer.place = Window::buffer_base(context_.process, thread_, index);
  buffer.gpu = random.below(context_.setup->gpus.size());
  const int error = create_object(random, &buffer, pages);
  if (error == ENOMEM) {
    context_.board->add(Count::BuffersRefused);
    return;
  }
  expect_ok(error, buffer.gem ? "GEM_CREATE" : "ALLOC_MEMORY_OF_GPU", {0, pages});
  void* mapped = ::mmap(buffer.place, buffer.alloc.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE,
                        context_.render_fds[buffer.gpu], static_cast<off_t>(buffer.alloc.mmap_offset));
  expect_ok(mapped == buffer.place ? 0 : errno, "mmap of a buffer", {0, pages});
  buffer.memory = buffer.place;
  buffer.keys.assign(pages, kZeroKey);
  buffer.gpu_mapped = !buffer.gem && random.one_in(2);
  if (buffer.gpu_mapped) {
    expect_ok(context_.kfd->map(buffer.alloc.handle, {&buffer.alloc.gpu_id, 1}, nullptr), "MAP_MEMORY_TO_GPU",
              {0, pages});
  }
  changed(buffer.gem ? Count::GemCreated : Count::BuffersAllocated);
  use_buffer(random, index);
}

// Checks every page and writes some of them anew. A fresh buffer is all zeroes.
void Actor::use_buffer(Random& random, unsigned index) {
  Buffer& buffer = buffers_[index];
  for (std::size_t page = 0; page < buffer.keys.size(); ++page) {
    char* bytes = buffer.memory + page * kPageBytes;
    context_.board->add(Count::BytesChecked, kPageBytes);
    if (first_wrong_word(bytes, buffer.keys[page]) != kPageWords) {
      fail(fmt::format("lost bytes in page {} of {} of a {} buffer of {}: {}", page, buffer.keys.size(),
                       buffer.vram ? "VRAM" : "GTT", buffer.gem ? "GEM" : "KFD",
                       describe_page(bytes, buffer.keys[page])));
    }
    if (random.one_in(2)) {
      buffer.keys[page] =
          make_key(context_.process, thread_, false, kFirstKeySlot + index * kMostPages + page, ++generation_);
      fill_page(bytes, buffer.keys[page]);
    }
  }
}

void Actor::destroy_object(const Buffer& buffer) {
  const Run pages{0, buffer.keys.size()};
  if (buffer.gem) {
    expect_ok(gem_close(context_.render_fds[buffer.gpu], buffer.gem_handle), "GEM_CLOSE", pages);
    return;
  }
  if (buffer.gpu_mapped) {
    expect_ok(context_.kfd->free(buffer.alloc.handle) == EBUSY ? 0 : EPROTO, "FREE of a mapped buffer", pages);
    expect_ok(context_.kfd->unmap(buffer.alloc.handle, {&buffer.alloc.gpu_id, 1}, nullptr), "UNMAP_MEMORY_FROM_GPU",
              pages);
  }
  expect_ok(context_.kfd->free(buffer.alloc.handle), "FREE_MEMORY_OF_GPU", pages);
}

void Actor::free_buffer(Random& random, unsigned index) {
  use_buffer(random, index);
  Buffer& buffer = buffers_[index];
  const bool unmap_first = random.one_in(2);
  if (!unmap_first) {
    // A mapping keeps the object and its bytes.
    destroy_object(buffer);
    use_buffer(random, index);
  }
  expect_ok(::munmap(buffer.memory, buffer.alloc.size) == 0 ? 0 : errno, "munmap of a buffer", {0, buffer.keys.size()});
  if (unmap_first) {
    destroy_object(buffer);
  }
  buffer.memory = nullptr;
  changed(buffer.gem ? Count::GemClosed : Count::BuffersFreed);
}

}  // namespace kfdlab::stress
