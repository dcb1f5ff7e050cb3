// SPDX-License-Identifier: MIT
#include "tools/terminal.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "tools/host/interrupt.h"

namespace kfdlab {

void RawTerminal::enter(int fd) {
  if (::tcgetattr(fd, &saved_) != 0) {
    return;
  }
  termios raw = saved_;
  ::cfmakeraw(&raw);
  if (::tcsetattr(fd, TCSANOW, &raw) == 0) {
    fd_ = fd;
  }
}

void RawTerminal::restore() {
  if (fd_ >= 0) {
    ::tcsetattr(fd_, TCSANOW, &saved_);
    fd_ = -1;
  }
}

bool write_patiently(int fd, std::string_view data) {
  while (!data.empty()) {
    pollfd polls[2] = {{fd, POLLOUT, 0}, {interrupt_fd(), POLLIN, 0}};
    if (::poll(polls, 2, -1) < 0) {
      continue;
    }
    if (polls[1].revents != 0) {
      return false;
    }
    // A pipe that polls writable takes PIPE_BUF bytes without blocking.
    const ssize_t n = ::write(fd, data.data(), std::min<std::size_t>(data.size(), PIPE_BUF));
    if (n < 0 && errno != EINTR && errno != EAGAIN) {
      return false;
    }
    data.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  }
  return true;
}

}  // namespace kfdlab
