// SPDX-License-Identifier: MIT
// One process of a suite: started in a process group of its own, watched until it ends, never left behind. It knows
// pipes, time and signals; what the lines mean is the observer's business.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace kfdlab::judge {

struct SuiteCommand {
  std::vector<std::string> argv;
  std::vector<std::string> env;    // "K=V", added to this process's environment
  std::chrono::seconds limit{60};  // for silence on the result stream
};

class SuiteObserver {
 public:
  virtual ~SuiteObserver() = default;
  // One line of the result stream (tests/support/events.h), without its end.
  virtual void on_line(std::string_view line) = 0;
  // stdout and stderr, as they come.
  virtual void on_output(std::string_view data) = 0;
  // Called at least every second while the process lives.
  virtual void on_tick() {}
  // The limit passed; the process is killed when this returns.
  virtual void on_timeout() = 0;
};

struct ProcessEnd {
  bool timed_out = false;
  bool unkillable = false;  // still there 30 s after SIGKILL: the kernel holds it
  bool signalled = false;
  int code = 0;  // exit status, or the signal's number

  [[nodiscard]] std::string describe() const;
};

// The suite finds the result stream's descriptor in KFDLAB_RESULT_FD. Errors: the process could not be started.
[[nodiscard]] Result<ProcessEnd> run_suite_process(const SuiteCommand& command, SuiteObserver* observer);

}  // namespace kfdlab::judge
