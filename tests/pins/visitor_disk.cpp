// SPDX-License-Identifier: MIT
// O_DIRECT: a disk reads and writes the pages themselves. The disk is one of RAM (brd), so that nobody's data is on it.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "common/fd.h"
#include "tests/pins/system.h"
#include "tests/pins/visitors.h"
#include "tests/support/pattern.h"

namespace kfdlab::pins {
namespace {

constexpr char kDisk[] = "/dev/ram0";

// All of `bytes` through the page cache of the disk, and out of it again.
Status buffered(bool write, std::span<std::byte> bytes) {
  const Fd disk(::open(kDisk, O_RDWR | O_CLOEXEC));
  const ssize_t moved = write ? ::pwrite(disk.get(), bytes.data(), bytes.size(), 0)
                              : ::pread(disk.get(), bytes.data(), bytes.size(), 0);
  if (moved != static_cast<ssize_t>(bytes.size()) || ::fsync(disk.get()) != 0) {
    return errno_error(kDisk, errno);
  }
  return ok_status();
}

class DirectIo : public Visitor {
 public:
  DirectIo(Fd disk, bool write) : disk_(std::move(disk)), write_(write) {}
  Result<Pieces> visit(std::span<std::byte> pages, std::uint64_t seed) override {
    Pieces all{{0, std::vector<std::byte>(pages.size())}};
    std::vector<std::byte>& bytes = all[0].bytes;
    if (!write_) {
      fill_pattern(bytes, reinterpret_cast<std::uintptr_t>(pages.data()), seed);
      KFDLAB_TRY(buffered(true, bytes));
    }
    const ssize_t moved = write_ ? ::pwrite(disk_.get(), pages.data(), pages.size(), 0)
                                 : ::pread(disk_.get(), pages.data(), pages.size(), 0);
    if (moved != static_cast<ssize_t>(pages.size())) {
      return errno_error("O_DIRECT", errno);
    }
    if (write_) {
      KFDLAB_TRY(buffered(false, bytes));
    }
    return all;
  }

 private:
  Fd disk_;
  bool write_;
};

MadeVisitor make(bool write) {
  KFDLAB_TRY(load_module("brd", "rd_nr=1 rd_size=4096"));
  // Exclusive: refused when somebody mounted it.
  Fd disk(::open(kDisk, O_RDWR | O_DIRECT | O_EXCL | O_CLOEXEC));
  if (!disk.valid()) {
    return errno_error(kDisk, errno);
  }
  return MadeVisitor(std::make_unique<DirectIo>(std::move(disk), write));
}

}  // namespace

MadeVisitor make_direct_read() { return make(false); }
MadeVisitor make_direct_write() { return make(true); }

}  // namespace kfdlab::pins
