// SPDX-License-Identifier: MIT
// Process objects: one per address space, gone when it dies or its last file is closed, whatever it had.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/child.h"
#include "tests/kfd/kfd_fixture.h"
#include "tests/support/buffer.h"
#include "tests/support/needs.h"
#include "tests/support/pages.h"

namespace kfdlab {
namespace {

class KfdProcess : public KfdTest {
 protected:
  void SetUp() override {
    KfdTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    KFDLAB_NEEDS_ROOT();
    auto device = TestDevice::open();
    KFDLAB_NEEDS(device.ok(), "the module was loaded without enable_test_ioctls=1");
    device_.emplace(device.take());
    close_kfd();
    before_ = counters();
  }
  [[nodiscard]] kfdlab_test_counters counters() const {
    auto counters = device_->counters(gpu_id());
    EXPECT_TRUE(counters);
    return counters ? counters.value() : kfdlab_test_counters{};
  }
  // Processes known to the driver beyond those when the test began.
  [[nodiscard]] std::int64_t processes() const {
    return static_cast<std::int64_t>(counters().processes) - static_cast<std::int64_t>(before_.processes);
  }
  [[nodiscard]] testing::AssertionResult all_gone() const {
    if (eventually([this] {
          const auto now = counters();
          return now.processes == before_.processes && now.vram_held == before_.vram_held &&
                 now.svm_ranges == before_.svm_ranges && now.buffer_objects == before_.buffer_objects &&
                 now.svm_pages_occupied == before_.svm_pages_occupied;
        })) {
      return testing::AssertionSuccess();
    }
    const auto now = counters();
    return testing::AssertionFailure() << now.processes - before_.processes << " processes, "
                                       << now.vram_held - before_.vram_held << " bytes of VRAM, "
                                       << now.svm_ranges - before_.svm_ranges << " ranges, "
                                       << now.buffer_objects - before_.buffer_objects << " objects, "
                                       << now.svm_pages_occupied - before_.svm_pages_occupied << " pages are left";
  }

 private:
  std::optional<TestDevice> device_;
  kfdlab_test_counters before_{};
};

// In a child: everything a process can have. False: something could not be made.
bool take_everything(const KfdClient& client, std::uint32_t gpu_id, int render, const Buffer& svm) {
  constexpr std::uint64_t kVramSize = 4u << 20;
  constexpr std::uint64_t kEventPageSize = 0x8000;
  if (client.acquire_vm(gpu_id, render) != 0) {
    return false;
  }
  const std::vector<std::uint32_t> gpus{gpu_id};
  // Never freed: it stays as long as the process.
  auto* space = new Reservation(2 * kVramSize);
  std::uint64_t at = space->address();
  for (const std::uint32_t type : {KFD_IOC_ALLOC_MEM_FLAGS_VRAM, KFD_IOC_ALLOC_MEM_FLAGS_GTT}) {
    KfdAlloc alloc;
    alloc.va = at;
    alloc.size = type == KFD_IOC_ALLOC_MEM_FLAGS_GTT ? kEventPageSize : kVramSize;
    alloc.gpu_id = gpu_id;
    alloc.flags = type | KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC | KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE;
    at += alloc.size;
    if (client.alloc(&alloc) != 0 || client.map(alloc.handle, gpus, nullptr) != 0) {
      return false;
    }
    auto* view = static_cast<char*>(
        ::mmap(nullptr, alloc.size, PROT_READ | PROT_WRITE, MAP_SHARED, render, static_cast<off_t>(alloc.mmap_offset)));
    if (view == MAP_FAILED) {
      return false;
    }
    view[0] = 1;
    KfdEvent event;
    event.page_handle = type == KFD_IOC_ALLOC_MEM_FLAGS_GTT ? alloc.handle : 0;
    if (client.create_event(&event) != 0) {
      return false;
    }
  }
  for (std::size_t i = 0; i < svm.npages(); ++i) {
    *svm.page(i) = std::byte{1};
  }
  return client.svm_prefetch(svm.address(), svm.size(), gpu_id) == 0;
}

TEST_F(KfdProcess, LivesFromFirstOpenToLastClose) {
  auto first = KfdClient::open();
  ASSERT_TRUE(first);
  EXPECT_EQ(processes(), 1) << "without any ioctl";
  auto second = KfdClient::open();
  ASSERT_TRUE(second);
  EXPECT_EQ(processes(), 1) << "one for the address space";
  first.value().close();
  EXPECT_EQ(processes(), 1);
  second.value().close();
  EXPECT_EQ(processes(), 0) << "at once, not some time later";
}

TEST_F(KfdProcess, FilesOfOneProcessShareItsObject) {
  auto first = KfdClient::open();
  auto second = KfdClient::open();
  ASSERT_TRUE(first && second);
  KfdEvent event;
  ASSERT_EQ(first.value().create_event(&event), 0);
  EXPECT_EQ(second.value().set_event(event.id), 0);
  first.value().close();
  EXPECT_EQ(second.value().destroy_event(event.id), 0);
}

TEST_F(KfdProcess, NewObjectKnowsNothingOfTheOld) {
  auto first = KfdClient::open();
  ASSERT_TRUE(first);
  KfdEvent event;
  std::int32_t mode = 0;
  ASSERT_EQ(first.value().create_event(&event), 0);
  ASSERT_EQ(first.value().set_xnack_mode(1, &mode), 0);
  first.value().close();
  auto second = KfdClient::open();
  ASSERT_TRUE(second);
  EXPECT_EQ(second.value().set_event(event.id), EINVAL);
  ASSERT_EQ(second.value().set_xnack_mode(-1, &mode), 0);
  EXPECT_EQ(mode, 0);
}

TEST_F(KfdProcess, ThreadsOpeningAndClosingAgreeOnOneObject) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        const auto client = KfdClient::open();
        KfdEvent event;
        if (!client || client.value().create_event(&event) != 0 || client.value().destroy_event(event.id) != 0) {
          ++wrong;
        }
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(processes(), 0);
}

TEST_F(KfdProcess, ExitWithoutCloseGivesEverythingBack) {
  const auto gpu = gpu_id();
  Child child([gpu](Peer& parent) {
    const auto client = KfdClient::open();
    const Fd render = open_render();
    const Buffer svm(256);
    const bool made = client && take_everything(client.value(), gpu, render.get(), svm);
    return parent.send(made) && parent.await() ? 0 : 1;
  });
  bool made = false;
  ASSERT_TRUE(child.peer().receive(&made));
  ASSERT_TRUE(made);
  EXPECT_EQ(processes(), 1);
  EXPECT_GE(counters().svm_pages_occupied, 256u);
  ASSERT_TRUE(child.peer().signal());
  EXPECT_EQ(child.wait(), 0);
  EXPECT_TRUE(all_gone());
}

TEST_F(KfdProcess, KillGivesEverythingBack) {
  const auto gpu = gpu_id();
  Child child([gpu](Peer& parent) {
    const auto client = KfdClient::open();
    const Fd render = open_render();
    const Buffer svm(256);
    const bool made = client && take_everything(client.value(), gpu, render.get(), svm);
    KfdEvent event;
    if (!parent.send(made) || client.value().create_event(&event) != 0) {
      return 1;
    }
    kfd_event_data data{};
    data.event_id = event.id;
    std::uint32_t result = 0;
    // Killed in here.
    return client.value().wait_events({&data, 1}, false, ~0u, &result);
  });
  bool made = false;
  ASSERT_TRUE(child.peer().receive(&made));
  ASSERT_TRUE(made);
  EXPECT_EQ(child.kill(), 128 + SIGKILL);
  EXPECT_TRUE(all_gone());
}

TEST_F(KfdProcess, ExecEndsTheObjectAlthoughTheFileIsInherited) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  Fd reader(ends[0]), writer(ends[1]);
  const auto gpu = gpu_id();
  Child child([&, gpu](Peer& parent) {
    auto client = KfdClient::open();
    const Fd render = open_render();
    const Buffer svm(64);
    if (!client || !take_everything(client.value(), gpu, render.get(), svm)) {
      return 1;
    }
    ::fcntl(client.value().fd(), F_SETFD, 0);
    ::fcntl(render.get(), F_SETFD, 0);
    if (!parent.signal()) {
      return 1;
    }
    ::dup2(reader.get(), STDIN_FILENO);
    ::execl("/bin/cat", "cat", nullptr);
    return 127;
  });
  ASSERT_TRUE(child.peer().await());
  EXPECT_TRUE(eventually([this] { return processes() == 0; })) << "cat holds the files, but is another address space";
  EXPECT_TRUE(eventually([this] { return counters().svm_pages_occupied == 0; }));
  reader.reset();
  writer.reset();
  EXPECT_EQ(child.wait(), 0);
  EXPECT_TRUE(all_gone());
}

TEST_F(KfdProcess, ObjectOfADeadParentIsGoneAlthoughAChildHoldsItsFile) {
  const auto gpu = gpu_id();
  Child parent([gpu](Peer& test) {
    const auto client = KfdClient::open();
    const Fd render = open_render();
    const Buffer svm(64);
    if (!client || !take_everything(client.value(), gpu, render.get(), svm)) {
      return 1;
    }
    // The grandchild holds the inherited files until the test lets it go.
    const pid_t grandchild = ::fork();
    if (grandchild == 0) {
      _exit(test.await() ? 0 : 1);
    }
    return test.send(grandchild) ? 0 : 1;
  });
  pid_t grandchild = 0;
  ASSERT_TRUE(parent.peer().receive(&grandchild));
  ASSERT_GT(grandchild, 0);
  EXPECT_TRUE(eventually([this] { return processes() == 0; }));
  ASSERT_TRUE(parent.peer().signal());
  EXPECT_EQ(parent.wait(), 0);
  EXPECT_TRUE(all_gone());
}

TEST_F(KfdProcess, ThreadsOfAVforkedChildAreTheSameAddressSpace) {
  auto client = KfdClient::open();
  ASSERT_TRUE(client);
  int error = -1;
  KfdVersion version;
  const pid_t pid = ::vfork();
  if (pid == 0) {
    error = client.value().get_version(&version);
    _exit(0);
  }
  ASSERT_GT(pid, 0);
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(error, 0) << "a file belongs to an address space, not to a thread group";
}

TEST_F(KfdProcess, ManyShortProcessesLeaveNothing) {
  const auto gpu = gpu_id();
  for (int round = 0; round < 10; ++round) {
    std::vector<std::unique_ptr<Child>> children;
    for (int i = 0; i < 3; ++i) {
      children.push_back(std::make_unique<Child>([gpu, i](Peer& parent) {
        const auto client = KfdClient::open();
        const Fd render = open_render();
        const Buffer svm(32);
        const bool made = client && take_everything(client.value(), gpu, render.get(), svm);
        if (!parent.send(made)) {
          return 1;
        }
        return i == 0 ? 0 : static_cast<int>(!parent.await());
      }));
    }
    for (auto& child : children) {
      bool made = false;
      ASSERT_TRUE(child->peer().receive(&made));
      EXPECT_TRUE(made);
    }
    EXPECT_EQ(children[0]->wait(), 0);
    EXPECT_EQ(children[1]->kill(), 128 + SIGKILL);
    ASSERT_TRUE(children[2]->peer().signal());
    EXPECT_EQ(children[2]->wait(), 0);
  }
  EXPECT_TRUE(all_gone());
}

}  // namespace
}  // namespace kfdlab
