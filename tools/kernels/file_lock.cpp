// SPDX-License-Identifier: MIT
#include "tools/kernels/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>

#include <cerrno>

#include "tools/host/interrupt.h"

namespace kfdlab {

Result<Fd> lock_patiently(const std::filesystem::path& path, LiveLine* live) {
  constexpr int kRetryMs = 200;
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd.valid()) {
    return errno_error(path.string(), errno);
  }
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return errno_error("cannot lock " + path.string(), errno);
    }
    live->update("another kfdlab works on it, waiting");
    pollfd interrupt{interrupt_fd(), POLLIN, 0};
    if (::poll(&interrupt, 1, kRetryMs) == 1) {
      return Error{"interrupted"};
    }
  }
  return fd;
}

}  // namespace kfdlab
