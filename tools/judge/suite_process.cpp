// SPDX-License-Identifier: MIT
#include "tools/judge/suite_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <optional>

#include "common/fd.h"
#include "tests/support/events.h"

namespace kfdlab::judge {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kKillGrace{30};
constexpr int kResultFd = 3;  // in the child

struct Pipe {
  Fd read, write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return errno_error("pipe", errno);
  }
  Pipe pipe{Fd(ends[0]), Fd(ends[1])};
  // Reading never waits: children that outlive the suite may hold the writing end.
  ::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK);
  return pipe;
}

// In the child, between fork and exec. Descriptors above 2 are close-on-exec in this program.
[[noreturn]] void become_suite(const SuiteCommand& command, int output, int results) {
  ::setpgid(0, 0);
  // What this program ignores or blocks for itself is not for the suite.
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = ::open("/dev/null", O_RDONLY);
  // Out of the way of the numbers it is about to be given.
  const int results_copy = ::fcntl(results, F_DUPFD, 10);
  if (null < 0 || results_copy < 0 || ::dup2(null, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(output, 2) < 0 ||
      ::dup2(results_copy, kResultFd) < 0) {
    ::_exit(126);
  }
  ::close(results_copy);
  if (null > 2) {
    ::close(null);
  }
  for (const std::string& entry : command.env) {
    ::putenv(const_cast<char*>(entry.c_str()));
  }
  ::setenv(events::kResultFdVariable, std::to_string(kResultFd).c_str(), 1);
  std::vector<char*> argv;
  for (const std::string& argument : command.argv) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  ::dprintf(2, "%s: %s\n", argv[0], std::strerror(errno));
  ::_exit(127);
}

class Watch {
 public:
  Watch(const SuiteCommand& command, SuiteObserver* observer, pid_t pid, Fd output, Fd results)
      : command_(command), observer_(observer), pid_(pid), output_(std::move(output)), results_(std::move(results)) {}

  ProcessEnd run() {
    deadline_ = Clock::now() + command_.limit;
    while (!reaped()) {
      wait_for_data();
      drain();
      observer_->on_tick();
      if (Clock::now() >= deadline_ && !end_.timed_out) {
        end_.timed_out = true;
        observer_->on_timeout();
        ::kill(-pid_, SIGKILL);
        kill_deadline_ = Clock::now() + kKillGrace;
      }
      if (kill_deadline_ && Clock::now() >= *kill_deadline_) {
        end_.unkillable = true;
        return end_;
      }
    }
    ::kill(-pid_, SIGKILL);  // what the suite started and left
    drain();
    return end_;
  }

 private:
  bool reaped() {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) {
      return false;
    }
    end_.signalled = WIFSIGNALED(status);
    end_.code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    return true;
  }

  void wait_for_data() const {
    // poll() ignores negative descriptors. The short wait bounds how late the end of the process is seen.
    std::array<pollfd, 2> fds = {pollfd{results_.get(), POLLIN, 0}, pollfd{output_.get(), POLLIN, 0}};
    ::poll(fds.data(), fds.size(), 50);
  }

  static bool read_some(Fd* fd, std::string* data) {
    std::array<char, 16384> buffer;
    const ssize_t n = fd->valid() ? ::read(fd->get(), buffer.data(), buffer.size()) : -1;
    if (n == 0) {
      fd->reset();  // end of file: poll() would report it for ever
    }
    if (n > 0) {
      data->assign(buffer.data(), static_cast<std::size_t>(n));
    }
    return n > 0;
  }

  void drain() {
    // Output before results: when "end" is seen, what the test printed before it has been handed over.
    std::string data;
    std::string lines;
    while (read_some(&results_, &data)) {
      lines += data;
    }
    while (read_some(&output_, &data)) {
      observer_->on_output(data);
    }
    if (!lines.empty()) {
      deadline_ = Clock::now() + command_.limit;
    }
    pending_ += lines;
    for (std::size_t end = pending_.find('\n'); end != std::string::npos; end = pending_.find('\n')) {
      observer_->on_line(std::string_view(pending_).substr(0, end));
      pending_.erase(0, end + 1);
    }
  }

  const SuiteCommand& command_;
  SuiteObserver* observer_;
  pid_t pid_;
  Fd output_, results_;
  std::string pending_;
  Clock::time_point deadline_;
  std::optional<Clock::time_point> kill_deadline_;
  ProcessEnd end_;
};

}  // namespace

std::string ProcessEnd::describe() const {
  if (unkillable) {
    return "hangs and cannot be killed";
  }
  if (timed_out) {
    return "hangs";
  }
  if (signalled) {
    const char* name = ::sigabbrev_np(code);
    return std::string("died of SIG") + (name != nullptr ? name : std::to_string(code).c_str());
  }
  return "exited with status " + std::to_string(code);
}

Result<ProcessEnd> run_suite_process(const SuiteCommand& command, SuiteObserver* observer) {
  if (::access(command.argv[0].c_str(), X_OK) != 0) {
    return errno_error(command.argv[0], errno);
  }
  auto output = make_pipe();
  auto results = make_pipe();
  if (!output || !results) {
    return output ? results.error() : output.error();
  }
  const pid_t pid = ::fork();
  if (pid < 0) {
    return errno_error("fork", errno);
  }
  if (pid == 0) {
    become_suite(command, output.value().write.get(), results.value().write.get());
  }
  ::setpgid(pid, pid);  // also here: whoever comes first
  output.value().write.reset();
  results.value().write.reset();
  return Watch(command, observer, pid, std::move(output.value().read), std::move(results.value().read)).run();
}

}  // namespace kfdlab::judge
