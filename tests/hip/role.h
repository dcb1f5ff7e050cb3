// SPDX-License-Identifier: MIT
// A role: what a process of its own does with HIP. ROCm does not survive a fork, so the test's executable is started
// anew and runs the named function instead of the tests. A fault that makes ROCm abort ends that process only.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <type_traits>
#include <vector>

#include "common/fd.h"

namespace kfdlab {

// The role's side of the wire, and the parent's. Values arrive whole and in order.
class Wire {
 public:
  explicit Wire(Fd socket) : socket_(std::move(socket)) {}
  template <typename T>
  bool send(const T& value) const {
    static_assert(std::is_trivially_copyable_v<T>);
    return send_bytes(&value, sizeof value);
  }
  // False: the other side is gone, or silent for longer than starting ROCm under emulation may take.
  template <typename T>
  [[nodiscard]] bool receive(T* value) const {
    static_assert(std::is_trivially_copyable_v<T>);
    return receive_bytes(value, sizeof *value);
  }
  bool signal() const { return send('.'); }
  [[nodiscard]] bool await() const {
    char step = 0;
    return receive(&step);
  }

 private:
  bool send_bytes(const void* bytes, std::size_t size) const;
  bool receive_bytes(void* bytes, std::size_t size) const;
  Fd socket_;
};

// What a role returns is its process's exit status. GoogleTest's assertions mean nothing there.
using RoleFunction = int (*)(const Wire& parent, const std::vector<std::string>& arguments);

// At namespace scope: static const RoleName kSpin("spin", spin);
class RoleName {
 public:
  RoleName(const char* name, RoleFunction function);
  [[nodiscard]] const char* name() const { return name_; }

 private:
  const char* name_;
};

// In main(): runs the role that the command line names and returns true with its exit status, or returns false.
bool run_role(int argc, char** argv, int* status);

class RoleProcess {
 public:
  // `environment`: "K=V", added to this process's own. Aborts when the process cannot be started.
  explicit RoleProcess(const RoleName& role, const std::vector<std::string>& arguments = {},
                       const std::vector<std::string>& environment = {});
  RoleProcess(const RoleProcess&) = delete;
  RoleProcess& operator=(const RoleProcess&) = delete;
  ~RoleProcess() { kill(); }  // and reaps

  [[nodiscard]] const Wire& wire() const { return wire_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  // Exit status, 128 + signal. -1: it did not end within the time that starting ROCm may take, and lives on.
  [[nodiscard]] int wait();
  // SIGKILL, and wait until it is gone.
  int kill();
  // What it printed so far on stdout and stderr.
  [[nodiscard]] std::string output() const;

 private:
  Wire wire_{Fd{}};
  Fd output_;
  pid_t pid_ = -1;
  int status_ = -1;
};

// How long one step of another process may take: ROCm compiles its own kernels when a process starts.
[[nodiscard]] std::chrono::milliseconds role_step_limit();

}  // namespace kfdlab
