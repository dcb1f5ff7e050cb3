// SPDX-License-Identifier: MIT
// Pages that are part of larger ones.
#include <sys/mman.h>

#include <fstream>

#include "tests/states/makers.h"
#include "tests/support/buffer.h"
#include "tests/support/pages.h"
#include "tests/support/pattern.h"

namespace kfdlab::states {
namespace {

constexpr std::size_t kHuge = 2u << 20;

bool write_to(const char* path, const char* text) {
  std::ofstream file(path);
  return static_cast<bool>(file << text << std::flush);
}

// Consecutive frames from a multiple of `npages` on.
bool in_one_piece(const void* start, std::size_t npages) {
  const auto oracle = PageOracle::open();
  if (!oracle.ok()) {
    return false;
  }
  const auto frames = oracle.value().frames(start, npages);
  for (std::size_t i = 0; i < npages; ++i) {
    if (frames[i] == 0 || frames[i] != frames[0] + i || frames[0] % npages != 0) {
      return false;
    }
  }
  return true;
}

class Huge : public Subject {
 public:
  Huge() : buffer_(kHuge / kPageSize) {
    ::madvise(buffer_.data(), buffer_.size(), MADV_HUGEPAGE);
    fill_pattern(buffer_.bytes(), kSeed);
  }
  [[nodiscard]] std::span<std::byte> pages() const override { return buffer_.bytes(); }
  // A different protection for a moment parts the mapping, not the page.
  void part() const {
    buffer_.protect(3, 1, PROT_READ);
    buffer_.protect(3, 1, PROT_READ | PROT_WRITE);
  }

 private:
  Buffer buffer_;
};

Made make_huge(bool parted) {
  auto subject = std::make_unique<Huge>();
  if (!in_one_piece(subject->pages().data(), kHuge / kPageSize)) {
    return Error{"no huge page was to be had"};
  }
  if (parted) {
    subject->part();
  }
  return Made(std::move(subject));
}

constexpr char kMiddleSize[] = "/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled";

class MiddleSized : public Subject {
 public:
  MiddleSized() {
    // Page kPages - 1 of 2 * kPages begins the aligned run at the latest.
    const std::uint64_t bytes = kPages * kPageSize;
    first_ = (bytes - buffer_.address() % bytes) % bytes / kPageSize;
    // Buffers decline transparent huge pages.
    ::madvise(buffer_.data(), buffer_.size(), MADV_HUGEPAGE);
    fill_pattern(pages(), kSeed);
  }
  ~MiddleSized() override { write_to(kMiddleSize, "never"); }
  [[nodiscard]] std::span<std::byte> pages() const override { return buffer_.pages(first_, kPages); }

 private:
  Buffer buffer_{2 * kPages};
  std::size_t first_ = 0;
};

class HugeTlb : public Subject {
 public:
  HugeTlb()
      : data_(static_cast<std::byte*>(::mmap(nullptr, kHuge, PROT_READ | PROT_WRITE,
                                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0))) {
    if (mapped()) {
      fill_pattern(pages(), kSeed);
    }
  }
  ~HugeTlb() override {
    if (mapped()) {
      ::munmap(data_, kHuge);
    }
    write_to("/proc/sys/vm/nr_hugepages", "0");
  }
  [[nodiscard]] bool mapped() const { return data_ != MAP_FAILED; }
  [[nodiscard]] std::span<std::byte> pages() const override { return {data_, kHuge}; }

 private:
  std::byte* data_;
};

}  // namespace

Made make_thp() { return make_huge(false); }
Made make_thp_by_ptes() { return make_huge(true); }

Made make_mthp() {
  if (!write_to(kMiddleSize, "madvise")) {
    return Error{"this kernel has no huge pages of 64 KiB (since 6.8)"};
  }
  auto subject = std::make_unique<MiddleSized>();
  if (!in_one_piece(subject->pages().data(), kPages)) {
    return Error{"no huge page of 64 KiB was to be had"};
  }
  return Made(std::move(subject));
}

// Two: copy-on-write needs another.
Made make_hugetlb() {
  write_to("/proc/sys/vm/nr_hugepages", "2");
  auto subject = std::make_unique<HugeTlb>();
  if (!subject->mapped()) {
    return Error{"no page of hugetlbfs was to be had"};
  }
  return Made(std::move(subject));
}

}  // namespace kfdlab::states
