// SPDX-License-Identifier: MIT
// Buffer owns a run of pages of this process, between two guard pages: no neighbour's mapping merges with it, so
// numa_maps has a line of its own for it and a walk past its end faults.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>

namespace kfdlab {

inline constexpr std::size_t kPageSize = 4096;

class Buffer {
 public:
  // Private anonymous memory, readable and writable, not yet touched, without transparent huge pages (base pages
  // are what the device holds, and a test must know what it starts from). Aligned to 2 MiB from 512 pages on.
  // Aborts when mmap fails: no rule of the kernel under test is about that.
  explicit Buffer(std::size_t npages);
  // As above over a file (MAP_SHARED or MAP_PRIVATE in `flags`), from its first byte.
  Buffer(std::size_t npages, int fd, int flags);

  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::uint64_t address() const { return reinterpret_cast<std::uintptr_t>(data_); }
  [[nodiscard]] std::size_t npages() const { return npages_; }
  [[nodiscard]] std::size_t size() const { return npages_ * kPageSize; }
  [[nodiscard]] std::byte* page(std::size_t index) const { return data_ + index * kPageSize; }
  [[nodiscard]] std::uint64_t page_address(std::size_t index) const { return address() + index * kPageSize; }
  [[nodiscard]] std::span<std::byte> bytes() const { return {data_, size()}; }
  [[nodiscard]] std::span<std::byte> pages(std::size_t first, std::size_t count) const {
    return {page(first), count * kPageSize};
  }

  // mprotect and munmap of some of its pages. Both abort on failure. A hole is no longer this object's: anybody's
  // mmap may land there, and the destructor leaves it alone.
  void protect(std::size_t first, std::size_t count, int prot) const;
  void unmap(std::size_t first, std::size_t count);

 private:
  void map(int fd, int flags);
  void release();

  std::byte* reservation_ = nullptr;
  std::size_t reservation_size_ = 0;
  std::byte* data_ = nullptr;
  std::size_t npages_ = 0;
  std::map<std::byte*, std::size_t> holes_;  // start and bytes of what unmap() gave away
};

}  // namespace kfdlab
