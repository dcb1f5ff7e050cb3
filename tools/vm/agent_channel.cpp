// SPDX-License-Identifier: MIT
#include "tools/vm/agent_channel.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "tools/host/interrupt.h"

namespace kfdlab {

using protocol::Frame;
using protocol::Type;

void AgentChannel::send(Type type, std::string_view payload) { out_ += protocol::encode_frame(type, payload); }
void AgentChannel::send_u32(Type type, std::uint32_t value) { out_ += protocol::encode_frame_u32(type, value); }

short AgentChannel::events() const { return static_cast<short>(out_.empty() ? POLLIN : POLLIN | POLLOUT); }

bool AgentChannel::pump() {
  while (!out_.empty()) {
    const ssize_t n = ::send(socket_.get(), out_.data(), out_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EAGAIN || errno == EINTR) {
        break;
      }
      return false;
    }
    out_.erase(0, static_cast<std::size_t>(n));
  }
  char buffer[65536];
  const ssize_t n = ::recv(socket_.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
    return false;
  }
  if (n > 0) {
    reader_.feed(std::string_view(buffer, static_cast<std::size_t>(n)));
  }
  return !reader_.broken();
}

AgentChannel::Outcome AgentChannel::await(Type type, std::chrono::milliseconds timeout, Frame& frame) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    while (auto arrived = next()) {
      if (arrived->type == type) {
        frame = std::move(*arrived);
        return Outcome::Frame;
      }
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) {
      return Outcome::TimedOut;
    }
    pollfd polls[3] = {{fd(), events(), 0}, {vm_ended_, POLLIN, 0}, {interrupt_fd(), POLLIN, 0}};
    ::poll(polls, 3, static_cast<int>(std::min<std::int64_t>(left, 1 << 30)));
    if (polls[2].revents != 0) {
      return Outcome::Interrupted;
    }
    const bool alive = pump();
    if (!alive || polls[1].revents != 0) {
      // What it said last still counts.
      while (auto arrived = next()) {
        if (arrived->type == type) {
          frame = std::move(*arrived);
          return Outcome::Frame;
        }
      }
      return Outcome::VmEnded;
    }
  }
}

}  // namespace kfdlab
