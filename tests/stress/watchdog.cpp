// SPDX-License-Identifier: MIT
#include "tests/stress/watchdog.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/stress/knobs.h"
#include "tests/support/kmsg.h"

namespace kfdlab::stress {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostText = 12000;

std::string slurp(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string stuck(const Activity& activity, std::chrono::seconds limit, const std::string& who) {
  const std::int64_t began = activity.began_ns;
  const std::int64_t seconds = began == 0 ? 0 : (now_ns() - began) / 1'000'000'000;
  if (seconds < limit.count()) {
    return "";
  }
  return fmt::format("{} (pid {}) has been at operation {} ({}) for {} s", who, activity.pid.load(),
                     activity.operation.load(), activity.what.load(), seconds);
}

}  // namespace

std::string find_stuck(const Board& board, std::chrono::seconds limit) {
  for (unsigned p = 0; p < kMaxProcesses; ++p) {
    const ProcessSlot& process = board.processes[p];
    for (unsigned t = 0; t < kMaxThreads; ++t) {
      if (std::string text = stuck(process.threads[t], limit, fmt::format("process {} thread {}", p, t));
          !text.empty()) {
        return text;
      }
    }
    for (const ChildSlot& child : process.children) {
      if (child.state == ChildState::Running) {
        if (std::string text = stuck(child.activity, limit, fmt::format("a child of process {}", p)); !text.empty()) {
          return text;
        }
      }
    }
  }
  return stuck(board.provoker, limit, "the provoker");
}

std::string describe_tasks(const std::vector<pid_t>& processes) {
  expect_kernel_line(".*", 0);
  static_cast<void>(write_knob("/proc/sysrq-trigger", "w"));
  std::string text;
  for (const pid_t pid : processes) {
    std::error_code error;
    for (const auto& task : fs::directory_iterator(fmt::format("/proc/{}/task", pid), error)) {
      std::istringstream stat(slurp(task.path() / "stat"));
      std::string number, name, state;
      stat >> number >> name >> state;
      text += fmt::format("\n{} {} of {} is {}:\n{}", name, number, pid, state, slurp(task.path() / "stack"));
    }
  }
  return text.substr(0, kMostText);
}

}  // namespace kfdlab::stress
