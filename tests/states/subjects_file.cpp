// SPDX-License-Identifier: MIT
// Memory behind which stands a file, of a kind.
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "common/fd.h"
#include "tests/states/makers.h"
#include "tests/support/buffer.h"
#include "tests/support/pattern.h"

namespace kfdlab::states {
namespace {

Fd memory_file() {
  Fd fd(::memfd_create("kfdlab-states", MFD_CLOEXEC));
  return fd.valid() && ::ftruncate(fd.get(), static_cast<off_t>(kPages * kPageSize)) == 0 ? std::move(fd) : Fd{};
}

class Mapped : public Subject {
 public:
  Mapped(Fd fd, int flags)
      : fd_(std::move(fd)), buffer_(kPages, fd_.get(), flags), shared_((flags & MAP_SHARED) != 0) {}
  [[nodiscard]] bool child_may_write() const override { return !shared_; }
  [[nodiscard]] std::span<std::byte> pages() const override { return buffer_.bytes(); }
  // The file gets what belongs at the mapping, which reads it.
  [[nodiscard]] bool fill_file() const {
    std::vector<std::byte> bytes(buffer_.size());
    fill_pattern(bytes, buffer_.address(), kSeed);
    const bool written =
        ::pwrite(fd_.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size());
    return written && std::memcmp(bytes.data(), buffer_.data(), bytes.size()) == 0;
  }
  void fill_mapping() const { fill_pattern(buffer_.bytes(), kSeed); }

 private:
  Fd fd_;
  Buffer buffer_;
  bool shared_;
};

Made make_mapped(int flags, bool through_file) {
  auto subject = std::make_unique<Mapped>(memory_file(), flags);
  if (!through_file) {
    subject->fill_mapping();
  } else if (!subject->fill_file()) {
    return Error{"cannot fill a file in memory"};
  }
  return Made(std::move(subject));
}

class SharedAnonymous : public Subject {
 public:
  SharedAnonymous() : buffer_(kPages, -1, MAP_SHARED | MAP_ANONYMOUS) { fill_pattern(buffer_.bytes(), kSeed); }
  [[nodiscard]] bool child_may_write() const override { return false; }
  [[nodiscard]] std::span<std::byte> pages() const override { return buffer_.bytes(); }

 private:
  Buffer buffer_;
};

// The kernel's own mapping in every process.
class Vdso : public Subject {
 public:
  Vdso()
      : data_(reinterpret_cast<std::byte*>(::getauxval(AT_SYSINFO_EHDR))), copy_(data_, data_ + kPageSize) {}
  [[nodiscard]] std::span<std::byte> pages() const override { return {data_, kPageSize}; }
  [[nodiscard]] bool child_may_write() const override { return false; }
  [[nodiscard]] std::string error() override {
    return std::memcmp(data_, copy_.data(), copy_.size()) == 0 ? "" : "the vDSO changed";
  }

 private:
  std::byte* data_;
  std::vector<std::byte> copy_;
};

}  // namespace

Made make_shared_anonymous() { return Made(std::make_unique<SharedAnonymous>()); }
Made make_shmem() { return make_mapped(MAP_SHARED, true); }
Made make_private_file() { return make_mapped(MAP_PRIVATE, true); }
Made make_private_file_written() { return make_mapped(MAP_PRIVATE, false); }

Made make_secret() {
  Fd fd(static_cast<int>(::syscall(SYS_memfd_secret, 0)));
  if (!fd.valid() || ::ftruncate(fd.get(), static_cast<off_t>(kPages * kPageSize)) != 0) {
    return Error{"memfd_secret() is off (before 6.5 it takes secretmem.enable=1)"};
  }
  auto subject = std::make_unique<Mapped>(std::move(fd), MAP_SHARED);
  subject->fill_mapping();
  return Made(std::move(subject));
}

Made make_vdso() { return Made(std::make_unique<Vdso>()); }

}  // namespace kfdlab::states
