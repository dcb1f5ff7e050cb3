// SPDX-License-Identifier: MIT
#include "tools/vm/command_session.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "tools/host/interrupt.h"

namespace kfdlab {

using protocol::Type;

namespace {

using Clock = std::chrono::steady_clock;

winsize window_of(int fd) {
  winsize window{};
  ::ioctl(fd, TIOCGWINSZ, &window);
  return window;
}

std::vector<protocol::Limit> own_limits() {
  std::vector<protocol::Limit> limits;
  for (int resource = 0; resource < RLIMIT_NLIMITS; ++resource) {
    rlimit limit{};
    if (::getrlimit(static_cast<__rlimit_resource>(resource), &limit) == 0) {
      limits.push_back({static_cast<std::uint32_t>(resource), limit.rlim_cur, limit.rlim_max});
    }
  }
  return limits;
}

}  // namespace

void CommandSession::send_exec() {
  protocol::ExecRequest request;
  request.flags = (command_.pty ? protocol::ExecRequest::kPty : 0) |
                  (command_.stdin_fd < 0 ? protocol::ExecRequest::kNullStdin : 0) |
                  (command_.results ? protocol::ExecRequest::kResults : 0);
  request.uid = command_.uid;
  request.gid = command_.gid;
  request.umask = command_.umask;
  request.cwd = command_.cwd.string();
  request.groups.assign(command_.groups.begin(), command_.groups.end());
  request.argv = command_.argv;
  request.env = command_.env;
  if (command_.caller_limits) {
    request.limits = own_limits();
  }
  if (command_.pty) {
    const winsize window = window_of(command_.stdin_fd);
    request.rows = window.ws_row;
    request.columns = window.ws_col;
  }
  channel_.send(Type::Exec, protocol::encode_exec(request));
}

void CommandSession::forward_stdin() {
  char buffer[protocol::kDataChunk];
  const ssize_t n = ::read(command_.stdin_fd, buffer, std::min(sizeof(buffer), credit_));
  if (n > 0) {
    channel_.send(Type::Stdin, std::string_view(buffer, static_cast<std::size_t>(n)));
    credit_ -= static_cast<std::size_t>(n);
  } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
    channel_.send(Type::StdinEof);
    stdin_open_ = false;
  }
}

void CommandSession::forward_signals() {
  unsigned char signals[64];
  const ssize_t n = ::read(signal_pipe_, signals, sizeof(signals));
  for (ssize_t i = 0; i < n; ++i) {
    if (signals[i] != SIGWINCH) {
      channel_.send_u32(Type::Signal, signals[i]);
    } else if (command_.pty) {
      const winsize window = window_of(command_.stdin_fd);
      protocol::PayloadWriter size;
      size.u32(window.ws_row);
      size.u32(window.ws_col);
      channel_.send(Type::Window, size.take());
    }
  }
}

void CommandSession::handle(const protocol::Frame& frame) {
  switch (frame.type) {
    case Type::Stdout:
    case Type::Stderr:
    case Type::Results:
      if (command_.on_output) {
        command_.on_output(frame.type == Type::Stdout ? 1 : frame.type == Type::Stderr ? 2 : 3, frame.payload);
      }
      break;
    case Type::StdinTaken:
      credit_ += protocol::PayloadReader(frame.payload).u32();
      break;
    case Type::Exit:
      status_ = static_cast<int>(protocol::PayloadReader(frame.payload).u32());
      break;
    default:  // late answers to questions of an earlier time-out
      break;
  }
}

int CommandSession::poll_timeout() const {
  if (command_.timeout.count() == 0) {
    return -1;
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1 << 30));
}

CommandSession::End CommandSession::run() {
  deadline_ = Clock::now() + command_.timeout;
  stdin_open_ = command_.stdin_fd >= 0;
  send_exec();
  for (;;) {
    pollfd polls[] = {
        {channel_.fd(), channel_.events(), 0},
        {channel_.vm_ended(), POLLIN, 0},
        {signal_pipe_, POLLIN, 0},
        {stdin_open_ && credit_ > 0 ? command_.stdin_fd : -1, POLLIN, 0},
        {interrupt_fd(), POLLIN, 0},
    };
    if (::poll(polls, std::size(polls), poll_timeout()) < 0) {
      continue;
    }
    if (polls[2].revents != 0) {
      forward_signals();
    }
    if (polls[3].revents != 0) {
      forward_stdin();
    }
    const bool alive = channel_.pump();
    while (!status_) {
      const auto frame = channel_.next();
      if (!frame) {
        break;
      }
      handle(*frame);
    }
    if (status_) {
      return End::Exited;
    }
    if (polls[4].revents != 0) {
      return End::Interrupted;
    }
    if (!alive || polls[1].revents != 0) {
      return End::VmEnded;
    }
    if (command_.timeout.count() != 0 && Clock::now() >= deadline_) {
      return End::TimedOut;
    }
  }
}

}  // namespace kfdlab
