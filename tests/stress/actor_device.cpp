// SPDX-License-Identifier: MIT
// Operations of a thread that ask the GPU driver for something: prefetch, attributes, eviction, buffers.
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "tests/stress/actor.h"

namespace kfdlab::stress {
namespace {

std::uint64_t number(const char* address) { return reinterpret_cast<std::uintptr_t>(address); }

}  // namespace

std::uint32_t Actor::random_gpu(Random& random) const {
  return context_.setup->gpus[random.below(context_.setup->gpus.size())];
}

void Actor::move_run(Run run, std::uint32_t location, const char* what) {
  note(run, what);
  expect_ok(context_.kfd->svm_prefetch(number(window_.address(run.first)), run.count * kPageBytes, location), what,
            run);
}

void Actor::prefetch(Random& random, bool to_vram) {
  const Run run = pick_mapped(random, random.one_in(8) ? 512 : 96);
  if (run.count == 0 || context_.kfd == nullptr) {
    return;
  }
  const std::uint32_t location = to_vram ? random_gpu(random) : kSvmSystem;
  const char* what = to_vram ? "prefetch to VRAM" : "prefetch to RAM";
  move_run(run, location, what);
  changed(to_vram ? Count::PrefetchVram : Count::PrefetchRam);
  const std::size_t slot = run.first + random.below(run.count);
  check(slot);
}

void Actor::prefetch_vram(Random& random) { prefetch(random, true); }

void Actor::prefetch_ram(Random& random) { prefetch(random, false); }

// Pages of another thread of this process, who knows nothing of it. Its window may have holes.
void Actor::prefetch_of_others(Random& random) {
  const unsigned threads = context_.setup->threads;
  if (threads < 2 || context_.kfd == nullptr) {
    return;
  }
  const auto other = static_cast<unsigned>((thread_ + 1 + random.below(threads - 1)) % threads);
  const std::size_t count = random.size(64);
  const std::size_t first = random.below(window_.slots() - count);
  const bool to_vram = random.one_in(2);
  const std::uint64_t address = number(Window::base_of(context_.process, other)) + first * kPageBytes;
  remember(Window::base_of(context_.process, other) + first * kPageBytes, count,
           to_vram ? "foreign prefetch to VRAM" : "foreign prefetch to RAM");
  const int error = context_.kfd->svm_prefetch(address, count * kPageBytes, to_vram ? random_gpu(random) : kSvmSystem);
  if (error == EFAULT) {
    context_.board->add(Count::PrefetchHoles);
    return;
  }
  expect_ok(error, "prefetch of another's pages", {first, count});
  changed(to_vram ? Count::PrefetchVram : Count::PrefetchRam);
}

void Actor::change_attributes(Random& random) {
  const Run run = pick_mapped(random, 128);
  if (run.count == 0 || context_.kfd == nullptr) {
    return;
  }
  const std::uint32_t gpu = random_gpu(random);
  const std::array<std::uint32_t, 3> locations = {gpu, kSvmSystem, kSvmUndefined};
  const std::array<kfd_ioctl_svm_attribute, 6> choices = {{
      {KFD_IOCTL_SVM_ATTR_PREFERRED_LOC, locations[random.below(locations.size())]},
      {KFD_IOCTL_SVM_ATTR_ACCESS, gpu},
      {KFD_IOCTL_SVM_ATTR_ACCESS_IN_PLACE, gpu},
      {KFD_IOCTL_SVM_ATTR_NO_ACCESS, gpu},
      {KFD_IOCTL_SVM_ATTR_SET_FLAGS, KFD_IOCTL_SVM_FLAG_GPU_READ_MOSTLY},
      {KFD_IOCTL_SVM_ATTR_GRANULARITY, static_cast<std::uint32_t>(random.below(10))},
  }};
  const kfd_ioctl_svm_attribute attribute = choices[random.below(choices.size())];
  expect_ok(context_.kfd->svm_set(number(window_.address(run.first)), run.count * kPageBytes, {&attribute, 1}),
            fmt::format("SVM attribute {}", attribute.type), run);
  note(run, "attribute");
  changed(Count::Attributes);
}

// Rare: afterwards VRAM is empty, and TTM has nothing to evict for a while.
void Actor::evict_all(Random& random) {
  if (!random.one_in(10)) {
    return;
  }
  if (const auto evicted = device_->evict(random_gpu(random)); !evicted) {
    fail(evicted.error().message);
  }
  changed(Count::EvictAll);
}

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

void Actor::allocate_buffer(Random& random, unsigned index) {
  Buffer& buffer = buffers_[index];
  const std::size_t pages = random.size(64);
  char* address = Window::buffer_base(context_.process, thread_, index);
  buffer.gpu = random.below(context_.setup->gpus.size());
  buffer.alloc = {};
  buffer.alloc.va = number(address);
  buffer.alloc.size = pages * kPageBytes;
  buffer.alloc.gpu_id = context_.setup->gpus[buffer.gpu];
  buffer.alloc.flags = (random.one_in(4) ? KFD_IOC_ALLOC_MEM_FLAGS_GTT : KFD_IOC_ALLOC_MEM_FLAGS_VRAM) |
                       static_cast<std::uint32_t>(KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE) | KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC;
  const int error = context_.kfd->alloc(&buffer.alloc);
  if (error == ENOMEM) {
    context_.board->add(Count::BuffersRefused);
    return;
  }
  expect_ok(error, "ALLOC_MEMORY_OF_GPU", {0, pages});
  void* mapped = ::mmap(address, buffer.alloc.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE,
                        context_.render_fds[buffer.gpu], static_cast<off_t>(buffer.alloc.mmap_offset));
  expect_ok(mapped == address ? 0 : errno, "mmap of a buffer", {0, pages});
  buffer.memory = address;
  buffer.keys.assign(pages, kZeroKey);
  buffer.mapped = random.one_in(2);
  if (buffer.mapped) {
    expect_ok(context_.kfd->map(buffer.alloc.handle, {&buffer.alloc.gpu_id, 1}, nullptr), "MAP_MEMORY_TO_GPU",
              {0, pages});
  }
  changed(Count::BuffersAllocated);
  use_buffer(random, index);
}

// Checks every page and writes some of them anew. A fresh buffer is all zeroes.
void Actor::use_buffer(Random& random, unsigned index) {
  Buffer& buffer = buffers_[index];
  for (std::size_t page = 0; page < buffer.keys.size(); ++page) {
    char* bytes = buffer.memory + page * kPageBytes;
    context_.board->add(Count::BytesChecked, kPageBytes);
    if (first_wrong_word(bytes, buffer.keys[page]) != kPageWords) {
      fail(fmt::format("lost bytes in page {} of {} of a {} buffer: {}", page, buffer.keys.size(),
                       (buffer.alloc.flags & KFD_IOC_ALLOC_MEM_FLAGS_VRAM) != 0 ? "VRAM" : "GTT",
                       describe_page(bytes, buffer.keys[page])));
    }
    if (random.one_in(2)) {
      buffer.keys[page] = make_key(context_.process, thread_, false, 0x8000u + index * 64 + page, ++generation_);
      fill_page(bytes, buffer.keys[page]);
    }
  }
}

void Actor::free_buffer(Random& random, unsigned index) {
  use_buffer(random, index);
  Buffer& buffer = buffers_[index];
  const Run pages{0, buffer.keys.size()};
  const bool unmap_first = random.one_in(2);
  if (unmap_first) {
    expect_ok(::munmap(buffer.memory, buffer.alloc.size) == 0 ? 0 : errno, "munmap of a buffer", pages);
  }
  if (buffer.mapped) {
    expect_ok(context_.kfd->free(buffer.alloc.handle) == EBUSY ? 0 : EPROTO, "FREE of a mapped buffer", pages);
    expect_ok(context_.kfd->unmap(buffer.alloc.handle, {&buffer.alloc.gpu_id, 1}, nullptr), "UNMAP_MEMORY_FROM_GPU",
              pages);
  }
  expect_ok(context_.kfd->free(buffer.alloc.handle), "FREE_MEMORY_OF_GPU", pages);
  if (!unmap_first) {
    expect_ok(::munmap(buffer.memory, buffer.alloc.size) == 0 ? 0 : errno, "munmap of a buffer", pages);
  }
  buffer.memory = nullptr;
  changed(Count::BuffersFreed);
}

}  // namespace kfdlab::stress
