// SPDX-License-Identifier: MIT
#include "tests/unit/device/support/process_vm.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <fstream>

#include "common/check.h"
#include "device/host/shared_word.h"

namespace kfdlab::device {
namespace {

Fd make_file(const char* name, std::uint64_t size) {
  Fd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  KFDLAB_CHECK(fd.valid());
  KFDLAB_CHECK(::ftruncate(fd.get(), static_cast<off_t>(size)) == 0);
  KFDLAB_CHECK(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
  return fd;
}

std::vector<Fd> make_events(unsigned count) {
  std::vector<Fd> events;
  for (unsigned i = 0; i < count; ++i) {
    events.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    KFDLAB_CHECK(events.back().valid());
  }
  return events;
}

std::unique_ptr<Mapping> map_file(const Fd& fd, std::uint64_t size) {
  Result<Mapping> mapping = Mapping::map(fd.get(), 0, size, "test memory");
  KFDLAB_CHECK(mapping.ok());
  return std::make_unique<Mapping>(mapping.take());
}

std::string join(const std::vector<Fd>& fds, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text += fmt::format("{}{}", i == 0 ? "" : ":", fds[i].get());
  }
  return text;
}

// Makes `fd` survive the exec of the child under its own number.
void inherit(posix_spawn_file_actions_t& actions, const Fd& fd) {
  KFDLAB_CHECK(::posix_spawn_file_actions_adddup2(&actions, fd.get(), fd.get()) == 0);
}

}  // namespace

ProcessVm::ProcessVm()
    : ram_fd_(make_file("ram", kRamSize)),
      bar_fd_(make_file("bar", kBarSize)),
      kicks_(make_events(KFDLAB_KICK_COUNT)),
      irqs_(make_events(KFDLAB_IRQ_COUNT)),
      ram_(map_file(ram_fd_, kRamSize)),
      bar_(map_file(bar_fd_, kBarSize)) {
  write_identity(bar(), 0, 1);
  driver_ = std::make_unique<TestDriver>(bar(), kBarBase, [this](unsigned kick) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(kicks_[kick].get(), &one, sizeof(one));
  });
}

ProcessVm::~ProcessVm() {
  if (pid_ > 0) {
    end(SIGKILL);
  }
}

std::uint32_t ProcessVm::start(int stderr_fd) {
  ++generation_;
  std::vector<std::string> words = {KFDLAB_GPU_BINARY,
                                    "--generation",
                                    std::to_string(generation_),
                                    "--ram-fd",
                                    std::to_string(ram_fd_.get()),
                                    "--ram-map",
                                    fmt::format("{:#x}:{:#x}:0x0", kRamBase, kRamSize),
                                    "--gpu",
                                    fmt::format("index=0,bar={},kick={},irq={}", bar_fd_.get(),
                                                join(kicks_, KFDLAB_KICK_RESET), join(irqs_, KFDLAB_IRQ_COUNT))};
  std::vector<char*> argv;
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  KFDLAB_CHECK(::posix_spawn_file_actions_init(&actions) == 0);
  inherit(actions, ram_fd_);
  inherit(actions, bar_fd_);
  for (const std::vector<Fd>* fds : {&kicks_, &irqs_}) {
    for (const Fd& fd : *fds) {
      inherit(actions, fd);
    }
  }
  if (stderr_fd >= 0) {
    KFDLAB_CHECK(::posix_spawn_file_actions_adddup2(&actions, stderr_fd, STDERR_FILENO) == 0);
  }
  KFDLAB_CHECK(::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ) == 0);
  ::posix_spawn_file_actions_destroy(&actions);
  return generation_;
}

void ProcessVm::kill() {
  end(SIGKILL);
  store_release(driver_->device().state, kfdlab_state_word(generation_, KFDLAB_STATE_DEAD));
}

int ProcessVm::end(int signo) {
  ::kill(pid_, signo);
  return reap();
}

int ProcessVm::reap() {
  int status = -1;
  if (!eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; })) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    status = -1;
  }
  pid_ = -1;
  return status;
}

bool ProcessVm::wait_irq(unsigned irq, std::chrono::milliseconds limit) const {
  pollfd event = {.fd = irqs_[irq].get(), .events = POLLIN, .revents = 0};
  std::uint64_t count = 0;
  return ::poll(&event, 1, static_cast<int>(limit.count())) == 1 &&
         ::read(event.fd, &count, sizeof(count)) == sizeof(count);
}

std::chrono::nanoseconds ProcessVm::cpu_time() const {
  clockid_t clock = 0;
  timespec time = {};
  KFDLAB_CHECK(::clock_getcpuclockid(pid_, &clock) == 0);
  KFDLAB_CHECK(::clock_gettime(clock, &time) == 0);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

std::uint64_t ProcessVm::status_kib(const std::string& field) const {
  std::ifstream status(fmt::format("/proc/{}/status", pid_));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) {
      return std::stoull(line.substr(field.size() + 1));
    }
  }
  return 0;
}

}  // namespace kfdlab::device
