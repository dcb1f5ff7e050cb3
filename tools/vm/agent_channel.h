// SPDX-License-Identifier: MIT
// AgentChannel: frames to and from the guest agent over a non-blocking socket. One thread uses it at a time.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "common/fd.h"
#include "common/result.h"
#include "tools/protocol.h"

namespace kfdlab {

class AgentChannel {
 public:
  // `vm_ended` is readable once the VM is gone (QEMU's pidfd), borrowed.
  AgentChannel(Fd socket, int vm_ended) : socket_(std::move(socket)), vm_ended_(vm_ended) {}

  void send(protocol::Type type, std::string_view payload = {});
  void send_u32(protocol::Type type, std::uint32_t value);

  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] int vm_ended() const { return vm_ended_; }
  // Events to poll fd() for.
  [[nodiscard]] short events() const;
  // Moves what can be moved without blocking. False: the other end is gone or out of step.
  bool pump();
  // A frame that has arrived.
  [[nodiscard]] std::optional<protocol::Frame> next() { return reader_.next(); }

  enum class Outcome { Frame, VmEnded, TimedOut, Interrupted };
  // Waits for a frame of `type`, dropping others.
  [[nodiscard]] Outcome await(protocol::Type type, std::chrono::milliseconds timeout, protocol::Frame& frame);

 private:
  Fd socket_;
  int vm_ended_;
  std::string out_;
  protocol::FrameReader reader_;
};

}  // namespace kfdlab
