// SPDX-License-Identifier: MIT
// PagePipe: pages of this process that a pipe holds (vmsplice), an ordinary reference that any program can take for as
// long as it likes. One slot per page.
#pragma once

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstddef>
#include <span>
#include <vector>

#include "common/check.h"
#include "common/fd.h"
#include "tests/support/buffer.h"

namespace kfdlab {

class PagePipe {
 public:
  // Room for 256 pages.
  PagePipe() {
    int ends[2];
    KFDLAB_CHECK(::pipe2(ends, O_CLOEXEC) == 0);
    out_.reset(ends[0]);
    in_.reset(ends[1]);
    KFDLAB_CHECK(::fcntl(in_.get(), F_SETPIPE_SZ, 256 * kPageSize) > 0);
  }
  // Add whole pages behind those it holds. False: no room.
  [[nodiscard]] bool hold(std::span<std::byte> pages) {
    const iovec held{pages.data(), pages.size()};
    if (::vmsplice(in_.get(), &held, 1, SPLICE_F_NONBLOCK) != static_cast<ssize_t>(held.iov_len)) {
      return false;
    }
    size_ += pages.size();
    return true;
  }
  // The bytes of all held pages, in the order of hold(). Afterwards nothing is held.
  [[nodiscard]] std::vector<std::byte> drain() {
    std::vector<std::byte> bytes(size_);
    std::size_t done = 0;
    while (done < size_) {
      const ssize_t got = ::read(out_.get(), bytes.data() + done, size_ - done);
      KFDLAB_CHECK(got > 0);
      done += static_cast<std::size_t>(got);
    }
    size_ = 0;
    return bytes;
  }

 private:
  Fd out_, in_;
  std::size_t size_ = 0;
};

}  // namespace kfdlab
