// SPDX-License-Identifier: MIT
#include "tools/host/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
extern "C" {  // glibc 2.36's header forgets to say so itself
#include <sys/pidfd.h>
}

#include <array>
#include <cerrno>
#include <csignal>

#include "tools/host/interrupt.h"

namespace kfdlab {
namespace {

int status_of(const siginfo_t& info) { return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status; }

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (auto& string : strings) {
    result.push_back(string.data());
  }
  result.push_back(nullptr);
  return result;
}

// Between fork and exec only async-signal-safe calls are allowed: other threads may hold any lock.
struct ChildSetup {
  char* const* argv;
  const std::vector<int>* keep_fds;
  int stdio[3];
  const char* directory;
  int error_fd;
  pid_t parent;
  bool own_session;
};

[[noreturn]] void child_main(const ChildSetup& setup) {
  if (setup.own_session) {
    ::setsid();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != setup.parent) {  // the parent died before prctl
      ::_exit(127);
    }
  }
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int i = 0; i < 3; ++i) {
    ::dup2(setup.stdio[i], i);
  }
  for (const int fd : *setup.keep_fds) {
    ::fcntl(fd, F_SETFD, 0);
  }
  if (setup.directory == nullptr || ::chdir(setup.directory) == 0) {
    ::execvp(setup.argv[0], setup.argv);
  }
  const int error = errno;
  [[maybe_unused]] const ssize_t n = ::write(setup.error_fd, &error, sizeof(error));
  ::_exit(127);
}

Result<pid_t> start(ChildSetup setup, const std::string& name) {
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) {
    return errno_error("cannot create a pipe", errno);
  }
  const Fd read_end(pipe_fds[0]);
  Fd write_end(pipe_fds[1]);
  setup.error_fd = write_end.get();
  setup.parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) {
    return errno_error("cannot start " + name, errno);
  }
  if (pid == 0) {
    child_main(setup);
  }
  write_end.reset();
  int error = 0;
  if (::read(read_end.get(), &error, sizeof(error)) == sizeof(error)) {
    ::waitpid(pid, nullptr, 0);
    return errno_error("cannot start " + name, error);
  }
  return pid;
}

// stdio numbers must not be overwritten by one another's dup2: move low ones up.
Result<Fd> above_stdio(int fd) {
  Fd moved(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!moved.valid()) {
    return errno_error("cannot duplicate a descriptor", errno);
  }
  return moved;
}

}  // namespace

Child::Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    kill_and_reap();
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::move(other.pidfd_);
  }
  return *this;
}

Result<Child> Child::spawn(const SpawnOptions& options) {
  const Fd null_fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const int wanted[3] = {options.stdin_fd >= 0 ? options.stdin_fd : null_fd.get(),
                         options.stdout_fd >= 0 ? options.stdout_fd : null_fd.get(),
                         options.stderr_fd >= 0   ? options.stderr_fd
                         : options.stdout_fd >= 0 ? options.stdout_fd
                                                  : null_fd.get()};
  std::array<Fd, 3> stdio;
  ChildSetup setup{};
  for (std::size_t i = 0; i < 3; ++i) {
    auto moved = above_stdio(wanted[i]);
    KFDLAB_TRY(moved);
    stdio[i] = moved.take();
    setup.stdio[i] = stdio[i].get();
  }
  auto strings = options.argv;
  const auto argv = pointers(strings);
  setup.argv = argv.data();
  setup.keep_fds = &options.keep_fds;
  setup.own_session = true;
  auto pid = start(setup, options.argv[0]);
  KFDLAB_TRY(pid);
  Child child;
  child.pid_ = pid.value();
  child.pidfd_.reset(::pidfd_open(child.pid_, 0));
  if (!child.pidfd_.valid()) {
    return errno_error("cannot watch " + options.argv[0], errno);
  }
  return child;
}

void Child::signal(int signo) const {
  if (running()) {
    ::pidfd_send_signal(pidfd_.get(), signo, nullptr, 0);
  }
}

int Child::reap() {
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED) != 0 && errno == EINTR) {
  }
  pid_ = -1;
  pidfd_.reset();
  return status_of(info);
}

bool Child::wait_for(int milliseconds) const {
  pollfd poll_fd{pidfd_.get(), POLLIN, 0};
  return ::poll(&poll_fd, 1, milliseconds) == 1;
}

void Child::kill_and_reap() {
  if (running()) {
    signal(SIGKILL);
    reap();
  }
}

Result<CommandOutput> run_helper(const std::vector<std::string>& argv, const std::string& directory) {
  const Fd null_fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  int out_pipe[2];
  int err_pipe[2];
  if (::pipe2(out_pipe, O_CLOEXEC) != 0 || ::pipe2(err_pipe, O_CLOEXEC) != 0) {
    return errno_error("cannot create a pipe", errno);
  }
  const Fd readers[2] = {Fd(out_pipe[0]), Fd(err_pipe[0])};
  Fd writers[2] = {Fd(out_pipe[1]), Fd(err_pipe[1])};
  auto strings = argv;
  const auto pointers_of_argv = pointers(strings);
  const std::vector<int> keep_none;
  ChildSetup setup{};
  setup.argv = pointers_of_argv.data();
  setup.keep_fds = &keep_none;
  setup.directory = directory.empty() ? nullptr : directory.c_str();
  setup.stdio[0] = null_fd.get();
  setup.stdio[1] = writers[0].get();
  setup.stdio[2] = writers[1].get();
  auto pid = start(setup, argv[0]);
  KFDLAB_TRY(pid);
  writers[0].reset();
  writers[1].reset();

  CommandOutput output;
  std::string* const texts[2] = {&output.out, &output.err};
  pollfd polls[3] = {{readers[0].get(), POLLIN, 0}, {readers[1].get(), POLLIN, 0}, {interrupt_fd(), POLLIN, 0}};
  while (polls[0].fd >= 0 || polls[1].fd >= 0) {
    ::poll(polls, 3, -1);
    if (polls[2].revents != 0) {
      ::kill(pid.value(), SIGTERM);
      polls[2].fd = -1;
    }
    for (int i = 0; i < 2; ++i) {
      if (polls[i].fd < 0 || polls[i].revents == 0) {
        continue;
      }
      char buffer[16384];
      const ssize_t n = ::read(polls[i].fd, buffer, sizeof(buffer));
      if (n > 0) {
        texts[i]->append(buffer, static_cast<std::size_t>(n));
      } else if (n == 0 || errno != EINTR) {
        polls[i].fd = -1;
      }
    }
  }
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid.value()), &info, WEXITED) != 0 && errno == EINTR) {
  }
  if (interrupted()) {
    return Error{argv[0] + " was interrupted"};
  }
  output.status = status_of(info);
  return output;
}

}  // namespace kfdlab
