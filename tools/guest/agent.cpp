// SPDX-License-Identifier: MIT
#include "tools/guest/agent.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <vector>

#include "tools/guest/overlay_list.h"

namespace kfdlab::guest {

using protocol::Frame;
using protocol::Type;

namespace {

// Above this much waiting for the port, the command's pipes are left alone: they stop the command.
constexpr std::size_t kQueueLimit = 512u << 10;
// A terminal passes data on from a kernel worker: output may arrive this late after the command's end.
constexpr int kPtyGraceMs = 200;
constexpr int kPollStepMs = 5;

int status_of(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

std::string port_by_name(const char* name) {
  DIR* directory = ::opendir("/sys/class/virtio-ports");
  if (directory == nullptr) {
    return {};
  }
  std::string found;
  while (const dirent* entry = ::readdir(directory)) {
    const Fd fd(
        ::open((std::string("/sys/class/virtio-ports/") + entry->d_name + "/name").c_str(), O_RDONLY | O_CLOEXEC));
    char text[128] = {};
    if (fd.valid() && ::read(fd.get(), text, sizeof(text) - 1) > 0 &&
        std::string_view(text) == std::string(name) + "\n") {
      found = std::string("/dev/") + entry->d_name;
    }
  }
  ::closedir(directory);
  return found;
}

}  // namespace

std::string find_port(const char* name, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    std::string found = port_by_name(name);
    if (!found.empty() || std::chrono::steady_clock::now() > deadline) {
      return found;
    }
    ::poll(nullptr, 0, kPollStepMs);
  }
}

Agent::Agent(Fd port, const Config& config, RootLayers layers, const std::string& trouble)
    : port_(std::move(port)), config_(config), layers_(std::move(layers)), initial_changes_(overlay_changes(layers_)) {
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child, nullptr);
  child_signal_.reset(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
  sys_rq_.reset(::open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC));
  protocol::PayloadWriter hello;
  hello.u32(protocol::kVersion);
  hello.string(trouble);
  out_ += protocol::encode_frame(Type::Hello, hello.take());
}

bool Agent::may_queue() const { return out_.size() < kQueueLimit; }

void Agent::read_port() {
  char buffer[65536];
  const ssize_t n = ::read(port_.get(), buffer, sizeof(buffer));
  if (n <= 0) {
    return;
  }
  reader_.feed(std::string_view(buffer, static_cast<std::size_t>(n)));
  while (const auto frame = reader_.next()) {
    handle(*frame);
  }
}

void Agent::write_port() {
  while (!out_.empty()) {
    const ssize_t n = ::write(port_.get(), out_.data(), out_.size());
    if (n <= 0) {
      return;
    }
    out_.erase(0, static_cast<std::size_t>(n));
  }
}

void Agent::handle(const Frame& frame) {
  protocol::PayloadReader payload(frame.payload);
  switch (frame.type) {
    case Type::Exec:
      exec(frame);
      break;
    case Type::Stdin:
      if (command_) {
        stdin_ += frame.payload;
      }
      break;
    case Type::StdinEof:
      stdin_eof_ = command_.has_value();
      break;
    case Type::Window:
      if (command_ && command_->pty) {
        const auto rows = static_cast<unsigned short>(payload.u32());
        const auto columns = static_cast<unsigned short>(payload.u32());
        const winsize window{rows, columns, 0, 0};
        ::ioctl(command_->input.get(), TIOCSWINSZ, &window);
      }
      break;
    case Type::Signal:
      if (command_ && !exit_status_) {
        ::kill(-command_->pid, static_cast<int>(payload.u32()));
      }
      break;
    case Type::SysRq:
      sys_rq(frame.payload);
      break;
    case Type::ListChanges: {
      std::vector<std::string> changes;
      for (const std::string& path : overlay_changes(layers_)) {
        if (!initial_changes_.contains(path)) {
          changes.push_back(path);
        }
      }
      protocol::PayloadWriter list;
      list.strings(changes);
      out_ += protocol::encode_frame(Type::Discarded, list.take());
      break;
    }
    case Type::PowerOff:
      power_off_ = true;
      break;
    default:  // only we send the others
      break;
  }
}

void Agent::exec(const Frame& frame) {
  const auto request = protocol::decode_exec(frame.payload);
  stdin_.clear();
  stdin_eof_ = false;
  exit_status_.reset();
  set_device_groups(config_);
  std::string reason = "malformed request";
  if (request) {
    auto command = start_command(*request);
    if (command.ok()) {
      command_ = command.take();
      return;
    }
    reason = command.error().message;
  }
  out_ += protocol::encode_frame(Type::Stderr, "kfdlab: " + reason + "\n");
  out_ += protocol::encode_frame_u32(Type::Exit, 125);
}

void Agent::read_stream(const Stream& stream) {
  char buffer[protocol::kDataChunk];
  const ssize_t n = ::read(stream.fd->get(), buffer, sizeof(buffer));
  if (n > 0) {
    out_ += protocol::encode_frame(stream.type, std::string_view(buffer, static_cast<std::size_t>(n)));
  } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
    stream.fd->reset();  // EIO: every process has closed the terminal
  } else if (exit_status_ && !command_->pty) {
    stream.fd->reset();  // all the command itself wrote has been read; a child of it may keep the pipe open
  }
}

void Agent::take_stdin(std::size_t bytes) {
  stdin_.erase(0, bytes);
  if (bytes > 0) {
    out_ += protocol::encode_frame_u32(Type::StdinTaken, static_cast<std::uint32_t>(bytes));
  }
}

void Agent::write_stdin() {
  if (!command_->input.valid()) {
    take_stdin(stdin_.size());
    return;
  }
  while (!stdin_.empty()) {
    const ssize_t n = ::write(command_->input.get(), stdin_.data(), stdin_.size());
    if (n > 0) {
      take_stdin(static_cast<std::size_t>(n));
    } else if (errno != EINTR) {
      if (errno != EAGAIN) {
        command_->input.reset();
        take_stdin(stdin_.size());
      }
      return;
    }
  }
  if (stdin_eof_) {
    stdin_eof_ = false;
    if (command_->pty) {
      constexpr char kEndOfFile = 4;  // the terminal's default VEOF
      static_cast<void>(::write(command_->input.get(), &kEndOfFile, 1) < 0);
    } else {
      command_->input.reset();
    }
  }
}

void Agent::reap() {
  signalfd_siginfo ignored{};
  while (::read(child_signal_.get(), &ignored, sizeof(ignored)) > 0) {
  }
  int wait_status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &wait_status, WNOHANG)) > 0;) {
    if (command_ && pid == command_->pid) {
      exit_status_ = status_of(wait_status);
    }
  }
}

void Agent::finish_if_drained() {
  if (exit_status_ && !command_->output.valid() && !command_->errors.valid() && !command_->results.valid()) {
    out_ += protocol::encode_frame_u32(Type::Exit, static_cast<std::uint32_t>(*exit_status_));
    command_.reset();
    stdin_.clear();
  }
}

void Agent::sys_rq(std::string_view keys) {
  for (const char key : keys) {
    static_cast<void>(::write(sys_rq_.get(), &key, 1) < 0);
  }
  out_ += protocol::encode_frame(Type::SysRqDone);
}

void Agent::run() {
  while (!power_off_) {
    std::array<pollfd, 6> polls;
    polls.fill({-1, 0, 0});
    polls[0] = {port_.get(), static_cast<short>(out_.empty() ? POLLIN : POLLIN | POLLOUT), 0};
    polls[1] = {child_signal_.get(), POLLIN, 0};
    std::array<Stream, 3> streams{};
    if (command_) {
      streams = {
          {{&command_->output, Type::Stdout}, {&command_->errors, Type::Stderr}, {&command_->results, Type::Results}}};
      for (std::size_t i = 0; i < streams.size() && may_queue(); ++i) {
        polls[2 + i] = {streams[i].fd->get(), POLLIN, 0};
      }
      if (!stdin_.empty() || stdin_eof_) {
        polls[5] = {command_->input.get(), POLLOUT, 0};
      }
    }
    // After the command's end what is left in its pipes is read without waiting for readiness.
    const bool draining = exit_status_.has_value() && command_ && may_queue();
    const int ready = ::poll(polls.data(), polls.size(), draining ? (command_->pty ? kPtyGraceMs : 0) : -1);
    if (polls[0].revents != 0) {
      read_port();
      write_port();
    }
    if (polls[1].revents != 0) {
      reap();
    }
    if (!command_) {
      continue;
    }
    for (std::size_t i = 0; i < 3; ++i) {
      const bool wanted = streams[i].fd != nullptr && streams[i].fd->valid();
      if (wanted && (polls[2 + i].revents != 0 || (draining && !command_->pty))) {
        read_stream(streams[i]);
      }
    }
    if (draining && command_->pty && ready == 0) {
      command_->output.reset();
    }
    if (!stdin_.empty() || stdin_eof_) {
      write_stdin();
    }
    finish_if_drained();
  }
}

}  // namespace kfdlab::guest
