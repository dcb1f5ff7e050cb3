// SPDX-License-Identifier: MIT
// Child processes: ones that serve the VM (QEMU, kfdlab-gpu), which must not outlive the launcher, and short
// helpers whose output is wanted.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/fd.h"
#include "common/result.h"

namespace kfdlab {

struct SpawnOptions {
  std::vector<std::string> argv;
  std::vector<int> keep_fds;  // stay open in the child, under the same numbers
  int stdin_fd = -1;          // -1: /dev/null
  int stdout_fd = -1;         // -1: /dev/null
  int stderr_fd = -1;         // -1: as stdout
};

// A running child, killed and reaped by the destructor.
class Child {
 public:
  Child() = default;
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  ~Child() { kill_and_reap(); }

  // The child is in a session of its own (no terminal signals) and is killed when the thread that called this
  // ends; call it from a thread that lives as long as the child should. Safe beside other threads.
  static Result<Child> spawn(const SpawnOptions& options);

  [[nodiscard]] bool running() const { return pid_ > 0; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  // Readable once the child has ended.
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  void signal(int signo) const;
  // Waits for the end. Exit status, or 128 + signal.
  int reap();
  // Waits at most this long; false if it still runs.
  [[nodiscard]] bool wait_for(int milliseconds) const;
  void kill_and_reap();

 private:
  pid_t pid_ = -1;
  Fd pidfd_;
};

struct CommandOutput {
  int status = 0;  // exit status, or 128 + signal
  std::string out;
  std::string err;
};

// Run a helper to its end with /dev/null as input, in `directory` if given. Error only if it could not start.
[[nodiscard]] Result<CommandOutput> run_helper(const std::vector<std::string>& argv, const std::string& directory = {});

}  // namespace kfdlab
