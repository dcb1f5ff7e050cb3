// SPDX-License-Identifier: MIT
// Pages that travel as themselves: vmsplice() into a pipe, and send() with MSG_ZEROCOPY. Both hold plain references until
// whoever is at the other end has read; here that is the process itself.
#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "common/fd.h"
#include "tests/pins/visitors.h"
#include "tests/support/needs.h"
#include "tests/support/page_pipe.h"

namespace kfdlab::pins {
namespace {

class Splice : public Visitor {
 public:
  Result<Pieces> visit(std::span<std::byte> pages, std::uint64_t) override {
    if (!pipe_.hold(pages)) {
      return errno_error("vmsplice()", errno);
    }
    return Pieces{{0, pipe_.drain()}};
  }

 private:
  PagePipe pipe_;
};

class ZeroCopy : public Visitor {
 public:
  Status connect();
  Result<Pieces> visit(std::span<std::byte> pages, std::uint64_t) override;

 private:
  // Notifications of sends that no longer need their pages.
  [[nodiscard]] bool reap(unsigned sends) const;
  Fd sender_, receiver_;
};

Status ZeroCopy::connect() {
  const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sender_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  const int on = 1;
  if (::bind(listener.get(), plain, size) != 0 || ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), plain, &size) != 0 || ::connect(sender_.get(), plain, size) != 0 ||
      ::setsockopt(sender_.get(), SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) != 0) {
    return errno_error("a TCP connection with SO_ZEROCOPY", errno);
  }
  receiver_.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  return receiver_.valid() ? ok_status() : errno_error("accept4()", errno);
}

bool ZeroCopy::reap(unsigned sends) const {
  unsigned done = 0;
  return eventually([&] {
    char control[128];
    msghdr message{};
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (::recvmsg(sender_.get(), &message, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) {
      const auto* report = reinterpret_cast<const sock_extended_err*>(CMSG_DATA(CMSG_FIRSTHDR(&message)));
      if (report->ee_origin == SO_EE_ORIGIN_ZEROCOPY) {
        done += report->ee_data - report->ee_info + 1;
      }
    }
    return done >= sends;
  });
}

Result<Pieces> ZeroCopy::visit(std::span<std::byte> pages, std::uint64_t) {
  Pieces all{{0, std::vector<std::byte>(pages.size())}};
  std::size_t sent = 0, received = 0;
  unsigned sends = 0;
  while (received < pages.size()) {
    if (sent < pages.size()) {
      const ssize_t took =
          ::send(sender_.get(), pages.data() + sent, pages.size() - sent, MSG_ZEROCOPY | MSG_DONTWAIT | MSG_NOSIGNAL);
      if (took < 0 && errno != EAGAIN) {
        return errno_error("send(MSG_ZEROCOPY)", errno);
      }
      sends += took > 0 ? 1 : 0;
      sent += took > 0 ? static_cast<std::size_t>(took) : 0;
    }
    pollfd ready{receiver_.get(), POLLIN, 0};
    if (::poll(&ready, 1, 1000 * static_cast<int>(patience())) != 1) {
      return Error{"what was sent does not arrive"};
    }
    const ssize_t got = ::recv(receiver_.get(), all[0].bytes.data() + received, pages.size() - received, 0);
    if (got <= 0) {
      return errno_error("recv()", errno);
    }
    received += static_cast<std::size_t>(got);
  }
  if (!reap(sends)) {
    return Error{"the kernel does not say that it is done with the pages"};
  }
  return all;
}

}  // namespace

MadeVisitor make_vmsplice() { return MadeVisitor(std::make_unique<Splice>()); }

MadeVisitor make_zerocopy() {
  auto visitor = std::make_unique<ZeroCopy>();
  KFDLAB_TRY(visitor->connect());
  return MadeVisitor(std::move(visitor));
}

}  // namespace kfdlab::pins
