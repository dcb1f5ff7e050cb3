// SPDX-License-Identifier: MIT
#include "tools/vm/device_supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace kfdlab {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kDeathWindow = std::chrono::seconds(10);
constexpr std::size_t kDeathLimit = 5;
constexpr auto kBackOffStep = std::chrono::milliseconds(100);

// SIGSTOP reaches the threads one by one; returns when all stand still (or the process has ended).
void await_stop(pid_t pid) {
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid), &info, WSTOPPED | WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
}

}  // namespace

DeviceSupervisor::DeviceSupervisor(DeviceConfig config, std::vector<GpuFunction>& gpus)
    : config_(std::move(config)), gpus_(gpus), port_(config_.control_socket) {}

Result<std::unique_ptr<DeviceSupervisor>> DeviceSupervisor::start(DeviceConfig config, std::vector<GpuFunction>& gpus) {
  std::unique_ptr<DeviceSupervisor> supervisor(new DeviceSupervisor(std::move(config), gpus));
  supervisor->stop_event_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!supervisor->stop_event_.valid()) {
    return errno_error("cannot create an eventfd", errno);
  }
  supervisor->thread_ = std::thread([raw = supervisor.get()] { raw->loop(); });
  return supervisor;
}

DeviceSupervisor::~DeviceSupervisor() {
  if (thread_.joinable()) {
    ::eventfd_write(stop_event_.get(), 1);
    thread_.join();
  }
}

void DeviceSupervisor::start_process() {
  ++generation_;
  asked_ = false;
  stopped_ = false;
  const Fd log(::open(config_.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  SpawnOptions options;
  options.stdout_fd = log.get();
  options.keep_fds = {config_.ram_fd};
  options.argv = {config_.program.string(),
                  "--generation",
                  std::to_string(generation_),
                  "--ram-fd",
                  std::to_string(config_.ram_fd),
                  "--ram-map",
                  config_.ram_map};
  for (const GpuFunction& gpu : gpus_) {
    options.argv.insert(options.argv.end(), {"--gpu", gpu.device_argument(options.keep_fds)});
  }
  auto child = Child::spawn(options);
  if (child.ok()) {
    process_ = child.take();
    return;
  }
  const std::string message = child.error().message + "\n";
  static_cast<void>(::write(log.get(), message.data(), message.size()) < 0);
  given_up_ = true;
  for (GpuFunction& gpu : gpus_) {
    gpu.announce_death(generation_);
  }
}

void DeviceSupervisor::on_reset_kick(GpuFunction& gpu) {
  eventfd_t count = 0;
  ::eventfd_read(gpu.reset_kick(), &count);
  if (process_.running() && gpu.reset_request() == generation_) {
    asked_ = true;
    process_.signal(SIGKILL);
  }
}

void DeviceSupervisor::on_death() {
  process_.reap();
  for (GpuFunction& gpu : gpus_) {
    gpu.announce_death(generation_);
  }
  const auto now = Clock::now();
  restart_at_ = now;
  stopped_ = false;
  if (asked_) {
    return;
  }
  ++unexpected_deaths_;
  recent_deaths_.push_back(now);
  while (now - recent_deaths_.front() > kDeathWindow) {
    recent_deaths_.pop_front();
  }
  given_up_ = recent_deaths_.size() >= kDeathLimit;
  restart_at_ = now + kBackOffStep * (recent_deaths_.size() - 1);
}

// -1: none is due.
int DeviceSupervisor::milliseconds_to_restart() const {
  if (process_.running() || held_ || given_up_) {
    return -1;
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(restart_at_ - Clock::now()).count();
  return static_cast<int>(std::max<std::int64_t>(left, 0));
}

void DeviceSupervisor::loop() {
  std::vector<pollfd> polls;
  for (;;) {
    if (milliseconds_to_restart() == 0) {
      start_process();
    }
    polls = {{stop_event_.get(), POLLIN, 0}, {port_.fd(), POLLIN, 0}, {process_.pidfd(), POLLIN, 0}};
    for (const GpuFunction& gpu : gpus_) {
      polls.push_back({gpu.reset_kick(), POLLIN, 0});
    }
    if (::poll(polls.data(), polls.size(), milliseconds_to_restart()) < 0) {
      continue;
    }
    if (polls[0].revents != 0) {
      process_.kill_and_reap();
      return;
    }
    for (std::size_t i = 0; i < gpus_.size(); ++i) {
      if (polls[3 + i].revents != 0) {
        on_reset_kick(gpus_[i]);
      }
    }
    if (polls[2].revents != 0) {
      on_death();
    }
    if (polls[1].revents != 0) {
      port_.serve(*this);
    }
  }
}

const char* DeviceSupervisor::state() const {
  if (!process_.running()) {
    return held_ ? "held" : "dead";
  }
  return stopped_ ? "stopped" : "running";
}

std::string DeviceSupervisor::control(ControlRequest request) {
  const bool running = process_.running();
  switch (request) {
    case ControlRequest::Query:
      break;
    case ControlRequest::Stop:
    case ControlRequest::Cont:
    case ControlRequest::Kill:
      if (!running) {
        return "error no device process is running";
      }
      if (request == ControlRequest::Kill) {
        asked_ = true;
        process_.signal(SIGKILL);
        on_death();
      } else {
        stopped_ = request == ControlRequest::Stop;
        process_.signal(stopped_ ? SIGSTOP : SIGCONT);
        if (stopped_) {
          await_stop(process_.pid());
        }
      }
      break;
    case ControlRequest::Hold:
      held_ = true;
      break;
    case ControlRequest::Resume:
      held_ = false;
      given_up_ = false;
      recent_deaths_.clear();
      if (!running) {
        start_process();
      }
      break;
  }
  return fmt::format("ok generation={} state={}", generation_, state());
}

}  // namespace kfdlab
