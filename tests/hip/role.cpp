// SPDX-License-Identifier: MIT
#include "tests/hip/role.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <string_view>
#include <thread>

#include "common/check.h"
#include "tests/support/needs.h"

namespace kfdlab {
namespace {

constexpr std::string_view kRoleOption = "--kfdlab-role=";
constexpr std::string_view kWireOption = "--kfdlab-wire=";
constexpr std::chrono::milliseconds kPollInterval{5};

std::map<std::string, RoleFunction, std::less<>>& roles() {
  static std::map<std::string, RoleFunction, std::less<>> all;
  return all;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (const std::string& text : strings) {
    result.push_back(const_cast<char*>(text.c_str()));  // execve() takes them so and does not write
  }
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> joined_environment(const std::vector<std::string>& added) {
  std::vector<std::string> all = added;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    bool replaced = false;
    for (const std::string& one : added) {
      replaced = replaced || std::string_view(one).substr(0, one.find('=')) == name;
    }
    if (!replaced) {
      all.emplace_back(text);
    }
  }
  return all;
}

}  // namespace

std::chrono::milliseconds role_step_limit() { return std::chrono::seconds(12) * patience(); }

bool Wire::send_bytes(const void* bytes, std::size_t size) const {
  return ::send(socket_.get(), bytes, size, MSG_NOSIGNAL) == static_cast<ssize_t>(size);
}

bool Wire::receive_bytes(void* bytes, std::size_t size) const {
  pollfd wait{socket_.get(), POLLIN, 0};
  int ready = 0;
  do {
    ready = ::poll(&wait, 1, static_cast<int>(role_step_limit().count()));
  } while (ready < 0 && errno == EINTR);
  return ready == 1 && ::recv(socket_.get(), bytes, size, 0) == static_cast<ssize_t>(size);
}

RoleName::RoleName(const char* name, RoleFunction function) : name_(name) { roles()[name] = function; }

bool run_role(int argc, char** argv, int* status) {
  if (argc < 3 || !std::string_view(argv[1]).starts_with(kRoleOption) ||
      !std::string_view(argv[2]).starts_with(kWireOption)) {
    return false;
  }
  const auto role = roles().find(std::string_view(argv[1]).substr(kRoleOption.size()));
  KFDLAB_CHECK(role != roles().end());
  int wire = -1;
  const std::string_view number = std::string_view(argv[2]).substr(kWireOption.size());
  KFDLAB_CHECK(std::from_chars(number.data(), number.data() + number.size(), wire).ec == std::errc{});
  *status = role->second(Wire(Fd(wire)), {argv + 3, argv + argc});
  return true;
}

RoleProcess::RoleProcess(const RoleName& role, const std::vector<std::string>& arguments,
                         const std::vector<std::string>& environment) {
  int sockets[2];
  KFDLAB_CHECK(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
  Fd theirs(sockets[1]);
  wire_ = Wire(Fd(sockets[0]));
  output_ = Fd(::memfd_create("role-output", MFD_CLOEXEC));
  KFDLAB_CHECK(output_.valid());

  std::vector<std::string> words{"kfdlab_hip_tests", std::string(kRoleOption) + role.name(),
                                 std::string(kWireOption) + std::to_string(theirs.get())};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const std::vector<std::string> variables = joined_environment(environment);
  const std::vector<char*> argv = pointers(words);
  const std::vector<char*> envp = pointers(variables);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  KFDLAB_CHECK(pid_ >= 0);
  if (pid_ == 0) {
    // Other threads of this process hold locks: only async-signal-safe calls from here.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::fcntl(theirs.get(), F_SETFD, 0);
    ::dup2(output_.get(), STDOUT_FILENO);
    ::dup2(output_.get(), STDERR_FILENO);
    if (::getppid() == parent) {
      ::execve("/proc/self/exe", argv.data(), envp.data());
    }
    ::_exit(127);
  }
}

int RoleProcess::wait() {
  const auto deadline = std::chrono::steady_clock::now() + role_step_limit();
  while (pid_ > 0) {
    int status = 0;
    const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
    if (ended == pid_) {
      pid_ = -1;
      status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    } else if (std::chrono::steady_clock::now() > deadline) {
      return -1;
    } else {
      std::this_thread::sleep_for(kPollInterval);
    }
  }
  return status_;
}

int RoleProcess::kill() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    return wait();
  }
  return status_;
}

std::string RoleProcess::output() const {
  std::string text;
  char piece[4096];
  for (ssize_t got = 0; (got = ::pread(output_.get(), piece, sizeof piece, static_cast<off_t>(text.size()))) > 0;) {
    text.append(piece, static_cast<std::size_t>(got));
  }
  return text;
}

}  // namespace kfdlab
