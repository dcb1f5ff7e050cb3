// SPDX-License-Identifier: MIT
#include "tools/vm/ivshmem.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "hw/bar_layout.h"

namespace kfdlab {
namespace {

constexpr std::int64_t kProtocolVersion = 0;
constexpr std::int64_t kSharedMemory = -1;

// One message: a little-endian 64-bit number and, with fd >= 0, a descriptor. x86-64 is little-endian.
Status send_message(int socket, std::int64_t number, int fd) {
  iovec data{&number, sizeof(number)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof(int));
  }
  if (::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(number)) {
    return errno_error("cannot talk to QEMU's ivshmem socket", errno);
  }
  return ok_status();
}

}  // namespace

Status send_ivshmem_handshake(int socket, int shared_memory, std::span<const int> kick, std::span<const int> irq) {
  KFDLAB_TRY(send_message(socket, kProtocolVersion, -1));
  KFDLAB_TRY(send_message(socket, KFDLAB_PEER_GUEST, -1));
  KFDLAB_TRY(send_message(socket, kSharedMemory, shared_memory));
  for (const int fd : kick) {
    KFDLAB_TRY(send_message(socket, KFDLAB_PEER_DEVICE, fd));
  }
  for (const int fd : irq) {
    KFDLAB_TRY(send_message(socket, KFDLAB_PEER_GUEST, fd));
  }
  return ok_status();
}

}  // namespace kfdlab
