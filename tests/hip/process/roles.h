// SPDX-License-Identifier: MIT
// What the processes of this suite do, and how a test talks with them.
#pragma once

#include <cstdint>
#include <string>

#include "tests/hip/role.h"

namespace kfdlab {

// Starts HIP, says so, and does one thing when told: the argument names it (roles.cpp lists them). Exit status 0: HIP
// reported no error and the result was right; 1: an error; 2: a wrong result.
extern const RoleName kActor;

// Keeps a kernel running over managed memory in VRAM and tells on request whether it does.
extern const RoleName kBystander;

enum class BystanderRequest : std::uint32_t { Progress, End };

// A bystander and its answers.
class Bystander {
 public:
  explicit Bystander(bool xnack);
  // Its kernel has begun.
  [[nodiscard]] bool ready() { return process_.wire().await(); }
  // Its kernel runs. False: it does not, or its process is gone.
  [[nodiscard]] bool runs();
  // Ends its kernel. "": every word was right, in every round.
  [[nodiscard]] std::string end();

 private:
  RoleProcess process_;
};

// The environment of a role with HSA_XNACK=0 or 1.
[[nodiscard]] std::string xnack_variable(bool on);

// An actor that has started HIP and waits for its cue.
class Actor {
 public:
  Actor(const std::string& what, bool xnack) : process_(kActor, {what}, {xnack_variable(xnack)}) {}
  [[nodiscard]] bool ready() { return process_.wire().await(); }
  // Does what it was started for. Those that go on for ever say that they have begun.
  bool go() { return process_.wire().signal(); }
  [[nodiscard]] bool begun() { return process_.wire().await(); }
  [[nodiscard]] RoleProcess& process() { return process_; }

 private:
  RoleProcess process_;
};

}  // namespace kfdlab
