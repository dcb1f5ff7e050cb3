// SPDX-License-Identifier: MIT
#include "tools/kernels/make_process.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <fstream>

#include "common/fd.h"
#include "tools/host/interrupt.h"
#include "tools/host/process.h"

namespace kfdlab {
namespace {

constexpr int kStopMs = 10000;  // make removes half-written targets after SIGINT

// Splits what comes into lines.
class Lines {
 public:
  explicit Lines(const std::function<void(std::string_view)>& on_line) : on_line_(on_line) {}
  void feed(std::string_view data) {
    text_ += data;
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = text_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      on_line_(std::string_view(text_).substr(begin, end - begin));
    }
    text_.erase(0, begin);
  }

 private:
  const std::function<void(std::string_view)>& on_line_;
  std::string text_;
};

// The child leads a session, and so a process group, of its own.
void stop_all(Child* child) {
  const pid_t group = child->pid();
  ::kill(-group, SIGINT);
  if (!child->wait_for(kStopMs)) {
    ::kill(-group, SIGKILL);
  }
  child->kill_and_reap();
}

}  // namespace

Result<int> run_make(const std::vector<std::string>& argv, const std::filesystem::path& log,
                     const std::function<void(std::string_view line)>& on_line) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) {
    return errno_error("cannot create a pipe", errno);
  }
  const Fd reader(fds[0]);
  Fd writer(fds[1]);
  SpawnOptions options;
  options.argv = argv;
  options.stdout_fd = writer.get();
  auto child = Child::spawn(options);
  KFDLAB_TRY(child);
  writer.reset();
  std::ofstream file(log, std::ios::binary | std::ios::trunc);
  Lines lines(on_line);
  std::array<char, 16384> buffer;
  for (;;) {
    pollfd polls[2] = {{reader.get(), POLLIN, 0}, {interrupt_fd(), POLLIN, 0}};
    ::poll(polls, 2, -1);
    if (polls[1].revents != 0) {
      stop_all(&child.value());
      return Error{"interrupted; the next run goes on from here"};
    }
    const ssize_t n = polls[0].revents == 0 ? 1 : ::read(reader.get(), buffer.data(), buffer.size());
    if (polls[0].revents == 0 || (n < 0 && errno == EINTR)) {
      continue;
    }
    if (n <= 0) {
      return child.value().reap();
    }
    const std::string_view data(buffer.data(), static_cast<std::size_t>(n));
    file.write(data.data(), static_cast<std::streamsize>(data.size()));
    lines.feed(data);
  }
}

}  // namespace kfdlab
