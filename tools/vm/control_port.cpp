// SPDX-License-Identifier: MIT
#include "tools/vm/control_port.h"

#include <sys/socket.h>

#include <cerrno>

namespace kfdlab {

std::optional<ControlRequest> parse_control_request(std::string_view line) {
  struct Row {
    std::string_view word;
    ControlRequest request;
  };
  static constexpr Row kRows[] = {
      {"status", ControlRequest::Query}, {"stop", ControlRequest::Stop}, {"cont", ControlRequest::Cont},
      {"kill", ControlRequest::Kill},    {"hold", ControlRequest::Hold}, {"resume", ControlRequest::Resume},
  };
  for (const Row& row : kRows) {
    if (row.word == line) {
      return row.request;
    }
  }
  return std::nullopt;
}

void ControlPort::serve(DeviceControl& device) {
  char buffer[1024];
  const ssize_t n = ::recv(socket_, buffer, sizeof(buffer), MSG_DONTWAIT);
  if (n <= 0) {
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
      socket_ = -1;
    }
    return;
  }
  for (const char c : std::string_view(buffer, static_cast<std::size_t>(n))) {
    if (c != '\n') {
      if (line_.size() < kMaxLine) {
        line_ += c;
      }
      continue;
    }
    const auto request = parse_control_request(line_);
    const std::string answer =
        (request ? device.control(*request)
                 : std::string("error unknown request; use status, stop, cont, kill, hold or resume")) +
        "\n";
    line_.clear();
    // A guest that does not read its answers loses them; the supervisor never waits for it.
    static_cast<void>(::send(socket_, answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
  }
}

}  // namespace kfdlab
