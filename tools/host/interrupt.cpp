// SPDX-License-Identifier: MIT
#include "tools/host/interrupt.h"

#include <poll.h>
#include <sys/eventfd.h>

namespace kfdlab {

int interrupt_fd() {
  static const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);  // lives as long as the process
  return fd;
}

bool interrupted() {
  pollfd poll_fd{interrupt_fd(), POLLIN, 0};
  return ::poll(&poll_fd, 1, 0) == 1;
}

void request_interrupt() { ::eventfd_write(interrupt_fd(), 1); }

}  // namespace kfdlab
