// SPDX-License-Identifier: MIT
// AF_XDP: the memory of a packet socket's frames (UMEM). Frames go out of the near end of our link, where a plain packet
// socket at the far end reads them, and the other way round through a three-line XDP program in the network stack.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <arpa/inet.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "common/fd.h"
#include "tests/pins/pinners.h"
#include "tests/pins/system.h"
#include "tests/support/buffer.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab::pins {
namespace {

constexpr std::uint32_t kFrame = kPageSize;   // one per page
constexpr std::uint32_t kEntries = 64;        // of each ring
constexpr std::size_t kPacket = 3000;         // bytes, below what a frame has room for and what the link carries
constexpr std::size_t kTransmitOffset = 512;  // in its page
static_assert(kPacket < Link::kMtu && kPacket % 8 == 0);

Fd bpf(int command, bpf_attr* attributes) {
  return Fd(static_cast<int>(::syscall(SYS_bpf, command, attributes, sizeof *attributes)));
}

// Frames that arrive go to the socket in entry 0 of a map.
class Redirect {
 public:
  Status attach(int interface, int socket);

 private:
  Fd map_, program_, link_;
};

Status Redirect::attach(int interface, int socket) {
  bpf_attr map{};
  map.map_type = BPF_MAP_TYPE_XSKMAP;
  map.key_size = sizeof(int);
  map.value_size = sizeof(int);
  map.max_entries = 1;
  map_ = bpf(BPF_MAP_CREATE, &map);
  // return bpf_redirect_map(map, 0, XDP_DROP)
  const bpf_insn code[] = {
      {BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map_.get()},
      {0, 0, 0, 0, 0},
      {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, 0},
      {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, XDP_DROP},
      {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
  };
  bpf_attr load{};
  load.prog_type = BPF_PROG_TYPE_XDP;
  load.insns = reinterpret_cast<std::uintptr_t>(code);
  load.insn_cnt = std::size(code);
  load.license = reinterpret_cast<std::uintptr_t>("GPL");
  program_ = bpf(BPF_PROG_LOAD, &load);
  if (!map_.valid() || !program_.valid()) {
    return errno_error("the XDP program does not load", errno);
  }
  const int key = 0;
  bpf_attr update{};
  update.map_fd = static_cast<std::uint32_t>(map_.get());
  update.key = reinterpret_cast<std::uintptr_t>(&key);
  update.value = reinterpret_cast<std::uintptr_t>(&socket);
  if (::syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &update, sizeof update) != 0) {
    return errno_error("BPF_MAP_UPDATE_ELEM", errno);
  }
  bpf_attr link{};
  link.link_create.prog_fd = static_cast<std::uint32_t>(program_.get());
  link.link_create.target_ifindex = static_cast<std::uint32_t>(interface);
  link.link_create.attach_type = BPF_XDP;
  link.link_create.flags = XDP_FLAGS_SKB_MODE;
  link_ = bpf(BPF_LINK_CREATE, &link);
  return link_.valid() ? ok_status() : errno_error("BPF_LINK_CREATE", errno);
}

// One ring of the socket, mapped. T: xdp_desc, or a frame's address.
template <typename T>
class Queue {
 public:
  Queue() = default;
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  ~Queue() {
    if (memory_ != MAP_FAILED) {
      ::munmap(memory_, size_);
    }
  }
  // 0 or errno.
  int map(int socket, const xdp_ring_offset& offsets, off_t page_offset) {
    size_ = offsets.desc + kEntries * sizeof(T);
    memory_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, socket, page_offset);
    if (memory_ == MAP_FAILED) {
      return errno;
    }
    auto* base = static_cast<std::byte*>(memory_);
    producer_ = reinterpret_cast<std::uint32_t*>(base + offsets.producer);
    consumer_ = reinterpret_cast<std::uint32_t*>(base + offsets.consumer);
    entries_ = reinterpret_cast<T*>(base + offsets.desc);
    return 0;
  }
  void push(const T& entry) {
    entries_[*producer_ % kEntries] = entry;
    __atomic_store_n(producer_, *producer_ + 1, __ATOMIC_RELEASE);
  }
  std::optional<T> pop() {
    if (__atomic_load_n(producer_, __ATOMIC_ACQUIRE) == *consumer_) {
      return std::nullopt;
    }
    const T entry = entries_[*consumer_ % kEntries];
    __atomic_store_n(consumer_, *consumer_ + 1, __ATOMIC_RELEASE);
    return entry;
  }

 private:
  void* memory_ = MAP_FAILED;
  std::size_t size_ = 0;
  std::uint32_t* producer_ = nullptr;
  std::uint32_t* consumer_ = nullptr;
  T* entries_ = nullptr;
};

// The socket and its rings; they go together.
class FrameSocket {
 public:
  // Registers the memory, which pins it: 0 or errno.
  int register_memory(std::span<std::byte> pages) {
    fd_.reset(::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
    xdp_umem_reg memory{};
    memory.addr = reinterpret_cast<std::uintptr_t>(pages.data());
    memory.len = pages.size();
    memory.chunk_size = kFrame;
    return fd_.valid() && ::setsockopt(fd_.get(), SOL_XDP, XDP_UMEM_REG, &memory, sizeof memory) == 0 ? 0 : errno;
  }
  // Rings, and the near end of the link.
  Status bind(int interface);
  [[nodiscard]] int fd() const { return fd_.get(); }

  Queue<std::uint64_t> fill, completion;
  Queue<xdp_desc> receive, transmit;

 private:
  Fd fd_;
};

Status FrameSocket::bind(int interface) {
  for (const int ring : {XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING, XDP_TX_RING}) {
    if (::setsockopt(fd_.get(), SOL_XDP, ring, &kEntries, sizeof kEntries) != 0) {
      return errno_error("setsockopt(SOL_XDP)", errno);
    }
  }
  xdp_mmap_offsets offsets{};
  socklen_t size = sizeof offsets;
  if (::getsockopt(fd_.get(), SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &size) != 0 ||
      fill.map(fd_.get(), offsets.fr, static_cast<off_t>(XDP_UMEM_PGOFF_FILL_RING)) != 0 ||
      completion.map(fd_.get(), offsets.cr, static_cast<off_t>(XDP_UMEM_PGOFF_COMPLETION_RING)) != 0 ||
      receive.map(fd_.get(), offsets.rx, XDP_PGOFF_RX_RING) != 0 ||
      transmit.map(fd_.get(), offsets.tx, XDP_PGOFF_TX_RING) != 0) {
    return errno_error("rings of the AF_XDP socket", errno);
  }
  sockaddr_xdp address{};
  address.sxdp_family = AF_XDP;
  address.sxdp_ifindex = static_cast<std::uint32_t>(interface);
  address.sxdp_flags = XDP_COPY;
  const auto* plain = reinterpret_cast<const sockaddr*>(&address);
  return ::bind(fd_.get(), plain, sizeof address) == 0 ? ok_status() : errno_error("bind(AF_XDP)", errno);
}

// The far end: sends and receives whole frames.
class FarEnd {
 public:
  Status open() {
    fd_.reset(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(::if_nametoindex(Link::kFar));
    const auto* plain = reinterpret_cast<const sockaddr*>(&address);
    return fd_.valid() && ::bind(fd_.get(), plain, sizeof address) == 0 ? ok_status() : errno_error("AF_PACKET", errno);
  }
  [[nodiscard]] Status send(std::span<const std::byte> frame) const {
    return ::send(fd_.get(), frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size())
               ? ok_status()
               : errno_error("sending a frame", errno);
  }
  // The next frame of our size that came from the near end.
  [[nodiscard]] Result<std::vector<std::byte>> receive() const {
    std::vector<std::byte> frame(2 * kPageSize);
    pollfd ready{fd_.get(), POLLIN, 0};
    while (::poll(&ready, 1, 2000 * static_cast<int>(patience())) == 1) {
      const ssize_t got = ::recv(fd_.get(), frame.data(), frame.size(), 0);
      if (got == static_cast<ssize_t>(kPacket)) {
        frame.resize(kPacket);
        return frame;
      }
    }
    return Error{"no frame arrives at the far end"};
  }

 private:
  Fd fd_;
};

class FrameMemory : public Pinner {
 public:
  int hold(std::span<std::byte> pages) override {
    pages_ = pages;
    socket_.emplace();
    const int error = socket_->register_memory(pages);
    if (error != 0) {
      socket_.reset();
    }
    return error;
  }
  int release() override {
    socket_.reset();
    return 0;
  }
  Result<Pieces> load() override;
  Result<Pieces> store(std::uint64_t seed) override;

 private:
  [[nodiscard]] std::size_t frames() const { return pages_.size() / kFrame; }
  std::span<std::byte> pages_;
  std::optional<FrameSocket> socket_;
};

// The socket sends a piece of each page.
Result<Pieces> FrameMemory::load() {
  FarEnd far;
  KFDLAB_TRY(far.open());
  KFDLAB_TRY(socket_->bind(static_cast<int>(::if_nametoindex(Link::kNear))));
  Pieces sent;
  for (std::size_t i = 0; i < frames(); ++i) {
    const std::size_t offset = i * kFrame + kTransmitOffset;
    socket_->transmit.push({offset, kPacket, 0});
    if (::sendto(socket_->fd(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) < 0 && errno != EAGAIN && errno != EBUSY) {
      return errno_error("sendto(AF_XDP)", errno);
    }
    auto frame = far.receive();
    KFDLAB_TRY(frame);
    sent.push_back({offset, frame.take()});
  }
  return sent;
}

// Each page is given to the socket for one frame that arrives.
Result<Pieces> FrameMemory::store(std::uint64_t seed) {
  const int near = static_cast<int>(::if_nametoindex(Link::kNear));
  FarEnd far;
  Redirect redirect;
  KFDLAB_TRY(far.open());
  KFDLAB_TRY(socket_->bind(near));
  KFDLAB_TRY(redirect.attach(near, socket_->fd()));
  Pieces stored;
  for (std::size_t i = 0; i < frames(); ++i) {
    Piece piece{0, std::vector<std::byte>(kPacket)};
    fill_pattern(piece.bytes, reinterpret_cast<std::uintptr_t>(pages_.data()) + i * kFrame, seed);
    socket_->fill.push(i * kFrame);
    KFDLAB_TRY(far.send(piece.bytes));
    std::optional<xdp_desc> arrived;
    if (!eventually([&] { return (arrived = socket_->receive.pop()).has_value(); })) {
      return Error{"no frame arrives in the AF_XDP socket"};
    }
    if (arrived->len != kPacket || arrived->addr / kFrame != i) {
      return Error{"a frame arrives where none should"};
    }
    piece.offset = arrived->addr;
    stored.push_back(std::move(piece));
  }
  return stored;
}

}  // namespace

MadePinner make_xdp() {
  KFDLAB_TRY(make_link());
  if (!Fd(::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0)).valid()) {
    return errno_error("socket(AF_XDP)", errno);
  }
  return MadePinner(std::make_unique<FrameMemory>());
}

}  // namespace kfdlab::pins
