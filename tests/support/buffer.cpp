// SPDX-License-Identifier: MIT
#include "tests/support/buffer.h"

#include <utility>

#include "common/check.h"

namespace kfdlab {
namespace {

constexpr std::size_t kHugePageSize = 2u << 20;

}  // namespace

Buffer::Buffer(std::size_t npages) : npages_(npages) { map(-1, MAP_PRIVATE | MAP_ANONYMOUS); }

Buffer::Buffer(std::size_t npages, int fd, int flags) : npages_(npages) { map(fd, flags); }

void Buffer::map(int fd, int flags) {
  KFDLAB_CHECK(npages_ > 0);
  const std::size_t alignment = size() >= kHugePageSize ? kHugePageSize : kPageSize;
  reservation_size_ = size() + alignment + 2 * kPageSize;
  void* reserved = ::mmap(nullptr, reservation_size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  KFDLAB_CHECK(reserved != MAP_FAILED);
  reservation_ = static_cast<std::byte*>(reserved);

  const auto first = reinterpret_cast<std::uintptr_t>(reservation_) + kPageSize;
  const std::uintptr_t aligned = (first + alignment - 1) / alignment * alignment;
  std::byte* at = reservation_ + (aligned - reinterpret_cast<std::uintptr_t>(reservation_));
  void* mapped = ::mmap(at, size(), PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
  KFDLAB_CHECK(mapped == at);
  data_ = at;
  // A kernel without transparent huge pages answers EINVAL, which is just as good.
  (void)::madvise(data_, size(), MADV_NOHUGEPAGE);
}

Buffer::Buffer(Buffer&& other) noexcept
    : reservation_(std::exchange(other.reservation_, nullptr)),
      reservation_size_(std::exchange(other.reservation_size_, 0)),
      data_(std::exchange(other.data_, nullptr)),
      npages_(std::exchange(other.npages_, 0)),
      holes_(std::move(other.holes_)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    release();
    reservation_ = std::exchange(other.reservation_, nullptr);
    reservation_size_ = std::exchange(other.reservation_size_, 0);
    data_ = std::exchange(other.data_, nullptr);
    npages_ = std::exchange(other.npages_, 0);
    holes_ = std::move(other.holes_);
  }
  return *this;
}

Buffer::~Buffer() { release(); }

void Buffer::release() {
  if (reservation_ == nullptr) {
    return;
  }
  std::byte* from = reservation_;
  for (const auto& [hole, bytes] : holes_) {
    if (hole > from) {
      KFDLAB_CHECK(::munmap(from, static_cast<std::size_t>(hole - from)) == 0);
    }
    from = hole + bytes;
  }
  KFDLAB_CHECK(::munmap(from, static_cast<std::size_t>(reservation_ + reservation_size_ - from)) == 0);
  holes_.clear();
  reservation_ = nullptr;
}

void Buffer::protect(std::size_t first, std::size_t count, int prot) const {
  KFDLAB_CHECK(first + count <= npages_);
  KFDLAB_CHECK(::mprotect(page(first), count * kPageSize, prot) == 0);
}

void Buffer::unmap(std::size_t first, std::size_t count) {
  KFDLAB_CHECK(first + count <= npages_);
  KFDLAB_CHECK(::munmap(page(first), count * kPageSize) == 0);
  holes_.emplace(page(first), count * kPageSize);
}

}  // namespace kfdlab
