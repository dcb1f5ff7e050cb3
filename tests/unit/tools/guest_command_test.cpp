// SPDX-License-Identifier: MIT
// Statuses and streams of a command as the guest agent starts it, here on the host.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/guest/command.h"

namespace kfdlab::guest {
namespace {

protocol::ExecRequest request_for(std::vector<std::string> argv) {
  protocol::ExecRequest request;
  request.flags = protocol::ExecRequest::kNullStdin;
  request.uid = ::getuid();
  request.gid = ::getgid();
  request.cwd = "/";
  request.argv = std::move(argv);
  request.env = {"PATH=/usr/bin:/bin"};
  return request;
}

std::string read_all(int fd) {
  ::fcntl(fd, F_SETFL, 0);
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(fd, buffer, sizeof(buffer))) > 0;) {
    text.append(buffer, static_cast<std::size_t>(n));
  }
  return text;
}

int status_of(const Command& command) {
  int status = 0;
  ::waitpid(command.pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// setgroups() is root's.
#define NEEDS_ROOT()                                       \
  if (::getuid() != 0) {                                   \
    GTEST_SKIP() << "the agent is root; this test is not"; \
  }

TEST(GuestCommand, StatusesAreThoseOfAShell) {
  NEEDS_ROOT();
  struct Row {
    std::vector<std::string> argv;
    int status;
  };
  const Row rows[] = {{{"sh", "-c", "exit 7"}, 7},
                      {{"sh", "-c", "kill -TERM $$"}, 143},
                      {{"/no/such/program"}, 127},
                      {{"no-such-program-in-path"}, 127},
                      {{"/etc/passwd"}, 126}};
  for (const Row& row : rows) {
    auto command = start_command(request_for(row.argv));
    ASSERT_TRUE(command.ok());
    EXPECT_EQ(status_of(command.value()), row.status) << row.argv[0];
  }
}

TEST(GuestCommand, MissingDirectoryIsOurFailureAndSaysSo) {
  NEEDS_ROOT();
  auto request = request_for({"true"});
  request.cwd = "/no/such/directory";
  auto command = start_command(request);
  ASSERT_TRUE(command.ok());
  EXPECT_EQ(read_all(command.value().errors.get()),
            "kfdlab: cannot enter /no/such/directory: No such file or directory\n");
  EXPECT_EQ(status_of(command.value()), 125);
}

TEST(GuestCommand, StreamsAreApartAndResultsAreDescriptorThree) {
  NEEDS_ROOT();
  auto request = request_for({"sh", "-c", "echo one; echo two >&2; echo three >&3; ls /proc/self/fd | tr '\\n' ' '"});
  request.flags |= protocol::ExecRequest::kResults;
  auto command = start_command(request);
  ASSERT_TRUE(command.ok());
  EXPECT_EQ(status_of(command.value()), 0);
  EXPECT_EQ(read_all(command.value().output.get()), "one\n0 1 2 3 4 ");  // 4: ls's own
  EXPECT_EQ(read_all(command.value().errors.get()), "two\n");
  EXPECT_EQ(read_all(command.value().results.get()), "three\n");
}

TEST(GuestCommand, WithoutResultsDescriptorThreeIsClosed) {
  NEEDS_ROOT();
  auto command = start_command(request_for({"sh", "-c", "ls /proc/self/fd | tr '\\n' ' '"}));
  ASSERT_TRUE(command.ok());
  EXPECT_EQ(read_all(command.value().output.get()), "0 1 2 3 ");  // 3: ls's own
  EXPECT_EQ(status_of(command.value()), 0);
}

TEST(GuestCommand, ATerminalHasItsSizeAndIsControlling) {
  NEEDS_ROOT();
  auto request = request_for({"sh", "-c", "stty size; tty >/dev/tty"});
  request.flags = protocol::ExecRequest::kPty;
  request.rows = 33;
  request.columns = 101;
  auto command = start_command(request);
  ASSERT_TRUE(command.ok());
  EXPECT_EQ(status_of(command.value()), 0);
  const std::string text = read_all(command.value().output.get());
  EXPECT_TRUE(text.starts_with("33 101\r\n/dev/pts/")) << text;
}

}  // namespace
}  // namespace kfdlab::guest
