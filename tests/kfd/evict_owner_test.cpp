// SPDX-License-Identifier: MIT
// Eviction asks nothing of the owner of the pages: not that it runs, not its mmap lock, not that it lives.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#include "tests/kfd/evict_fixture.h"
#include "tests/support/child.h"

namespace kfdlab {
namespace {

using Pages = std::span<std::byte>;

// Number of the system call that a thread sleeps in, -1 if none.
int blocked_in(pid_t pid, pid_t thread) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(thread) + "/syscall");
  int number = -1;
  file >> number;
  return file.fail() ? -1 : number;
}

// 'R', 'S', 'D' ...
char state_of(pid_t pid, pid_t thread) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(thread) + "/stat");
  std::string line;
  std::getline(file, line);
  const auto name_end = line.rfind(')');
  return name_end + 2 < line.size() ? line[name_end + 2] : '?';
}

pid_t thread_id() { return static_cast<pid_t>(::syscall(SYS_gettid)); }

// In an owner: its pages with the pattern, all in VRAM.
bool fill_in_vram(Pages pages, std::uint32_t gpu, std::uint64_t seed) {
  const auto oracle = PageOracle::open();
  fill_pattern(pages, seed);
  return oracle.ok() && move_to_vram(pages, gpu) == 0 &&
         oracle.value().census(pages.data(), pages.size() / kPageSize).vram == pages.size() / kPageSize;
}

// What an owner found at the end of a test.
VramView look(Pages pages, std::uint64_t seed) {
  VramView view;
  const auto oracle = PageOracle::open();
  if (oracle.ok()) {
    view.alive = true;
    view.census = oracle.value().census(pages.data(), pages.size() / kPageSize);
    view.intact = !find_mismatch(pages, seed);
  }
  return view;
}

TEST_F(Evict, SleepingOwnerLosesItsVramAndNoByte) {
  VramUser owner(gpu(), kLeft, kSeed);
  const VramView before = owner.to_vram();
  ASSERT_TRUE(before.all_vram()) << testing::PrintToString(before);

  const auto pressure = press();

  EXPECT_EQ(pages_evicted(), kLeft);
  EXPECT_EQ(evictions(), kLeft / 512) << "one per block, caused by TTM";
  const VramView after = owner.look();
  EXPECT_TRUE(after.all_ram()) << testing::PrintToString(after);
  EXPECT_EQ(contents(*pressure, kSeed + 77), "");
}

TEST_F(Evict, StoppedOwnerIsEvicted) {
  VramUser owner(gpu(), kLeft, kSeed);
  ASSERT_TRUE(owner.to_vram().all_vram());
  ASSERT_EQ(::kill(owner.pid(), SIGSTOP), 0);
  ASSERT_TRUE(eventually([&] { return state_of(owner.pid(), owner.pid()) == 'T'; }));

  const auto pressure = press();

  EXPECT_EQ(pages_evicted(), kLeft);
  ASSERT_EQ(::kill(owner.pid(), SIGCONT), 0);
  EXPECT_TRUE(owner.look().all_ram());
}

// read() has looked at the buffer's address but not at its page; the data must arrive in the page's new home.
TEST_F(Evict, OwnerBlockedInReadIntoItsPagesGetsTheDataInRam) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd out(ends[0]);
  const Fd in(ends[1]);
  const Buffer memory(kLeft);
  Child owner([&](Peer& parent) {
    const bool ready = fill_in_vram(memory.bytes(), gpu(), kSeed);
    if (!parent.send(ready) || !ready) {
      return 1;
    }
    const Pages page = memory.pages(600, 1);
    const bool whole = ::read(out.get(), page.data(), page.size()) == static_cast<ssize_t>(page.size());
    const bool arrived = whole && !find_mismatch(page, kSeed + 1);
    fill_pattern(page, kSeed);
    VramView view = look(memory.bytes(), kSeed);
    view.intact &= arrived;
    return parent.send(view) ? 0 : 2;
  });
  bool ready = false;
  ASSERT_TRUE(owner.peer().receive(&ready) && ready);
  ASSERT_TRUE(eventually([&] { return blocked_in(owner.pid(), owner.pid()) == SYS_read; }));

  const auto pressure = press();

  EXPECT_EQ(pages_evicted(), kLeft);
  std::vector<std::byte> data(kPageSize);
  fill_pattern(data, memory.page_address(600), kSeed + 1);
  ASSERT_EQ(::write(in.get(), data.data(), data.size()), static_cast<ssize_t>(data.size()));
  VramView view;
  ASSERT_TRUE(owner.peer().receive(&view));
  EXPECT_TRUE(view.all_ram()) << testing::PrintToString(view);
}

// process_vm_readv() takes a reference for the time of a copy: it may delay the page, and never sees half of it.
TEST_F(Evict, PagesReadByProcessVmReadvMeanwhileLeaveWithTheRest) {
  VramUser owner(gpu(), kLeft, kSeed);
  ASSERT_TRUE(owner.to_vram().all_vram());
  std::atomic<bool> stop{false};
  std::atomic<unsigned> reads{0};
  std::string wrong;
  std::thread reader([&] {
    std::vector<std::byte> copy(64 * kPageSize);
    for (std::size_t first = 0; !stop && wrong.empty(); first = (first + 64) % kLeft) {
      const iovec to{copy.data(), copy.size()};
      const iovec from{owner.data() + first * kPageSize, copy.size()};
      if (::process_vm_readv(owner.pid(), &to, 1, &from, 1, 0) != static_cast<ssize_t>(copy.size())) {
        wrong = "process_vm_readv: " + std::string(std::strerror(errno));
      } else if (const std::string error = pattern_error(copy, owner.address() + first * kPageSize, kSeed);
                 !error.empty()) {
        wrong = error;
      }
      ++reads;
    }
  });
  EXPECT_TRUE(eventually([&] { return reads != 0; }));
  { const auto pressure = press(kLeft / 2); }
  stop = true;
  reader.join();
  EXPECT_EQ(wrong, "");
  EXPECT_GE(pages_evicted(), kLeft / 2);
  const VramView view = owner.look();
  EXPECT_TRUE(view.fine()) << testing::PrintToString(view);
  EXPECT_EQ(view.census.ram, pages_evicted());
}

// The owner sits on its own mmap lock, as a thread does whose fault waits for a slow file system.
class LockHolder {
 public:
  LockHolder(std::uint32_t gpu, std::size_t npages, std::uint64_t seed, std::uint32_t what)
      : memory_(npages), child_([this, gpu, seed, what](Peer& parent) {
          const bool ready = fill_in_vram(memory_.bytes(), gpu, seed);
          if (!parent.send(ready) || !ready) {
            return 1;
          }
          const int error = hold_lock(what, nullptr, word_);
          VramView view = look(memory_.bytes(), seed);
          view.error = error;
          return parent.send(view) ? 0 : 2;
        }) {}
  [[nodiscard]] bool holds() {
    bool ready = false;
    return child_.peer().receive(&ready) && ready && eventually([&] { return word_.get() == 1; });
  }
  // Nobody ended the hold; if somebody waited for the lock until the time limit did, let_go() says ETIMEDOUT.
  [[nodiscard]] bool still_holds() const { return word_.get() == 1; }
  [[nodiscard]] VramView let_go() {
    word_.set(2);
    VramView view;
    return child_.peer().receive(&view) ? view : VramView{};
  }

 private:
  SharedWord word_;
  Buffer memory_;
  Child child_;
};

TEST_F(Evict, OwnerHoldingItsMmapLockForReadingDoesNotBlockEviction) {
  LockHolder owner(gpu(), kLeft, kSeed, KFDLAB_HOLD_MMAP_READ);
  ASSERT_TRUE(owner.holds());
  const auto pressure = press();
  EXPECT_TRUE(owner.still_holds());
  EXPECT_EQ(pages_evicted(), kLeft);
  const VramView view = owner.let_go();
  EXPECT_TRUE(view.all_ram()) << testing::PrintToString(view);
}

TEST_F(Evict, OwnerHoldingItsMmapLockForWritingDoesNotBlockEviction) {
  LockHolder owner(gpu(), kLeft, kSeed, KFDLAB_HOLD_MMAP_WRITE);
  ASSERT_TRUE(owner.holds());
  const auto pressure = press();
  EXPECT_TRUE(owner.still_holds());
  EXPECT_EQ(pages_evicted(), kLeft);
  const VramView view = owner.let_go();
  EXPECT_TRUE(view.all_ram()) << testing::PrintToString(view);
}

// A waiting writer keeps new readers out. The evictor has the lock for reading and evicts pages of its own process, so
// whoever asks for that lock on its way waits for ever.
TEST_F(Evict, EvictorWithAWriterQueuedOnItsOwnMmapLockGetsRoom) {
  const auto victim = in_vram(kLeft);
  const Buffer more(kLeft);
  fill_pattern(more.bytes(), kSeed + 1);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    while (!stop) {
      void* const at = ::mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      ::munmap(at, kPageSize);
    }
  });
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(kfd().svm_prefetch(more.address(), more.size(), gpu()), 0);
    EXPECT_EQ(kfd().svm_prefetch(victim->address(), victim->size(), gpu()), 0);
  }
  stop = true;
  writer.join();
  EXPECT_GE(pages_evicted(), kLeft);
  EXPECT_EQ(contents(*victim), "");
  EXPECT_EQ(contents(more, kSeed + 1), "");
}

// Another process's reader holds the lock, a second thread of it waits to write: nobody gets that lock any more.
TEST_F(Evict, OwnerWithAWriterQueuedBehindItsReaderIsEvicted) {
  const SharedWord word;
  const SharedWord writer_id;
  const Buffer memory(kLeft);
  Child owner([&](Peer& parent) {
    const bool ready = fill_in_vram(memory.bytes(), gpu(), kSeed);
    const Buffer unmapped(1);
    std::thread writer([&] {
      writer_id.set(static_cast<std::uint32_t>(thread_id()));
      while (word.get() == 0) {
        std::this_thread::yield();
      }
      ::munmap(unmapped.data(), kPageSize);
    });
    while (writer_id.get() == 0) {
      std::this_thread::yield();
    }
    if (!ready || !parent.send(ready)) {
      word.set(2);
      writer.join();
      return 1;
    }
    const int error = hold_lock(KFDLAB_HOLD_MMAP_READ, nullptr, word);
    writer.join();
    VramView view = look(memory.bytes(), kSeed);
    view.error = error;
    return parent.send(view) ? 0 : 2;
  });
  bool ready = false;
  ASSERT_TRUE(owner.peer().receive(&ready) && ready);
  const bool queued = eventually([&] {
    const auto writer = static_cast<pid_t>(writer_id.get());
    return writer != 0 && state_of(owner.pid(), writer) == 'D';
  });
  EXPECT_TRUE(queued);

  const auto pressure = press();

  EXPECT_EQ(word.get(), 1u);
  EXPECT_EQ(pages_evicted(), kLeft);
  word.set(2);
  VramView view;
  ASSERT_TRUE(owner.peer().receive(&view));
  EXPECT_TRUE(view.all_ram()) << testing::PrintToString(view);
}

TEST_F(Evict, OwnerBlockedInAUserfaultIsEvicted) {
  const Buffer memory(kLeft);
  Child owner([&](Peer& parent) {
    const Fd faults(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC)));
    uffdio_api api{};
    api.api = UFFD_API;
    const Buffer missing(1);
    uffdio_register area{};
    area.range = {missing.address(), missing.size()};
    area.mode = UFFDIO_REGISTER_MODE_MISSING;
    if (!fill_in_vram(memory.bytes(), gpu(), kSeed) || ::ioctl(faults.get(), UFFDIO_API, &api) != 0 ||
        ::ioctl(faults.get(), UFFDIO_REGISTER, &area) != 0) {
      return 1;
    }
    std::thread toucher([&] { std::memset(missing.data(), 1, 1); });
    uffd_msg fault{};
    const bool blocked = ::read(faults.get(), &fault, sizeof fault) == static_cast<ssize_t>(sizeof fault);
    const bool told = parent.send(blocked) && parent.await();
    uffdio_zeropage zero{};
    zero.range = area.range;
    ::ioctl(faults.get(), UFFDIO_ZEROPAGE, &zero);
    toucher.join();
    return told && parent.send(look(memory.bytes(), kSeed)) ? 0 : 2;
  });
  bool blocked = false;
  ASSERT_TRUE(owner.peer().receive(&blocked) && blocked);
  const auto pressure = press();
  EXPECT_EQ(pages_evicted(), kLeft);
  ASSERT_TRUE(owner.peer().signal());
  VramView view;
  ASSERT_TRUE(owner.peer().receive(&view));
  EXPECT_TRUE(view.all_ram()) << testing::PrintToString(view);
}

TEST_F(Evict, PagesSharedByForkLeaveForBothProcesses) {
  VramUser other(gpu(), kLeft, kSeed + 2);
  const auto memory = in_vram(kLeft);
  Child sharer([&](Peer& parent) {
    const auto oracle = PageOracle::open();
    while (oracle.ok() && parent.await()) {
      const std::uint64_t frame = oracle.value().frame(memory->page(678));
      if (!parent.send(look(memory->bytes(), kSeed)) || !parent.send(frame)) {
        break;
      }
    }
    return 0;
  });
  VramView childs;
  std::uint64_t frame = 0;
  ASSERT_TRUE(sharer.peer().signal() && sharer.peer().receive(&childs) && sharer.peer().receive(&frame));
  ASSERT_TRUE(childs.all_vram());

  ASSERT_TRUE(other.to_vram().all_vram());

  EXPECT_EQ(pages_evicted(), kLeft) << "once, not per process";
  EXPECT_EQ(census(*memory), all_ram(kLeft));
  EXPECT_EQ(contents(*memory), "");
  ASSERT_TRUE(sharer.peer().signal() && sharer.peer().receive(&childs) && sharer.peer().receive(&frame));
  EXPECT_TRUE(childs.all_ram()) << testing::PrintToString(childs);
  EXPECT_EQ(frame, oracle().frame(memory->page(678))) << "still one page for both";

  fill_pattern(memory->bytes(), kSeed + 3);  // copy on write
  ASSERT_TRUE(sharer.peer().signal() && sharer.peer().receive(&childs) && sharer.peer().receive(&frame));
  EXPECT_TRUE(childs.all_ram()) << testing::PrintToString(childs);
  EXPECT_EQ(contents(*memory, kSeed + 3), "");
}

TEST_F(Evict, PagesOfADeadOwnerLeaveFromItsChild) {
  const Buffer memory(kLeft);
  Child owner([&](Peer& test) {
    if (!fill_in_vram(memory.bytes(), gpu(), kSeed)) {
      return 1;
    }
    if (::fork() == 0) {
      const bool went = test.signal() && test.await();
      ::_exit(went && test.send(look(memory.bytes(), kSeed)) ? 0 : 1);
    }
    return 0;
  });
  ASSERT_TRUE(owner.peer().await());
  ASSERT_EQ(owner.wait(), 0);
  EXPECT_EQ(counters().svm_pages_occupied, kLeft);

  const auto pressure = press();

  EXPECT_EQ(pages_evicted(), kLeft);
  VramView view;
  ASSERT_TRUE(owner.peer().signal());
  ASSERT_TRUE(owner.peer().receive(&view));
  EXPECT_TRUE(view.all_ram()) << testing::PrintToString(view);
}

}  // namespace
}  // namespace kfdlab
