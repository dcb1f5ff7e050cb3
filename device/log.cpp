// SPDX-License-Identifier: MIT
// Keeps the one piece of global state in the device: the budget of lines that guests may provoke.
#include "device/log.h"

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace kfdlab::device {
namespace {

constexpr std::uint64_t kGuestLinesPerPeriod = 20;
constexpr std::chrono::seconds kPeriod{10};

class GuestBudget {
 public:
  // True if a line may be written; then `suppressed` is how many were refused since the last one.
  bool take(std::uint64_t& suppressed) {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (now - period_start_ >= kPeriod) {
      period_start_ = now;
      used_ = 0;
    }
    if (used_ == kGuestLinesPerPeriod) {
      ++suppressed_;
      return false;
    }
    ++used_;
    suppressed = std::exchange(suppressed_, 0);
    return true;
  }

 private:
  std::mutex mutex_;
  std::chrono::steady_clock::time_point period_start_{};
  std::uint64_t used_ = 0;
  std::uint64_t suppressed_ = 0;
};

}  // namespace

void log_line(LogLimit limit, std::string_view room, std::string_view text) {
  static GuestBudget budget;
  std::string line = fmt::format("kfdlab-gpu: {}: {}", room, text);
  if (limit == LogLimit::Guest) {
    std::uint64_t suppressed = 0;
    if (!budget.take(suppressed)) {
      return;
    }
    if (suppressed != 0) {
      line += fmt::format(" ({} earlier lines left out)", suppressed);
    }
  }
  line += '\n';
  // A log that cannot be written is nobody's reason to stop serving.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace kfdlab::device
