// SPDX-License-Identifier: MIT
#include "tools/guest/command.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace kfdlab::guest {
namespace {

using protocol::ExecRequest;

constexpr int kNotStarted = 125;
constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;
constexpr unsigned kTtyGroup = 5;

// The command's ends.
struct ChildEnds {
  Fd input, output, errors, results;
  bool pty = false;
};

Status make_pipe(Fd& read_end, Fd& write_end, Fd& ours) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) {
    return errno_error("cannot create a pipe", errno);
  }
  read_end.reset(fds[0]);
  write_end.reset(fds[1]);
  ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);
  return ok_status();
}

Status open_pty(const ExecRequest& request, Command& command, ChildEnds& child) {
  Fd master(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  int unlock = 0;
  if (!master.valid() || ::ioctl(master.get(), TIOCSPTLCK, &unlock) != 0) {
    return errno_error("cannot open a terminal", errno);
  }
  child.input.reset(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!child.input.valid()) {
    return errno_error("cannot open a terminal", errno);
  }
  static_cast<void>(::fchown(child.input.get(), request.uid, kTtyGroup) != 0);
  const winsize window{static_cast<unsigned short>(request.rows), static_cast<unsigned short>(request.columns), 0, 0};
  ::ioctl(master.get(), TIOCSWINSZ, &window);
  child.output.reset(::dup(child.input.get()));
  child.errors.reset(::dup(child.input.get()));
  child.pty = true;
  command.pty = true;
  command.output.reset(::fcntl(master.get(), F_DUPFD_CLOEXEC, 0));
  command.input = std::move(master);
  return ok_status();
}

Status open_pipes(const ExecRequest& request, Command& command, ChildEnds& child) {
  if ((request.flags & ExecRequest::kNullStdin) != 0) {
    child.input.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  } else {
    KFDLAB_TRY(make_pipe(child.input, command.input, command.input));
  }
  KFDLAB_TRY(make_pipe(command.output, child.output, command.output));
  return make_pipe(command.errors, child.errors, command.errors);
}

[[noreturn]] void fail(int status, const char* what, const std::string& which) {
  std::fprintf(stderr, "kfdlab: %s %s: %s\n", what, which.c_str(), std::strerror(errno));
  std::fflush(stderr);
  ::_exit(status);
}

void take_identity(const ExecRequest& request) {
  for (const protocol::Limit& limit : request.limits) {
    const rlimit value{limit.soft, limit.hard};
    ::setrlimit(static_cast<__rlimit_resource>(limit.resource), &value);
  }
  ::umask(request.umask);
  const std::vector<gid_t> groups(request.groups.begin(), request.groups.end());
  if (::setgroups(groups.size(), groups.data()) != 0 || ::setgid(request.gid) != 0 || ::setuid(request.uid) != 0) {
    fail(kNotStarted, "cannot become", "user " + std::to_string(request.uid));
  }
  if (::chdir(request.cwd.c_str()) != 0) {
    fail(kNotStarted, "cannot enter", request.cwd);
  }
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (const auto& string : strings) {
    result.push_back(const_cast<char*>(string.c_str()));  // exec's signature predates const
  }
  result.push_back(nullptr);
  return result;
}

// The agent has one thread, so any call is allowed between fork and exec.
[[noreturn]] void child_main(const ExecRequest& request, const ChildEnds& ends) {
  ::setsid();
  for (int signo = 1; signo < NSIG; ++signo) {
    ::signal(signo, SIG_DFL);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (ends.pty) {
    ::ioctl(ends.input.get(), TIOCSCTTY, 0);
  }
  // The agent holds 0, 1 and 2 itself, so every other descriptor is above and no dup2 overwrites a source.
  ::dup2(ends.input.get(), 0);
  ::dup2(ends.output.get(), 1);
  ::dup2(ends.errors.get(), 2);
  if (ends.results.valid()) {
    const int moved = ::fcntl(ends.results.get(), F_DUPFD, 10);
    ::dup2(moved, 3);
  }
  ::close_range(ends.results.valid() ? 4 : 3, ~0u, 0);
  take_identity(request);
  auto environment = pointers(request.env);
  environ = environment.data();
  const auto argv = pointers(request.argv);
  ::execvp(argv[0], argv.data());
  fail(errno == ENOENT ? kNotFound : kNotExecutable, "cannot run", request.argv[0]);
}

}  // namespace

Result<Command> start_command(const ExecRequest& request) {
  Command command;
  ChildEnds child;
  if ((request.flags & ExecRequest::kPty) != 0) {
    KFDLAB_TRY(open_pty(request, command, child));
  } else {
    KFDLAB_TRY(open_pipes(request, command, child));
  }
  if ((request.flags & ExecRequest::kResults) != 0) {
    KFDLAB_TRY(make_pipe(command.results, child.results, command.results));
  }
  command.pid = ::fork();
  if (command.pid < 0) {
    return errno_error("cannot start a process", errno);
  }
  if (command.pid == 0) {
    child_main(request, child);
  }
  return command;
}

}  // namespace kfdlab::guest
