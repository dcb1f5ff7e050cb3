// SPDX-License-Identifier: MIT
#include "tools/vm/ivshmem.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstring>
#include <optional>
#include <vector>

#include "common/fd.h"
#include "hw/bar_layout.h"
#include "tools/vm/gpu_function.h"

namespace kfdlab {
namespace {

struct Message {
  std::int64_t number = 0;
  Fd fd;
};

// Reads one message the way QEMU does: eight bytes and at most one descriptor at a time.
std::optional<Message> receive(int socket) {
  Message message;
  iovec data{&message.number, sizeof(message.number)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  if (::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof(message.number)) {
    return std::nullopt;
  }
  if (const cmsghdr* found = CMSG_FIRSTHDR(&header); found != nullptr) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(found), sizeof(fd));
    message.fd.reset(fd);
  }
  return message;
}

TEST(Ivshmem, HandshakeFollowsTheProtocol) {
  auto gpu = GpuFunction::create(0, 1, 64ull << 20);
  ASSERT_TRUE(gpu.ok());
  const int socket = gpu.value().qemu_socket();

  const auto version = receive(socket);
  ASSERT_TRUE(version);
  EXPECT_EQ(version->number, 0);
  EXPECT_FALSE(version->fd.valid());

  const auto own_id = receive(socket);
  ASSERT_TRUE(own_id);
  EXPECT_EQ(own_id->number, KFDLAB_PEER_GUEST);
  EXPECT_FALSE(own_id->fd.valid());

  const auto memory = receive(socket);
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->number, -1);
  struct stat info {};
  ASSERT_EQ(::fstat(memory->fd.get(), &info), 0);
  EXPECT_EQ(static_cast<std::uint64_t>(info.st_size), bar_size(64ull << 20));

  for (int i = 0; i < KFDLAB_KICK_COUNT; ++i) {
    const auto kick = receive(socket);
    ASSERT_TRUE(kick);
    EXPECT_EQ(kick->number, KFDLAB_PEER_DEVICE);
    EXPECT_TRUE(kick->fd.valid());
  }
  for (int i = 0; i < KFDLAB_IRQ_COUNT; ++i) {
    const auto irq = receive(socket);
    ASSERT_TRUE(irq);
    EXPECT_EQ(irq->number, KFDLAB_PEER_GUEST);
    EXPECT_TRUE(irq->fd.valid());
  }
  EXPECT_FALSE(receive(socket));
}

TEST(Ivshmem, ResetKickIsTheFourthDoorbellVector) {
  auto gpu = GpuFunction::create(0, 1, 16ull << 20);
  ASSERT_TRUE(gpu.ok());
  std::vector<Message> messages;
  while (auto message = receive(gpu.value().qemu_socket())) {
    messages.push_back(std::move(*message));
  }
  ASSERT_EQ(messages.size(), 3u + KFDLAB_KICK_COUNT + KFDLAB_IRQ_COUNT);
  ASSERT_EQ(::eventfd_write(messages[3 + KFDLAB_KICK_RESET].fd.get(), 5), 0);
  eventfd_t count = 0;
  ASSERT_EQ(::eventfd_read(gpu.value().reset_kick(), &count), 0);
  EXPECT_EQ(count, 5u);
}

TEST(GpuFunction, BarIsAPowerOfTwoThatHoldsRegistersAndVram) {
  EXPECT_EQ(bar_size(16ull << 20), 32ull << 20);
  EXPECT_EQ(bar_size(1ull << 30), 2ull << 30);
  EXPECT_EQ(bar_size((1ull << 30) - KFDLAB_BAR_VRAM), 1ull << 30);
}

TEST(GpuFunction, ArgumentNamesItsDescriptorsInOrder) {
  auto gpu = GpuFunction::create(1, 2, 16ull << 20);
  ASSERT_TRUE(gpu.ok());
  std::vector<int> fds;
  const std::string argument = gpu.value().device_argument(fds);
  ASSERT_EQ(fds.size(), 1u + 3u + KFDLAB_IRQ_COUNT);
  const auto text = [&fds](std::size_t i) { return std::to_string(fds[i]); };
  EXPECT_EQ(argument, "index=1,bar=" + text(0) + ",kick=" + text(1) + ":" + text(2) + ":" + text(3) +
                          ",irq=" + text(4) + ":" + text(5) + ":" + text(6) + ":" + text(7));
}

}  // namespace
}  // namespace kfdlab
