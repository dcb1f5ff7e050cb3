// SPDX-License-Identifier: MIT
#include "device/host/transport_memfd.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "common/check.h"

namespace kfdlab::device {
namespace {

// An eventfd write fails only when the counter would overflow after 2^64 unread events; then the reader has one
// to read anyway.
void signal_eventfd(const Fd& fd) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fd.get(), &one, sizeof(one));
}

// A descriptor that cannot be polled now would make a thread spin or sleep for ever later.
Status check_pollable(const std::vector<Fd>& fds, const std::string& what, const char* role) {
  for (const Fd& fd : fds) {
    pollfd probe = {.fd = fd.get(), .events = POLLIN, .revents = 0};
    if (::poll(&probe, 1, 0) < 0 || (probe.revents & (POLLNVAL | POLLERR)) != 0) {
      return Error{fmt::format("{}: {} descriptor {} is not an open eventfd", what, role, fd.get())};
    }
  }
  return ok_status();
}

}  // namespace

Result<std::unique_ptr<MemfdTransport>> MemfdTransport::create(const std::string& what, Fd bar_fd,
                                                               std::vector<Fd> kicks, std::vector<Fd> irqs) {
  KFDLAB_TRY(check_pollable(kicks, what, "kick"));
  KFDLAB_TRY(check_pollable(irqs, what, "irq"));
  const Result<std::uint64_t> size = file_size(bar_fd.get(), what + ": BAR 2 file");
  if (!size.ok()) {
    return size.error();
  }
  Result<Mapping> bar = Mapping::map(bar_fd.get(), 0, size.value(), what + ": BAR 2 file");
  if (!bar.ok()) {
    return bar.error();
  }
  Fd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop.valid()) {
    return errno_error(what + ": creating an eventfd", errno);
  }
  return std::unique_ptr<MemfdTransport>(
      new MemfdTransport(bar.take(), std::move(stop), std::move(kicks), std::move(irqs)));
}

bool MemfdTransport::wait_kick(unsigned kick) {
  KFDLAB_CHECK(kick < kicks_.size());
  pollfd fds[] = {{.fd = kicks_[kick].get(), .events = POLLIN, .revents = 0},
                  {.fd = stop_.get(), .events = POLLIN, .revents = 0}};
  while (::poll(fds, 2, -1) < 0) {
    KFDLAB_CHECK(errno == EINTR);  // the descriptors were checked in create() and are ours
  }
  if (fds[1].revents != 0) {
    return false;
  }
  // Resets the count. The only reader is this thread, so the read cannot block.
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t taken = ::read(kicks_[kick].get(), &count, sizeof(count));
  return true;
}

void MemfdTransport::raise_irq(unsigned irq) {
  KFDLAB_CHECK(irq < irqs_.size());
  signal_eventfd(irqs_[irq]);
}

void MemfdTransport::interrupt_waiters() { signal_eventfd(stop_); }

}  // namespace kfdlab::device
