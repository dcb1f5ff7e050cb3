// SPDX-License-Identifier: MIT
// Private anonymous memory that nobody shares.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "common/fd.h"
#include "tests/states/makers.h"
#include "tests/support/buffer.h"
#include "tests/support/needs.h"
#include "tests/support/pages.h"
#include "tests/support/pattern.h"

namespace kfdlab::states {
namespace {

class Anonymous : public Subject {
 public:
  Anonymous() { fill_pattern(buffer_.bytes(), kSeed); }
  [[nodiscard]] std::span<std::byte> pages() const override { return buffer_.bytes(); }

 protected:
  struct Untouched {};
  explicit Anonymous(Untouched) {}
  Buffer buffer_{kPages};
};

class Zeroes : public Anonymous {
 public:
  explicit Zeroes(bool touch) : Anonymous(Untouched{}) {
    for (std::size_t page = 0; touch && page < kPages; ++page) {
      static_cast<void>(*static_cast<volatile std::byte*>(buffer_.page(page)));
    }
  }
  [[nodiscard]] std::string error() override {
    const auto bytes = buffer_.bytes();
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte == std::byte{}; })
               ? ""
               : "memory nobody wrote is not zero";
  }
};

class Locked : public Anonymous {
 public:
  Locked() { locked_ = ::mlock(buffer_.data(), buffer_.size()) == 0; }
  [[nodiscard]] std::string error() override { return locked_ ? Subject::error() : "mlock() failed"; }

 private:
  bool locked_ = false;
};

class Protected : public Anonymous {
 public:
  explicit Protected(int prot) { buffer_.protect(0, kPages, prot); }
  [[nodiscard]] bool child_may_write() const override { return false; }
  [[nodiscard]] std::string error() override {
    buffer_.protect(0, kPages, PROT_READ);
    return Subject::error();
  }
};

class SoftDirtyCleared : public Anonymous {
 public:
  std::string settle() override {
    return std::ofstream("/proc/self/clear_refs") << 4 << std::flush ? "" : "cannot clear soft-dirty bits";
  }
};

class UffdMissing : public Zeroes {
 public:
  explicit UffdMissing(Fd fd) : Zeroes(false), fd_(std::move(fd)) {
    uffdio_register registration{};
    registration.range = {buffer_.address(), buffer_.size()};
    registration.mode = UFFDIO_REGISTER_MODE_MISSING;
    registered_ = ::ioctl(fd_.get(), UFFDIO_REGISTER, &registration) == 0;
  }
  [[nodiscard]] std::string error() override {
    fd_.reset();
    return registered_ ? Zeroes::error() : "UFFDIO_REGISTER failed";
  }

 private:
  Fd fd_;
  bool registered_ = false;
};

// The scratch disk as swap, while it lives.
class DiskSwap {
 public:
  DiskSwap() : on_(std::system("mkswap /dev/vda >/dev/null 2>&1") == 0 && ::swapon("/dev/vda", 0) == 0) {}
  DiskSwap(const DiskSwap&) = delete;
  DiskSwap& operator=(const DiskSwap&) = delete;
  ~DiskSwap() {
    if (on_) {
      ::swapoff("/dev/vda");
    }
  }
  [[nodiscard]] bool on() const { return on_; }

 private:
  bool on_ = false;
};

std::uint64_t vmstat(const std::string& name) {
  // Folds in what the CPUs have counted for themselves.
  std::ofstream("/proc/sys/vm/stat_refresh") << 1;
  std::ifstream file("/proc/vmstat");
  std::string word;
  std::uint64_t value = 0;
  while (file >> word >> value && word != name) {
  }
  return value;
}

class Swapped : public Anonymous {
 public:
  // back: read again, so that each page is in RAM and in the swap cache.
  explicit Swapped(bool back) : back_(back) {}
  [[nodiscard]] bool swap_is_on() const { return swap_.on(); }
  [[nodiscard]] bool page_out() {
    const auto oracle = PageOracle::open();
    const bool gone = oracle.ok() && eventually([&] {
      return ::madvise(buffer_.data(), buffer_.size(), MADV_PAGEOUT) == 0 &&
             oracle.value().census(buffer_.data(), kPages).none == kPages;
    });
    // Or its place on the disk could not be given back yet.
    const bool written = gone && eventually([] { return vmstat("nr_writeback") == 0; });
    for (std::size_t page = 0; written && back_ && page < kPages; ++page) {
      static_cast<void>(*static_cast<volatile std::byte*>(buffer_.page(page)));
    }
    // Pages just read are in a CPU's batch of LRU updates, which holds them; compaction empties it.
    return written && (!back_ || (std::ofstream("/proc/sys/vm/compact_memory") << 1 << std::flush));
  }

 private:
  DiskSwap swap_;
  bool back_;
};

Made make_swapped(bool back) {
  auto subject = std::make_unique<Swapped>(back);
  if (!subject->swap_is_on()) {
    return Error{"needs a scratch disk and mkswap"};
  }
  if (!subject->page_out()) {
    return Error{"pages did not go to swap"};
  }
  return Made(std::move(subject));
}

}  // namespace

std::string Subject::error() { return pattern_error(pages(), kSeed); }

Made make_exclusive() { return Made(std::make_unique<Anonymous>()); }
Made make_hole() { return Made(std::make_unique<Zeroes>(false)); }
Made make_zero_page() { return Made(std::make_unique<Zeroes>(true)); }
Made make_mlocked() { return Made(std::make_unique<Locked>()); }
Made make_prot_none() { return Made(std::make_unique<Protected>(PROT_NONE)); }
Made make_prot_read() { return Made(std::make_unique<Protected>(PROT_READ)); }
Made make_soft_dirty_cleared() { return Made(std::make_unique<SoftDirtyCleared>()); }
Made make_swapped_out() { return make_swapped(false); }
Made make_swap_cache() { return make_swapped(true); }

// SIGBUS instead of waiting for a handler that there is not.
Made make_uffd_missing() {
  Fd fd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = UFFD_FEATURE_SIGBUS;
  if (!fd.valid() || ::ioctl(fd.get(), UFFDIO_API, &api) != 0) {
    return Error{"this kernel has no userfaultfd"};
  }
  return Made(std::make_unique<UffdMissing>(std::move(fd)));
}

}  // namespace kfdlab::states
