// SPDX-License-Identifier: MIT
#include "tests/support/device_port.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "tests/support/needs.h"

namespace kfdlab {
namespace {

constexpr char kResetTimeoutParameter[] = "/sys/module/kfdlab_amdgpu/parameters/reset_timeout_ms";
// For an answer. The launcher does nothing long, but shares its machine with the VM.
constexpr std::chrono::milliseconds kAnswerTime = std::chrono::seconds(5);

}  // namespace

bool DevicePort::open() {
  fd_.reset(::open(kDevicePort, O_RDWR | O_CLOEXEC));
  return fd_.valid();
}

std::string DevicePort::ask(const std::string& request) const {
  const std::string line = request + "\n";
  if (::write(fd_.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    return "error cannot write to the port: " + std::string(std::strerror(errno));
  }
  std::string answer;
  for (char c = 0; wait_readable() && ::read(fd_.get(), &c, 1) == 1 && c != '\n';) {
    answer += c;
  }
  return answer.starts_with("ok ") ? answer.substr(3) : answer;
}

bool DevicePort::wait_readable() const {
  pollfd port = {.fd = fd_.get(), .events = POLLIN, .revents = 0};
  return ::poll(&port, 1, static_cast<int>(kAnswerTime.count() * patience())) == 1 && (port.revents & POLLIN) != 0;
}

std::chrono::milliseconds reset_timeout() {
  long milliseconds = 0;
  std::ifstream(kResetTimeoutParameter) >> milliseconds;
  return std::chrono::milliseconds(milliseconds);
}

bool set_reset_timeout(std::chrono::milliseconds timeout) {
  std::ofstream file(kResetTimeoutParameter);
  file << timeout.count() << std::flush;
  return file.good();
}

}  // namespace kfdlab
