// SPDX-License-Identifier: MIT
// io_uring: registered buffers, and a ring of provided buffers that lies in the process's own memory. Any program can
// pin this way, without privilege.
#include <liburing.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "common/fd.h"
#include "tests/pins/pinners.h"
#include "tests/support/pattern.h"

namespace kfdlab::pins {
namespace {

class Ring {
 public:
  Ring() : error_(-::io_uring_queue_init(8, &ring_, 0)) {}
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring() {
    if (error_ == 0) {
      ::io_uring_queue_exit(&ring_);
    }
  }
  [[nodiscard]] int error() const { return error_; }
  io_uring* get() { return &ring_; }
  io_uring_sqe* entry() { return ::io_uring_get_sqe(&ring_); }
  // Submits what entry() gave and waits for it. The operation's result; flags of its completion.
  int run(unsigned* flags = nullptr) {
    if (const int submitted = ::io_uring_submit(&ring_); submitted != 1) {
      return submitted < 0 ? submitted : -EIO;
    }
    io_uring_cqe* done = nullptr;
    if (const int error = ::io_uring_wait_cqe(&ring_, &done)) {
      return error;
    }
    const int result = done->res;
    if (flags != nullptr) {
      *flags = done->flags;
    }
    ::io_uring_cqe_seen(&ring_, done);
    return result;
  }

 private:
  io_uring ring_{};
  int error_;
};

class FixedBuffers : public Pinner {
 public:
  [[nodiscard]] int error() const { return file_.valid() ? ring_.error() : ENFILE; }
  int hold(std::span<std::byte> pages) override {
    pages_ = pages;
    const iovec vector{pages.data(), pages.size()};
    return -::io_uring_register_buffers(ring_.get(), &vector, 1);
  }
  int release() override { return -::io_uring_unregister_buffers(ring_.get()); }

  Result<Pieces> load() override {
    ::io_uring_prep_write_fixed(ring_.entry(), file_.get(), pages_.data(), size(), 0, 0);
    KFDLAB_TRY(all_of_it("WRITE_FIXED", ring_.run()));
    Pieces all{{0, std::vector<std::byte>(pages_.size())}};
    KFDLAB_TRY(all_of_it("pread()", ::pread(file_.get(), all[0].bytes.data(), pages_.size(), 0)));
    return all;
  }
  Result<Pieces> store(std::uint64_t seed) override {
    Pieces all{{0, std::vector<std::byte>(pages_.size())}};
    fill_pattern(all[0].bytes, reinterpret_cast<std::uintptr_t>(pages_.data()), seed);
    KFDLAB_TRY(all_of_it("pwrite()", ::pwrite(file_.get(), all[0].bytes.data(), pages_.size(), 0)));
    ::io_uring_prep_read_fixed(ring_.entry(), file_.get(), pages_.data(), size(), 0, 0);
    KFDLAB_TRY(all_of_it("READ_FIXED", ring_.run()));
    return all;
  }

 private:
  [[nodiscard]] unsigned size() const { return static_cast<unsigned>(pages_.size()); }
  [[nodiscard]] Status all_of_it(const char* what, ssize_t moved) const {
    return moved == static_cast<ssize_t>(pages_.size()) ? ok_status()
                                                        : Error{std::string(what) + " moved " + std::to_string(moved)};
  }

  Fd file_{::memfd_create("kfdlab_pins", MFD_CLOEXEC)};
  Ring ring_;
  std::span<std::byte> pages_;
};

// The held pages are the ring itself: entries that say where buffers are. Of what else they contain the kernel reads
// nothing, since it takes entries up to the tail only, which is a field of the first.
class BufferRing : public Pinner {
 public:
  [[nodiscard]] int error() const { return file_.valid() ? ring_.error() : ENFILE; }
  int hold(std::span<std::byte> pages) override {
    pages_ = pages;
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uintptr_t>(pages.data());
    registration.ring_entries = static_cast<std::uint32_t>(entries());
    registration.bgid = kGroup;
    return -::io_uring_register_buf_ring(ring_.get(), &registration, 0);
  }
  int release() override { return -::io_uring_unregister_buf_ring(ring_.get(), kGroup); }

  // The process fills every entry, each with a buffer of eight bytes, and lets the kernel take one after the other: where
  // the kernel stores and which buffer it names is what it found in the entry.
  Result<Pieces> load() override {
    std::vector<std::uint64_t> source(entries()), target(entries());
    auto* ring = reinterpret_cast<io_uring_buf_ring*>(pages_.data());
    for (std::size_t i = 0; i < entries(); ++i) {
      source[i] = pattern_word(8 * i, kGroup);
      ring->bufs[i].addr = reinterpret_cast<std::uintptr_t>(&target[i]);
      ring->bufs[i].len = kBytes;
      ring->bufs[i].bid = static_cast<std::uint16_t>(i ^ kGroup);
    }
    if (::pwrite(file_.get(), source.data(), kBytes * entries(), 0) != static_cast<ssize_t>(kBytes * entries())) {
      return errno_error("pwrite()", errno);
    }
    Pieces taken;
    for (std::size_t i = 0; i < entries(); ++i) {
      __atomic_store_n(&ring->tail, static_cast<std::uint16_t>(i + 1), __ATOMIC_RELEASE);
      KFDLAB_TRY(take(i));
      Piece entry{i * sizeof(io_uring_buf), std::vector<std::byte>(sizeof(std::uint64_t))};
      const auto stored_at = target[i] == source[i] ? reinterpret_cast<std::uintptr_t>(&target[i]) : 0;
      std::memcpy(entry.bytes.data(), &stored_at, sizeof stored_at);
      taken.push_back(std::move(entry));
    }
    return taken;
  }

 private:
  static constexpr unsigned kGroup = 7;
  static constexpr unsigned kBytes = 8;
  [[nodiscard]] std::size_t entries() const { return pages_.size() / sizeof(io_uring_buf); }
  // One read into the buffer that the kernel takes from the ring.
  Status take(std::size_t index) {
    io_uring_sqe* entry = ring_.entry();
    ::io_uring_prep_read(entry, file_.get(), nullptr, kBytes, kBytes * index);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = kGroup;
    unsigned flags = 0;
    const int result = ring_.run(&flags);
    if (result != static_cast<int>(kBytes) || flags >> IORING_CQE_BUFFER_SHIFT != (index ^ kGroup)) {
      return Error{"taking entry " + std::to_string(index) + " of the ring came to " + std::to_string(result)};
    }
    return ok_status();
  }

  Fd file_{::memfd_create("kfdlab_pins", MFD_CLOEXEC)};
  Ring ring_;
  std::span<std::byte> pages_;
};

template <typename P>
MadePinner make() {
  auto pinner = std::make_unique<P>();
  if (const int error = pinner->error()) {
    return errno_error("io_uring", error);
  }
  return MadePinner(std::move(pinner));
}

}  // namespace

MadePinner make_uring_fixed() { return make<FixedBuffers>(); }
MadePinner make_uring_ring() { return make<BufferRing>(); }

}  // namespace kfdlab::pins
