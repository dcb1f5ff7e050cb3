// SPDX-License-Identifier: MIT
// The device-coherent page map (kernel/amdkfd/kfd_pagemap.c): pages that come back from interrupt context, and memory
// failure handling, which oopses a kernel whose driver says nothing about it.
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "tests/kfd/svm_fixture.h"
#include "tests/support/instrumented.h"
#include "tests/support/kmsg.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kSeed = 0x9a9e;
constexpr int kMadvSoftOffline = 101;  // MADV_SOFT_OFFLINE of asm-generic/mman-common.h; glibc leaves it out

class KfdPagemap : public SvmTest {
 protected:
  [[nodiscard]] Buffer in_vram(std::size_t npages) const {
    Buffer buffer(npages);
    fill_pattern(buffer.bytes(), kSeed);
    EXPECT_TRUE(prefetch_to_vram(buffer));
    EXPECT_EQ(census(buffer), (PageCensus{.vram = npages}));
    return buffer;
  }
};

TEST_F(KfdPagemap, HwpoisonOfACoherentPageIsRefused) {
  const Buffer buffer = in_vram(16);
  expect_kernel_line("Memory failure: .*recovery action for dax page: Failed");
  errno = 0;
  const int result = ::madvise(buffer.page(3), kPageSize, MADV_HWPOISON);
  const int error = errno;
  KFDLAB_NEEDS(error != EINVAL, "this kernel was built without CONFIG_MEMORY_FAILURE");
  EXPECT_EQ(result, -1);
  EXPECT_EQ(error, ENXIO);
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
  EXPECT_EQ(census(buffer), (PageCensus{.vram = buffer.npages()}));
}

TEST_F(KfdPagemap, PagesSurviveARefusedHwpoison) {
  const Buffer buffer = in_vram(16);
  expect_kernel_line("Memory failure: .*recovery action for dax page: Failed");
  ASSERT_EQ(::madvise(buffer.page(0), kPageSize, MADV_HWPOISON), -1);
  ASSERT_TRUE(prefetch_to_ram(buffer));
  EXPECT_EQ(census(buffer), (PageCensus{.ram = buffer.npages()}));
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
}

TEST_F(KfdPagemap, SoftOfflineOfACoherentPageIsRefused) {
  const Buffer buffer = in_vram(16);
  EXPECT_EQ(::madvise(buffer.page(5), kPageSize, kMadvSoftOffline), -1);
  EXPECT_EQ(errno, EIO);
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
  EXPECT_EQ(census(buffer), (PageCensus{.vram = buffer.npages()}));
}

// Asynchronous O_DIRECT reads from the scratch disk.
class DirectReads {
 public:
  static constexpr char kDisk[] = "/dev/vda";
  static constexpr std::size_t kChunk = 128 * 1024;

  DirectReads() : disk_(::open(kDisk, O_RDONLY | O_DIRECT | O_CLOEXEC)) {
    EXPECT_EQ(::syscall(SYS_io_setup, kMaxReads, &context_), 0) << std::strerror(errno);
  }
  ~DirectReads() { ::syscall(SYS_io_destroy, context_); }
  DirectReads(const DirectReads&) = delete;
  DirectReads& operator=(const DirectReads&) = delete;

  // One read per chunk of the buffer; returns how many were queued.
  long submit(const Buffer& buffer) {
    std::vector<iocb> requests(buffer.size() / kChunk);
    std::vector<iocb*> list;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      requests[i].aio_lio_opcode = IOCB_CMD_PREAD;
      requests[i].aio_fildes = static_cast<std::uint32_t>(disk_.get());
      requests[i].aio_buf = buffer.address() + i * kChunk;
      requests[i].aio_nbytes = kChunk;
      requests[i].aio_offset = static_cast<std::int64_t>(i * kChunk);
      list.push_back(&requests[i]);
    }
    return ::syscall(SYS_io_submit, context_, static_cast<long>(list.size()), list.data());
  }

  // All of them are over; the sum of their results in bytes, or the first error.
  std::int64_t wait(long n) {
    std::vector<io_event> events(static_cast<std::size_t>(n));
    if (::syscall(SYS_io_getevents, context_, n, n, events.data(), nullptr) != n) {
      return -errno;
    }
    std::int64_t bytes = 0;
    for (const io_event& event : events) {
      if (event.res < 0) {
        return event.res;
      }
      bytes += event.res;
    }
    return bytes;
  }

 private:
  static constexpr long kMaxReads = 64;
  Fd disk_;
  aio_context_t context_ = 0;
};

// The last reference of a page whose mapping went during a read is dropped by the disk's interrupt.
TEST_F(KfdPagemap, PagesFreedInInterruptContextAllComeBack) {
  KFDLAB_NEEDS_NODE(DirectReads::kDisk);
  constexpr std::size_t kPages = 512;
  DirectReads reads;
  const auto before = counters();
  std::uint64_t rounds = 0;
  const bool seen = eventually([&] {
    Buffer buffer = in_vram(kPages);
    const long queued = reads.submit(buffer);
    buffer.unmap(0, kPages);
    EXPECT_EQ(queued, static_cast<long>(kPages * kPageSize / DirectReads::kChunk)) << std::strerror(errno);
    EXPECT_EQ(reads.wait(queued), static_cast<std::int64_t>(kPages * kPageSize));
    ++rounds;
    return counters().page_free_irq != before.page_free_irq || HasFailure();
  });
  EXPECT_TRUE(seen || kernel_is_instrumented()) << "no page came back in interrupt context in " << rounds << " rounds";
  EXPECT_TRUE(eventually([&] { return counters().svm_pages_occupied == before.svm_pages_occupied; }));
  const auto after = counters();
  EXPECT_EQ(after.pages_freed - before.pages_freed, rounds * kPages);
  EXPECT_EQ(after.pages_left_by_pin, before.pages_left_by_pin);
  EXPECT_EQ(after.vram_held, before.vram_held);
  RecordProperty("page_free_irq", static_cast<int>(after.page_free_irq - before.page_free_irq));
  KFDLAB_NEEDS(seen, "an instrumented kernel unmaps so slowly that the disk is done before");
}

TEST_F(KfdPagemap, DirectReadsIntoVramLeaveThePagesThere) {
  KFDLAB_NEEDS_NODE(DirectReads::kDisk);
  const Buffer buffer = in_vram(64);
  DirectReads reads;
  const long queued = reads.submit(buffer);
  ASSERT_EQ(reads.wait(queued), static_cast<std::int64_t>(buffer.size()));
  EXPECT_EQ(census(buffer), (PageCensus{.vram = buffer.npages()}));
}

}  // namespace
}  // namespace kfdlab
