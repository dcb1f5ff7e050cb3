// SPDX-License-Identifier: MIT
// CommandSession: one command in the guest, from Exec to Exit, with its streams, signals and deadline.
#pragma once

#include <chrono>
#include <optional>

#include "tools/vm/agent_channel.h"
#include "tools/vm/vm.h"

namespace kfdlab {

class CommandSession {
 public:
  enum class End { Exited, VmEnded, TimedOut, Interrupted };

  // `signal_pipe`: one byte per signal to forward, borrowed.
  CommandSession(AgentChannel& channel, int signal_pipe, const GuestCommand& command)
      : channel_(channel), signal_pipe_(signal_pipe), command_(command) {}

  [[nodiscard]] End run();
  // After End::Exited.
  [[nodiscard]] int status() const { return *status_; }

 private:
  void send_exec();
  void forward_stdin();
  void forward_signals();
  void handle(const protocol::Frame& frame);
  [[nodiscard]] int poll_timeout() const;

  AgentChannel& channel_;
  int signal_pipe_;
  const GuestCommand& command_;
  bool stdin_open_ = false;
  std::size_t credit_ = protocol::kStdinCredit;
  std::optional<int> status_;
  std::chrono::steady_clock::time_point deadline_{};
};

}  // namespace kfdlab
