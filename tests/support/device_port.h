// SPDX-License-Identifier: MIT
// DevicePort: the launcher's control port (tools/vm/control_port.h), by which a test stops, kills and brings back the
// process that plays the GPU; and how long the driver waits for one that makes no progress.
#pragma once

#include <chrono>
#include <string>

#include "common/fd.h"

namespace kfdlab {

inline constexpr char kDevicePort[] = "/dev/virtio-ports/org.kfdlab.device";

class DevicePort {
 public:
  // False with errno.
  [[nodiscard]] bool open();
  // One request, one answer: "generation=G state=S", or "error REASON".
  [[nodiscard]] std::string ask(const std::string& request) const;

 private:
  [[nodiscard]] bool wait_readable() const;
  Fd fd_;
};

// Parameter reset_timeout_ms of the driver. Writing needs root; false: it failed.
[[nodiscard]] std::chrono::milliseconds reset_timeout();
bool set_reset_timeout(std::chrono::milliseconds timeout);

}  // namespace kfdlab
