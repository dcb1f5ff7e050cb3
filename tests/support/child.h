// SPDX-License-Identifier: MIT
// Child: a forked process that runs one function and talks with its parent over a socket. Steps of a test that
// spans processes wait for each other's messages, never for time. A dead or silent peer ends every wait.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <type_traits>

#include "common/fd.h"

namespace kfdlab {

class Peer {
 public:
  explicit Peer(Fd socket) : socket_(std::move(socket)) {}
  // One plain value. False: the other side is gone, or silent for longer than any test step may take.
  template <typename T>
  [[nodiscard]] bool send(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    return send_bytes(&value, sizeof value);
  }
  template <typename T>
  [[nodiscard]] bool receive(T* value) {
    static_assert(std::is_trivially_copyable_v<T>);
    return receive_bytes(value, sizeof *value);
  }
  // A step of the other side is done, or may begin.
  [[nodiscard]] bool signal() { return send('.'); }
  [[nodiscard]] bool await() {
    char step = 0;
    return receive(&step);
  }

 private:
  bool send_bytes(const void* bytes, std::size_t size);
  bool receive_bytes(void* bytes, std::size_t size);
  Fd socket_;
};

class Child {
 public:
  // `body` runs in the child; what it returns is the exit status. It cannot use GoogleTest's assertions: it tells
  // the parent what it found. The child ends without destructors of the parent's objects.
  explicit Child(const std::function<int(Peer&)>& body);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { kill(); }  // and reaps

  [[nodiscard]] Peer& peer() { return peer_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  // Exit status, 128 + signal. When it returns the kernel has released all files of the child.
  int wait();
  // SIGKILL and wait().
  int kill();

 private:
  Peer peer_{Fd{}};
  pid_t pid_ = -1;
  int status_ = -1;
};

}  // namespace kfdlab
