// SPDX-License-Identifier: MIT
// ControlPort: the text protocol by which tests inside the guest drive the device process, on the
// virtio-serial port org.kfdlab.device.
//
// A request is one line: status, stop (SIGSTOP), cont, kill, hold (start no successor), resume. The answer is
// one line: "ok generation=G state=running|stopped|dead|held" or "error REASON". Answers come in the order of
// the requests; `kill` answers when the process has been reaped and DEAD is in every GPU's device page.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kfdlab {

enum class ControlRequest { Query, Stop, Cont, Kill, Hold, Resume };

[[nodiscard]] std::optional<ControlRequest> parse_control_request(std::string_view line);

// Carries requests out.
class DeviceControl {
 public:
  virtual ~DeviceControl() = default;
  // The answer without its newline.
  virtual std::string control(ControlRequest request) = 0;
};

class ControlPort {
 public:
  // `socket`: the launcher's end, borrowed.
  explicit ControlPort(int socket) : socket_(socket) {}
  // -1 once the guest's end is gone.
  [[nodiscard]] int fd() const { return socket_; }
  // Call when fd() is readable.
  void serve(DeviceControl& device);

 private:
  static constexpr std::size_t kMaxLine = 256;
  int socket_;
  std::string line_;
};

}  // namespace kfdlab
