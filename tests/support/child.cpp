// SPDX-License-Identifier: MIT
#include "tests/support/child.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/check.h"
#include "tests/support/needs.h"

namespace kfdlab {
namespace {

constexpr int kStepLimitMs = 3000;  // times patience()

}  // namespace

bool Peer::send_bytes(const void* bytes, std::size_t size) {
  return ::send(socket_.get(), bytes, size, MSG_NOSIGNAL) == static_cast<ssize_t>(size);
}

bool Peer::receive_bytes(void* bytes, std::size_t size) {
  pollfd wait{socket_.get(), POLLIN, 0};
  if (::poll(&wait, 1, kStepLimitMs * static_cast<int>(patience())) != 1) {
    return false;
  }
  return ::recv(socket_.get(), bytes, size, 0) == static_cast<ssize_t>(size);
}

Child::Child(const std::function<int(Peer&)>& body) {
  int sockets[2];
  // Sequenced packets: a value arrives whole.
  KFDLAB_CHECK(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
  Fd ours(sockets[0]);
  Fd theirs(sockets[1]);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  KFDLAB_CHECK(pid_ >= 0);
  if (pid_ == 0) {
    ours.reset();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) {
      ::_exit(1);
    }
    Peer peer(std::move(theirs));
    ::_exit(body(peer));
  }
  peer_ = Peer(std::move(ours));
}

int Child::wait() {
  if (pid_ > 0) {
    int status = 0;
    KFDLAB_CHECK(::waitpid(pid_, &status, 0) == pid_);
    pid_ = -1;
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return status_;
}

int Child::kill() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
  }
  return wait();
}

}  // namespace kfdlab
