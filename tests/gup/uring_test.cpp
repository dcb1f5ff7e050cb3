// SPDX-License-Identifier: MIT
// io_uring's registered buffers: the first pinner that any program can be. Registration pins long-term, through
// pin_user_pages() on 6.1 and pin_user_pages_fast() on 6.12, so the buffers leave VRAM and stay out of it until they
// are unregistered or the ring is gone.
#include <liburing.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cerrno>
#include <fstream>

#include "tests/support/child.h"
#include "tests/gup/gup_fixture.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

constexpr std::size_t kPages = 16;

class Ring {
 public:
  Ring() : error_(-::io_uring_queue_init(8, &ring_, 0)) {}
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring() { close(); }

  // 0 or errno.
  [[nodiscard]] int error() const { return error_; }
  int register_buffer(const Buffer& buffer) {
    const iovec vector{buffer.data(), buffer.size()};
    return -::io_uring_register_buffers(&ring_, &vector, 1);
  }
  int unregister_buffers() { return -::io_uring_unregister_buffers(&ring_); }
  // One transfer between the registered buffer and the start of a file. Bytes moved, or -errno.
  int transfer(bool write, int fd, const Buffer& buffer) {
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
    const auto bytes = static_cast<unsigned>(buffer.size());
    if (write) {
      ::io_uring_prep_write_fixed(entry, fd, buffer.data(), bytes, 0, 0);
    } else {
      ::io_uring_prep_read_fixed(entry, fd, buffer.data(), bytes, 0, 0);
    }
    if (const int submitted = ::io_uring_submit(&ring_); submitted != 1) {
      return submitted;
    }
    io_uring_cqe* done = nullptr;
    if (const int error = ::io_uring_wait_cqe(&ring_, &done)) {
      return error;
    }
    const int result = done->res;
    ::io_uring_cqe_seen(&ring_, done);
    return result;
  }
  void close() {
    if (error_ == 0) {
      ::io_uring_queue_exit(&ring_);
      error_ = EBADF;
    }
  }

 private:
  io_uring ring_{};
  int error_;
};

// VmPin of this process in pages: what drivers and io_uring have charged to it as pinned.
std::uint64_t pinned_pages() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmPin:", 0) == 0) {
      return std::stoull(line.substr(6)) * 1024 / kPageSize;
    }
  }
  return 0;
}

GUP_TEST(GupUring, RegisteredBuffersLeaveVramAndStayOut) {
  Buffer buffer(kPages);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const kfdlab_test_counters before = counters();
  const std::int64_t pins = outstanding_pins();
  Ring ring;
  ASSERT_EQ(ring.error(), 0);

  ASSERT_EQ(ring.register_buffer(buffer), 0);
  EXPECT_TRUE(all_in_ram(buffer.bytes()));
  EXPECT_EQ(counters().pages_left_by_pin - before.pages_left_by_pin, kPages);
  EXPECT_EQ(outstanding_pins() - pins, static_cast<std::int64_t>(kPages));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));

  EXPECT_EQ(prefetch_to_vram(buffer.bytes()), 0);
  EXPECT_TRUE(all_in_ram(buffer.bytes()));

  ASSERT_EQ(ring.unregister_buffers(), 0);
  EXPECT_EQ(outstanding_pins(), pins);
  EXPECT_TRUE(move_to_vram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

GUP_TEST(GupUring, ClosingTheRingLetsItsBuffersMoveAgain) {
  Buffer buffer(kPages);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const std::int64_t pins = outstanding_pins();
  Ring ring;
  ASSERT_EQ(ring.error(), 0);
  ASSERT_EQ(ring.register_buffer(buffer), 0);

  ring.close();
  // The kernel takes a ring apart in the background.
  EXPECT_TRUE(eventually([&] { return outstanding_pins() == pins; }));
  EXPECT_TRUE(move_to_vram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kFirst));
}

GUP_TEST(GupUring, FixedTransfersCarryWhatTheProcessSees) {
  Buffer buffer(kPages);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  Fd file(::memfd_create("kfdlab_uring", MFD_CLOEXEC));
  ASSERT_TRUE(file.valid());
  Ring ring;
  ASSERT_EQ(ring.error(), 0);
  ASSERT_EQ(ring.register_buffer(buffer), 0);

  ASSERT_EQ(ring.transfer(true, file.get(), buffer), static_cast<int>(buffer.size()));
  std::vector<std::byte> written(buffer.size());
  ASSERT_EQ(::pread(file.get(), written.data(), written.size(), 0), static_cast<ssize_t>(written.size()));
  EXPECT_EQ(pattern_error(written, buffer.address(), kFirst), "") << "WRITE_FIXED wrote what was in VRAM before";

  std::vector<std::byte> next(buffer.size());
  fill_pattern(next, buffer.address(), kSecond);
  ASSERT_EQ(::pwrite(file.get(), next.data(), next.size(), 0), static_cast<ssize_t>(next.size()));
  ASSERT_EQ(ring.transfer(false, file.get(), buffer), static_cast<int>(buffer.size()));
  EXPECT_TRUE(intact(buffer.bytes(), kSecond)) << "READ_FIXED read into the process's pages";

  ASSERT_EQ(ring.unregister_buffers(), 0);
  EXPECT_TRUE(move_to_vram(buffer.bytes()));
  EXPECT_TRUE(intact(buffer.bytes(), kSecond));
}

GUP_TEST(GupUring, RegistrationIsChargedAsPinnedMemory) {
  Buffer buffer(kPages);
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const std::uint64_t before = pinned_pages();
  Ring ring;
  ASSERT_EQ(ring.error(), 0);
  ASSERT_EQ(ring.register_buffer(buffer), 0);
  EXPECT_EQ(pinned_pages() - before, kPages);
  ASSERT_EQ(ring.unregister_buffers(), 0);
  EXPECT_EQ(pinned_pages(), before);
}

bool drop_ipc_lock() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) {
    return false;
  }
  data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &= ~CAP_TO_MASK(CAP_IPC_LOCK);
  return ::syscall(SYS_capset, &header, data) == 0;
}

struct LimitedRegistration {
  bool ready = false;
  int within = -1;  // errno of registering what the limit allows
  int beyond = -1;  // and of more
};

LimitedRegistration register_under_limit(std::uint32_t gpu_id) {
  LimitedRegistration result;
  const auto kfd = KfdClient::open();
  Buffer small(kPages / 2), large(2 * kPages);
  fill_pattern(small.bytes(), kFirst);
  fill_pattern(large.bytes(), kFirst);
  const rlimit limit{kPages * kPageSize, kPages * kPageSize};
  result.ready = kfd.ok() && kfd.value().svm_prefetch(small.address(), small.size(), gpu_id) == 0 &&
                 kfd.value().svm_prefetch(large.address(), large.size(), gpu_id) == 0 && drop_ipc_lock() &&
                 ::setrlimit(RLIMIT_MEMLOCK, &limit) == 0;
  if (!result.ready) {
    return result;
  }
  Ring ring;
  result.ready = ring.error() == 0;
  result.beyond = ring.register_buffer(large);
  result.within = ring.register_buffer(small);
  return result;
}

GUP_TEST(GupUring, RegistrationBeyondTheMemlockLimitFailsAndHoldsNothing) {
  const std::int64_t pins = outstanding_pins();
  // The limit does not bind CAP_IPC_LOCK, which cannot be taken back once dropped: in a process of its own.
  Child child([&](Peer& parent) { return parent.send(register_under_limit(gpu_id())) ? 0 : 1; });
  LimitedRegistration result;
  ASSERT_TRUE(child.peer().receive(&result));
  ASSERT_TRUE(result.ready);
  EXPECT_EQ(result.beyond, ENOMEM);
  EXPECT_EQ(result.within, 0);
  EXPECT_EQ(child.wait(), 0);
  EXPECT_TRUE(eventually([&] { return outstanding_pins() == pins; }));
}

GUP_TEST(GupUring, KilledOwnerOfARingLeavesNothingPinned) {
  const std::int64_t pins = outstanding_pins();
  const kfdlab_test_counters before = counters();
  Child child([&](Peer& parent) {
    const auto kfd = KfdClient::open();
    Buffer buffer(kPages);
    fill_pattern(buffer.bytes(), kFirst);
    Ring ring;
    const bool ready = kfd.ok() && ring.error() == 0 &&
                       kfd.value().svm_prefetch(buffer.address(), buffer.size(), gpu_id()) == 0 &&
                       ring.register_buffer(buffer) == 0;
    (void)(parent.send(ready) && parent.await());
    return 0;
  });
  bool ready = false;
  ASSERT_TRUE(child.peer().receive(&ready) && ready);
  EXPECT_EQ(outstanding_pins() - pins, static_cast<std::int64_t>(kPages));
  EXPECT_EQ(child.kill(), 128 + SIGKILL);
  EXPECT_TRUE(eventually([&] { return outstanding_pins() == pins; }));
  EXPECT_TRUE(eventually([&] { return counters().svm_pages_occupied == before.svm_pages_occupied; }));
}

}  // namespace
}  // namespace kfdlab
