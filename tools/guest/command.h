// SPDX-License-Identifier: MIT
// Command: one process of the launcher's and the descriptors that connect it to the agent.
#pragma once

#include <sys/types.h>

#include "common/fd.h"
#include "common/result.h"
#include "tools/protocol.h"

namespace kfdlab::guest {

struct Command {
  pid_t pid = -1;
  bool pty = false;
  // The agent's ends, all non-blocking. With a pty, input and output are its master and errors is unused.
  Fd input;
  Fd output;
  Fd errors;
  Fd results;
};

// Starts it as leader of a session of its own. A command that cannot be run says why on its stderr and ends with
// 126 or 127 as in a shell, or 125 when its surroundings (directory, user) cannot be had.
[[nodiscard]] Result<Command> start_command(const protocol::ExecRequest& request);

}  // namespace kfdlab::guest
