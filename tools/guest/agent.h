// SPDX-License-Identifier: MIT
// Agent: process 1 of the guest, serving the launcher on the agent port. One thread and one poll loop: it never
// blocks on a command or on the port, so a signal, SysRq or PowerOff is always heard.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "common/fd.h"
#include "tools/guest/command.h"
#include "tools/guest/config.h"
#include "tools/guest/mounts.h"
#include "tools/protocol.h"

namespace kfdlab::guest {

class Agent {
 public:
  // `port` is non-blocking; `trouble` goes out with Hello.
  Agent(Fd port, const Config& config, RootLayers layers, const std::string& trouble);
  // Serves until PowerOff.
  void run();

 private:
  // One output of the command on its way to the launcher.
  struct Stream {
    Fd* fd;
    protocol::Type type;
  };

  void handle(const protocol::Frame& frame);
  void exec(const protocol::Frame& frame);
  void finish_if_drained();
  void read_port();
  void write_port();
  void read_stream(const Stream& stream);
  void write_stdin();
  void take_stdin(std::size_t bytes);
  void reap();
  void sys_rq(std::string_view keys);
  [[nodiscard]] bool may_queue() const;

  Fd port_;
  const Config& config_;
  RootLayers layers_;
  std::set<std::string> initial_changes_;  // our own, made while booting
  Fd child_signal_;
  Fd sys_rq_;
  protocol::FrameReader reader_;
  std::string out_;
  bool power_off_ = false;

  std::optional<Command> command_;
  std::string stdin_;
  bool stdin_eof_ = false;
  std::optional<int> exit_status_;  // the command has ended; its output may not have
};

// The port's device node, once the kernel knows the port by this name. Waits up to `timeout`.
[[nodiscard]] std::string find_port(const char* name, std::chrono::milliseconds timeout);

}  // namespace kfdlab::guest
