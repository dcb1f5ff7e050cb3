// SPDX-License-Identifier: MIT
// VRAM adds up (docs/decisions/0031): held is what TTM has there plus orphans plus reservations, occupied pages are the
// pages of all accounts, and a process answers for the pages it brought and the buffers it allocated.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/kfd/svm_fixture.h"
#include "tests/kfd/text_files.h"
#include "tests/support/child.h"
#include "tests/support/gup_client.h"
#include "tests/support/vram_user.h"

namespace kfdlab {
namespace {

constexpr uint64_t kSeed = 13;
constexpr uint64_t kMiB = 1u << 20;

struct Account {
  uint64_t held = 0, objects = 0, orphans = 0, reserved = 0, accounted = 0, occupied = 0;
  std::string text;
};

// In an uninterruptible sleep.
bool sleeps_in_kernel(pid_t pid, pid_t thread) {
  const auto status = read_text("/proc/" + std::to_string(pid) + "/task/" + std::to_string(thread) + "/status");
  return status && status->find("State:\tD") != std::string::npos;
}

class KfdAccounting : public SvmTest {
 protected:
  void SetUp() override {
    SvmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    render_ = Fd(::open(("/dev/dri/renderD" + std::to_string(node_properties(1)["drm_render_minor"])).c_str(), O_RDWR));
    ASSERT_TRUE(render_.valid());
    ASSERT_EQ(kfd().acquire_vm(gpu(), render_.get()), 0);
  }

  [[nodiscard]] Account account() const {
    const auto text = read_text(std::string(kDebugfs) + "/kfd/gpu0/vram");
    EXPECT_TRUE(text);
    Account now;
    now.text = text.value_or("");
    now.held = number_after(now.text, "held").value_or(1);
    now.objects = number_after(now.text, "objects").value_or(0);
    now.orphans = number_after(now.text, "orphans").value_or(0);
    now.reserved = number_after(now.text, "reserved").value_or(0);
    now.accounted = number_after(now.text, "accounted_pages").value_or(1);
    now.occupied = number_after(now.text, "occupied_pages").value_or(0);
    return now;
  }

  // Every equation, at a moment when nothing moves.
  void expect_adds_up(const std::string& when) const {
    const kfdlab_test_counters counted = counters();
    const Account now = account();
    EXPECT_EQ(now.held, now.objects + now.orphans + now.reserved) << when << "\n" << now.text;
    EXPECT_EQ(now.accounted, now.occupied) << when << "\n" << now.text;
    EXPECT_EQ(now.held, counted.vram_held) << when;
    EXPECT_EQ(now.occupied, counted.svm_pages_occupied) << when;
    EXPECT_LE(now.occupied * kPageSize, now.held) << when << ": pages lie in blocks";
    uint64_t available = 0;
    EXPECT_EQ(kfd().available_memory(gpu(), &available), 0);
    EXPECT_EQ(available, counted.vram_size - counted.vram_held) << when;
  }
  [[nodiscard]] uint64_t own_vram() const { return process_vram(::getpid(), gpu()).value_or(~0ull); }
  [[nodiscard]] KfdAlloc allocate(uint64_t va, uint64_t size, uint32_t flags) const {
    KfdAlloc alloc;
    alloc.va = va;
    alloc.size = size;
    alloc.gpu_id = gpu();
    alloc.flags = flags | static_cast<uint32_t>(KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE);
    EXPECT_EQ(kfd().alloc(&alloc), 0);
    return alloc;
  }
  [[nodiscard]] int render() const { return render_.get(); }

 private:
  Fd render_;
};

TEST_F(KfdAccounting, FolderOfAProcessComesWithOpenAndGoesWithClose) {
  EXPECT_EQ(own_vram(), 0u);
  close_kfd();
  EXPECT_FALSE(process_vram(::getpid(), gpu()));
  const auto again = KfdClient::open();
  ASSERT_TRUE(again);
  EXPECT_EQ(own_vram(), 0u);
}

TEST_F(KfdAccounting, ProcessThatExecsLeavesNoFolderBehind) {
  Child child([&](Peer& peer) {
    const auto client = KfdClient::open();
    if (!client || !peer.signal() || !peer.await()) {
      return 1;
    }
    ::execl("/bin/true", "true", nullptr);
    return 2;
  });
  const pid_t pid = child.pid();
  ASSERT_TRUE(child.peer().await());
  EXPECT_EQ(process_vram(pid, gpu()), 0u);
  ASSERT_TRUE(child.peer().signal());
  EXPECT_EQ(child.wait(), 0);
  EXPECT_TRUE(eventually([&] { return !process_vram(pid, gpu()); }));
}

// A reader of a folder waits for a lock of the process, and the process, which closes /dev/kfd, for the reader.
TEST_F(KfdAccounting, FolderThatIsReadForLongKeepsNobodyElseFromOpeningAndClosing) {
  const SharedWord word;
  Child owner([&](Peer& peer) {
    auto client = KfdClient::open();
    if (!client) {
      return 1;
    }
    auto open = std::make_unique<KfdClient>(client.take());
    int error = -1;
    std::thread holder([&] { error = hold_lock(KFDLAB_HOLD_PROCESS, nullptr, word); });
    const bool told = peer.signal() && peer.await();
    open.reset();
    holder.join();
    return told && error == 0 ? 0 : 2;
  });
  ASSERT_TRUE(owner.peer().await());
  ASSERT_TRUE(eventually([&] { return word.get() == 1; }));
  std::atomic<pid_t> reader_id{0};
  std::thread reader([&] {
    reader_id = ::gettid();
    (void)process_vram(owner.pid(), gpu());
  });
  EXPECT_TRUE(eventually([&] { return reader_id != 0 && sleeps_in_kernel(::getpid(), reader_id); }));
  ASSERT_TRUE(owner.peer().signal());
  EXPECT_TRUE(eventually([&] { return sleeps_in_kernel(owner.pid(), owner.pid()); })) << "close() waits for the reader";

  EXPECT_EQ(in_child([&] {
              const auto client = KfdClient::open();
              return client && process_vram(::getpid(), gpu()) == 0u ? 0 : 1;
            }),
            0);
  EXPECT_EQ(word.get(), 1u) << "the lock is held still";
  word.set(2);
  reader.join();
  EXPECT_EQ(owner.wait(), 0);
  EXPECT_FALSE(process_vram(owner.pid(), gpu()));
}

TEST_F(KfdAccounting, PagesAndBuffersOfAProcessAreItsVram) {
  const Reservation space(32 * kMiB);
  const Buffer buffer(300);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(own_vram(), 300 * kPageSize);
  const KfdAlloc vram = allocate(space.address(), 8 * kMiB, KFD_IOC_ALLOC_MEM_FLAGS_VRAM);
  const KfdAlloc gtt = allocate(space.address() + 8 * kMiB, 4 * kMiB, KFD_IOC_ALLOC_MEM_FLAGS_GTT);
  const KfdAlloc queue = allocate(space.address() + 16 * kMiB, 4 * kMiB,
                                  KFD_IOC_ALLOC_MEM_FLAGS_VRAM | KFD_IOC_ALLOC_MEM_FLAGS_AQL_QUEUE_MEM);
  EXPECT_EQ(own_vram(), 300 * kPageSize + 8 * kMiB + 2 * kMiB) << "GTT is none, a queue's memory is there once";
  expect_adds_up("all there");
  for (const auto& alloc : {vram, gtt, queue}) {
    EXPECT_EQ(kfd().free(alloc.handle), 0);
  }
  EXPECT_EQ(own_vram(), 300 * kPageSize);
  ASSERT_TRUE(prefetch_to_ram(buffer));
  EXPECT_EQ(own_vram(), 0u);
  expect_adds_up("all gone");
}

TEST_F(KfdAccounting, AddsUpWhateverTakesPagesAway) {
  auto gup = GupClient::open();
  KFDLAB_NEEDS(gup.ok(), "the pin module is not loaded");
  Buffer buffer(640);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  expect_adds_up("in VRAM");
  uint64_t pages = 640;

  buffer.unmap(0, 64);
  pages -= 64;
  EXPECT_EQ(own_vram(), pages * kPageSize);
  expect_adds_up("munmap");

  {
    GupHold hold;
    ASSERT_EQ(gup.value().hold({KFDLAB_GUP_FAST, KFDLAB_GUP_PIN | KFDLAB_GUP_LONGTERM | KFDLAB_GUP_WRITE},
                               buffer.page(100), 50, &hold),
              0);
    pages -= 50;
    EXPECT_EQ(own_vram(), pages * kPageSize);
    expect_adds_up("long-term pin");
  }

  EXPECT_EQ(::madvise(buffer.page(200), 10 * kPageSize, MADV_DONTNEED), 0);
  pages -= 10;
  EXPECT_EQ(own_vram(), pages * kPageSize);
  expect_adds_up("madvise");

  {
    GupHold hold;
    ASSERT_EQ(gup.value().hold({KFDLAB_GUP_FAST, KFDLAB_GUP_WRITE}, buffer.page(300), 7, &hold), 0);
    const auto evicted = device().evict(gpu());
    ASSERT_TRUE(evicted.ok());
    EXPECT_EQ(evicted.value().stayed, 7u);
    EXPECT_EQ(own_vram(), 7 * kPageSize);
    expect_adds_up("evicted but for what is held");
    ASSERT_EQ(read_text(dri_debugfs("amdgpu_evict_vram")), "0\n");
    EXPECT_EQ(own_vram(), 7 * kPageSize);
    EXPECT_GT(account().orphans, 0u) << "TTM's eviction leaves the held pages' blocks without objects";
    expect_adds_up("orphans");
  }
  ASSERT_TRUE(device().evict(gpu()).ok());
  EXPECT_EQ(own_vram(), 0u);
  expect_adds_up("all gone");
}

TEST_F(KfdAccounting, ForkedPagesStayOnTheAccountOfWhoBroughtThem) {
  const Buffer buffer(128);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  Child child([&](Peer& peer) {
    // Its own copies of 28 pages: made in RAM.
    for (std::size_t i = 0; i < 28; ++i) {
      buffer.page(i)[0] = std::byte{1};
    }
    return peer.signal() && peer.await() ? 0 : 1;
  });
  ASSERT_TRUE(child.peer().await());
  EXPECT_EQ(own_vram(), 128 * kPageSize);
  expect_adds_up("copied by the child");
  for (std::size_t i = 100; i < 128; ++i) {
    buffer.page(i)[0] = std::byte{2};
  }
  EXPECT_EQ(own_vram(), 128 * kPageSize) << "the child still has the old ones";
  expect_adds_up("copied by the parent");
  ASSERT_TRUE(child.peer().signal());
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(own_vram(), 100 * kPageSize);
  expect_adds_up("child gone");
}

TEST_F(KfdAccounting, PagesOutliveTheirOwnerOnItsAccount) {
  const uint64_t before = counters().svm_pages_occupied;
  int pipe_fds[2];
  ASSERT_EQ(::pipe(pipe_fds), 0);
  Child owner([&](Peer& peer) {
    auto client = KfdClient::open();
    const Buffer buffer(64);
    fill_pattern(buffer.bytes(), kSeed);
    if (!client || client.value().svm_prefetch(buffer.address(), buffer.size(), gpu()) != 0) {
      return 1;
    }
    // A grandchild keeps the pages; the owner goes.
    const pid_t heir = ::fork();
    if (heir == 0) {
      char byte = 0;
      ::close(pipe_fds[1]);
      const bool told = ::read(pipe_fds[0], &byte, 1) == 0;
      _exit(told && pattern_error(buffer.bytes(), kSeed).empty() ? 0 : 1);
    }
    return peer.signal() && peer.await() ? 0 : 2;
  });
  const pid_t pid = owner.pid();
  ASSERT_TRUE(owner.peer().await());
  EXPECT_EQ(process_vram(pid, gpu()), 64 * kPageSize);
  ASSERT_TRUE(owner.peer().signal());
  EXPECT_EQ(owner.wait(), 0);
  EXPECT_TRUE(eventually([&] { return !process_vram(pid, gpu()); }));
  EXPECT_EQ(counters().svm_pages_occupied, before + 64);
  // The folder goes first in a teardown, the account is closed last.
  const std::string ended = "ended " + std::to_string(pid) + " svm_pages 64";
  EXPECT_TRUE(eventually([&] { return account().text.find(ended) != std::string::npos; })) << account().text;
  expect_adds_up("owner gone");
  ::close(pipe_fds[0]);
  ::close(pipe_fds[1]);
  EXPECT_TRUE(eventually([&] { return counters().svm_pages_occupied == before; }));
  expect_adds_up("heir gone");
}

TEST_F(KfdAccounting, AddsUpWhileEverythingMoves) {
  std::vector<std::unique_ptr<Child>> children;
  for (uint64_t n = 0; n < 3; ++n) {
    children.push_back(std::make_unique<Child>([&, n](Peer&) {
      const auto client = KfdClient::open();
      if (!client) {
        return 1;
      }
      for (int round = 0; round < 30; ++round) {
        Buffer buffer(200 + 50 * n);
        fill_pattern(buffer.bytes(), n);
        if (client.value().svm_prefetch(buffer.address(), buffer.size(), gpu()) != 0 ||
            (round % 2 != 0 && client.value().svm_prefetch(buffer.address(), buffer.size(), 0) != 0)) {
          return 2;
        }
        buffer.unmap(10, 20);
      }
      return 0;
    }));
  }
  // Never more on the accounts than a moment's difference of what is handed out: one page per CPU.
  for (int i = 0; i < 200; ++i) {
    const Account now = account();
    const auto difference = static_cast<int64_t>(now.accounted - now.occupied);
    EXPECT_LE(std::abs(difference), 600) << now.text;
  }
  for (auto& child : children) {
    EXPECT_EQ(child->wait(), 0);
  }
  EXPECT_TRUE(eventually([&] { return account().occupied == 0; }));
  expect_adds_up("at rest");
}

}  // namespace
}  // namespace kfdlab
