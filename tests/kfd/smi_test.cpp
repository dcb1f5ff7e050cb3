// SPDX-License-Identifier: MIT
// SMI events: what a file of AMDKFD_IOC_SMI_EVENTS tells whom, in which words, and that nobody has to wait for it.
#include <fcntl.h>
#include <linux/kfd_ioctl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "tests/kfd/svm_fixture.h"
#include "tests/kfd/text_files.h"
#include "tests/support/child.h"

namespace kfdlab {
namespace {

constexpr uint64_t mask_of(unsigned event) { return 1ull << (event - 1); }
constexpr uint64_t kStart = mask_of(KFD_SMI_EVENT_MIGRATE_START);
constexpr uint64_t kEnd = mask_of(KFD_SMI_EVENT_MIGRATE_END);
constexpr uint64_t kAllProcesses = mask_of(KFD_SMI_EVENT_ALL_PROCESS);
constexpr uint64_t kEverything = ~0ull & ~kAllProcesses;

struct Migration {
  unsigned event = 0;
  long long ns = 0;
  int pid = 0;
  unsigned long start = 0, npages = 0;
  unsigned from = 0, to = 0, prefetch = 0, preferred = 0;
  int trigger = -1;
};

// False: not a line of a migration in exactly upstream's format.
bool parse(const std::string& line, Migration* out) {
  int used = 0;
  if (std::sscanf(line.c_str(), "5 %lld -%d @%lx(%lx) %x->%x %x:%x %d%n", &out->ns, &out->pid, &out->start,
                  &out->npages, &out->from, &out->to, &out->prefetch, &out->preferred, &out->trigger, &used) == 9) {
    out->event = KFD_SMI_EVENT_MIGRATE_START;
  } else if (std::sscanf(line.c_str(), "6 %lld -%d @%lx(%lx) %x->%x %d%n", &out->ns, &out->pid, &out->start,
                         &out->npages, &out->from, &out->to, &out->trigger, &used) == 7) {
    out->event = KFD_SMI_EVENT_MIGRATE_END;
  }
  return out->event != 0 && static_cast<std::size_t>(used) == line.size();
}

// 0 or errno.
int open_smi(const KfdClient& kfd, uint32_t gpu, Fd* fd) {
  kfd_ioctl_smi_events_args args{};
  args.gpuid = gpu;
  const int error = kfd.raw(AMDKFD_IOC_SMI_EVENTS, &args);
  if (error == 0) {
    *fd = Fd(static_cast<int>(args.anon_fd));
  }
  return error;
}

bool want(const Fd& fd, uint64_t mask) { return ::write(fd.get(), &mask, sizeof mask) == sizeof mask; }

// All that is there now.
std::string drain(const Fd& fd) {
  std::string text;
  char piece[512];
  ssize_t got = 0;
  while ((got = ::read(fd.get(), piece, sizeof piece)) > 0) {
    text.append(piece, static_cast<std::size_t>(got));
  }
  EXPECT_EQ(errno, EAGAIN);
  return text;
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> result;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    result.push_back(line);
  }
  return result;
}

std::vector<Migration> migrations(const Fd& fd) {
  std::vector<Migration> result;
  for (const std::string& line : lines(drain(fd))) {
    Migration migration;
    EXPECT_TRUE(parse(line, &migration)) << line;
    result.push_back(migration);
  }
  return result;
}

class KfdSmi : public SvmTest {
 protected:
  [[nodiscard]] Fd listen(uint64_t mask) const {
    Fd fd;
    EXPECT_EQ(open_smi(kfd(), gpu(), &fd), 0);
    EXPECT_TRUE(want(fd, mask));
    return fd;
  }
  void touch_and_prefetch(const Buffer& buffer) const {
    fill_pattern(buffer.bytes(), 3);
    ASSERT_TRUE(prefetch_to_vram(buffer));
  }
};

TEST_F(KfdSmi, NothingIsSaidBeforeAMaskIsWritten) {
  Fd fd;
  ASSERT_EQ(open_smi(kfd(), gpu(), &fd), 0);
  const Buffer buffer(8);
  touch_and_prefetch(buffer);
  EXPECT_EQ(drain(fd), "");
}

TEST_F(KfdSmi, UnknownGpuIsEinval) {
  Fd fd;
  EXPECT_EQ(open_smi(kfd(), gpu() + 0x1234, &fd), EINVAL);
  EXPECT_EQ(open_smi(kfd(), 0, &fd), EINVAL);
}

TEST_F(KfdSmi, PrefetchBothWaysIsAStartAndAnEndEach) {
  const Buffer buffer(8);
  fill_pattern(buffer.bytes(), 3);
  ASSERT_EQ(set(buffer.address(), 8, {{KFD_IOCTL_SVM_ATTR_PREFERRED_LOC, gpu()}}), 0);
  const Fd fd = listen(kStart | kEnd);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  const auto there = migrations(fd);
  ASSERT_EQ(there.size(), 2u);
  EXPECT_EQ(there[0].event, static_cast<unsigned>(KFD_SMI_EVENT_MIGRATE_START));
  EXPECT_EQ(there[1].event, static_cast<unsigned>(KFD_SMI_EVENT_MIGRATE_END));
  for (const Migration& m : there) {
    EXPECT_EQ(m.pid, ::getpid());
    EXPECT_EQ(m.start, buffer.address() / kPageSize);
    EXPECT_EQ(m.npages, 8u);
    EXPECT_EQ(m.from, 0u);
    EXPECT_EQ(m.to, gpu());
    EXPECT_EQ(m.trigger, KFD_MIGRATE_TRIGGER_PREFETCH);
  }
  EXPECT_EQ(there[0].prefetch, gpu());
  EXPECT_EQ(there[0].preferred, gpu());
  EXPECT_LE(there[0].ns, there[1].ns);

  ASSERT_TRUE(prefetch_to_ram(buffer));
  const auto back = migrations(fd);
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(back[0].from, gpu());
  EXPECT_EQ(back[0].to, 0u);
  EXPECT_EQ(back[0].prefetch, 0u);
  EXPECT_EQ(back[1].npages, 8u);
  EXPECT_LE(there[1].ns, back[0].ns);
}

TEST_F(KfdSmi, PrefetchThatMovesNothingSaysNothing) {
  const Buffer buffer(16);
  touch_and_prefetch(buffer);
  const Fd fd = listen(kEverything);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(drain(fd), "");
  ASSERT_TRUE(prefetch_to_ram(buffer));
  EXPECT_NE(drain(fd), "");
  ASSERT_TRUE(prefetch_to_ram(buffer));
  EXPECT_EQ(drain(fd), "");
}

TEST_F(KfdSmi, EvictionNamesTtmAndTheOwner) {
  const Buffer buffer(16);
  touch_and_prefetch(buffer);
  const Fd fd = listen(kStart | kEnd);
  const auto evicted = device().evict(gpu());
  ASSERT_TRUE(evicted.ok());
  ASSERT_EQ(evicted.value().moved, 16u);
  const auto said = migrations(fd);
  ASSERT_GE(said.size(), 2u);
  ASSERT_EQ(said.size() % 2, 0u);
  unsigned long npages = 0;
  for (std::size_t i = 0; i < said.size(); i += 2) {
    EXPECT_EQ(said[i].event, static_cast<unsigned>(KFD_SMI_EVENT_MIGRATE_START));
    EXPECT_EQ(said[i + 1].event, static_cast<unsigned>(KFD_SMI_EVENT_MIGRATE_END));
    EXPECT_EQ(said[i].pid, ::getpid());
    EXPECT_EQ(said[i].from, gpu());
    EXPECT_EQ(said[i].to, 0u);
    EXPECT_EQ(said[i].trigger, KFD_MIGRATE_TRIGGER_TTM_EVICTION);
    EXPECT_GE(said[i].start, buffer.address() / kPageSize);
    npages += said[i].npages;
  }
  EXPECT_EQ(npages, 16u);
  EXPECT_EQ(census(buffer), all_ram(16));
}

TEST_F(KfdSmi, TtmEvictionOfEverythingIsSaidToo) {
  const Buffer buffer(64);
  touch_and_prefetch(buffer);
  const Fd fd = listen(kStart);
  ASSERT_EQ(read_text(dri_debugfs("amdgpu_evict_vram")), "0\n");
  const auto said = migrations(fd);
  ASSERT_FALSE(said.empty());
  EXPECT_EQ(said[0].trigger, KFD_MIGRATE_TRIGGER_TTM_EVICTION);
  EXPECT_EQ(census(buffer), all_ram(64));
}

TEST_F(KfdSmi, NewMaskReplacesTheOld) {
  const Buffer buffer(4);
  fill_pattern(buffer.bytes(), 3);
  const Fd fd = listen(kStart | kEnd);
  ASSERT_TRUE(want(fd, kEnd));
  ASSERT_TRUE(prefetch_to_vram(buffer));
  const auto said = migrations(fd);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].event, static_cast<unsigned>(KFD_SMI_EVENT_MIGRATE_END));
  ASSERT_TRUE(want(fd, 0));
  ASSERT_TRUE(prefetch_to_ram(buffer));
  EXPECT_EQ(drain(fd), "");
}

// What the child does is prefetch one page and tell.
int prefetch_one_page(Peer& peer, uint32_t gpu) {
  const auto client = KfdClient::open();
  const Buffer page(1);
  page.data()[0] = std::byte{1};
  if (!client || client.value().svm_prefetch(page.address(), kPageSize, gpu) != 0) {
    return 1;
  }
  return peer.signal() && peer.await() ? 0 : 2;
}

TEST_F(KfdSmi, OtherProcessesAreSeenWithTheirBitOnly) {
  const Fd own = listen(kStart);
  const Fd all = listen(kStart | kAllProcesses);
  Child child([this](Peer& peer) { return prefetch_one_page(peer, gpu()); });
  ASSERT_TRUE(child.peer().await());
  EXPECT_EQ(drain(own), "");
  const auto said = migrations(all);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].pid, child.pid());
  ASSERT_TRUE(child.peer().signal());
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(KfdSmi, BitForAllProcessesIsWorthNothingWithoutTheCapability) {
  Child child([this](Peer& peer) {
    const auto client = KfdClient::open();
    Fd fd;
    if (!client || ::setresuid(65534, 65534, 65534) != 0 || open_smi(client.value(), gpu(), &fd) != 0 ||
        !want(fd, ~0ull) || !peer.signal() || !peer.await()) {
      return 1;
    }
    char byte = 0;
    if (::read(fd.get(), &byte, 1) != -1 || errno != EAGAIN) {
      return 2;  // it saw the parent
    }
    const Buffer page(1);
    page.data()[0] = std::byte{1};
    if (client.value().svm_prefetch(page.address(), kPageSize, gpu()) != 0) {
      return 3;
    }
    return ::read(fd.get(), &byte, 1) == 1 ? 0 : 4;
  });
  ASSERT_TRUE(child.peer().await());
  const Buffer buffer(4);
  touch_and_prefetch(buffer);
  ASSERT_TRUE(child.peer().signal());
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(KfdSmi, ReadIsAPieceOfAStreamAndNeverWaits) {
  const Fd fd = listen(kStart);
  char byte = 0;
  errno = 0;
  EXPECT_EQ(::read(fd.get(), &byte, 1), -1);
  EXPECT_EQ(errno, EAGAIN) << "although the file is not O_NONBLOCK";
  const Buffer buffer(4);
  touch_and_prefetch(buffer);
  EXPECT_EQ(::read(fd.get(), &byte, 0), -1);
  EXPECT_EQ(errno, EAGAIN);
  std::string text;
  char piece[7];
  ssize_t got = 0;
  while ((got = ::read(fd.get(), piece, sizeof piece)) > 0) {
    text.append(piece, static_cast<std::size_t>(got));
  }
  Migration migration;
  ASSERT_EQ(lines(text).size(), 1u);
  EXPECT_EQ(text.back(), '\n');
  EXPECT_TRUE(parse(lines(text)[0], &migration)) << text;
}

TEST_F(KfdSmi, PollWaitsForALine) {
  const Fd fd = listen(kStart);
  pollfd poll{.fd = fd.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&poll, 1, 0), 0);
  const Buffer buffer(4);
  std::thread mover([&] { touch_and_prefetch(buffer); });
  EXPECT_EQ(::poll(&poll, 1, 20'000), 1);
  EXPECT_EQ(poll.revents, POLLIN);
  mover.join();
  EXPECT_EQ(migrations(fd).size(), 1u);
  EXPECT_EQ(::poll(&poll, 1, 0), 0);
}

TEST_F(KfdSmi, FullBufferLosesWholeLinesAndCountsThem) {
  const Fd fd = listen(kStart | kEnd);
  const Buffer buffer(1);
  fill_pattern(buffer.bytes(), 3);
  constexpr int kRounds = 50;
  for (int i = 0; i < kRounds; ++i) {
    ASSERT_TRUE(prefetch_to_vram(buffer));
    ASSERT_TRUE(prefetch_to_ram(buffer));
  }
  const auto status = read_text(std::string(kDebugfs) + "/kfd/smi");
  ASSERT_TRUE(status);
  const auto dropped = number_after(*status, "dropped");
  ASSERT_TRUE(dropped) << *status;
  EXPECT_GT(*dropped, 0u);
  EXPECT_EQ(migrations(fd).size() + *dropped, 4u * kRounds);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(migrations(fd).size(), 2u) << "with room again";
}

TEST_F(KfdSmi, BadPointersAndShortMasksAreEfault) {
  const Fd fd = listen(kStart);
  uint64_t mask = 0;
  const Reservation inaccessible(kPageSize);
  auto* const nowhere = reinterpret_cast<void*>(inaccessible.address());
  EXPECT_EQ(::write(fd.get(), &mask, 7), -1);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_EQ(::write(fd.get(), nowhere, 8), -1);
  EXPECT_EQ(errno, EFAULT);
  const Buffer buffer(4);
  touch_and_prefetch(buffer);
  EXPECT_EQ(::read(fd.get(), nowhere, 8), -1);
  EXPECT_EQ(errno, EFAULT);
  const uint64_t words[2] = {kEnd, ~0ull};
  EXPECT_EQ(::write(fd.get(), words, sizeof words), 8) << "one mask is all it takes";
}

TEST_F(KfdSmi, FileOutlivesTheOneItCameFrom) {
  const Fd fd = listen(kStart);
  close_kfd();
  char byte = 0;
  EXPECT_EQ(::read(fd.get(), &byte, 1), -1);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_TRUE(want(fd, 0));
}

TEST_F(KfdSmi, ReaderKilledWithAFullBufferCostsNobodyAnything) {
  Child child([this](Peer& peer) {
    const auto client = KfdClient::open();
    std::vector<Fd> files(20);
    for (Fd& fd : files) {
      if (!client || open_smi(client.value(), gpu(), &fd) != 0 || !want(fd, ~0ull)) {
        return 1;
      }
    }
    return peer.signal() && peer.await() ? 0 : 2;
  });
  ASSERT_TRUE(child.peer().await());
  const Buffer buffer(1);
  fill_pattern(buffer.bytes(), 3);
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(prefetch_to_vram(buffer));
    ASSERT_TRUE(prefetch_to_ram(buffer));
  }
  child.kill();
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_EQ(read_text(std::string(kDebugfs) + "/kfd/smi"), "");
}

TEST_F(KfdSmi, FilesOfAProcessAreBoundedAndComeBackWithTheirLastDescriptor) {
  constexpr std::size_t kMost = 128;
  std::vector<Fd> files(kMost);
  for (Fd& fd : files) {
    ASSERT_EQ(open_smi(kfd(), gpu(), &fd), 0);
  }
  Fd fd;
  EXPECT_EQ(open_smi(kfd(), gpu(), &fd), EMFILE);
  const Fd copy(::fcntl(files[0].get(), F_DUPFD_CLOEXEC, 0));
  files[0].reset();
  EXPECT_EQ(open_smi(kfd(), gpu(), &fd), EMFILE) << "a copy of it is open still";
  EXPECT_EQ(in_child([&] {
              const auto client = KfdClient::open();
              Fd own;
              return client ? open_smi(client.value(), gpu(), &own) : 255;
            }),
            0)
      << "another process has its own bound, whatever it inherited";
  files[1].reset();
  EXPECT_EQ(open_smi(kfd(), gpu(), &fd), 0);
}

TEST_F(KfdSmi, MunmapForkAndCowUnderAListenerAreQuiet) {
  const Fd fd = listen(kEverything & ~(kStart | kEnd));
  Buffer buffer(32);
  touch_and_prefetch(buffer);
  EXPECT_EQ(in_child([&] {
              buffer.data()[0] = std::byte{9};
              return 0;
            }),
            0);
  buffer.data()[1] = std::byte{8};
  buffer.unmap(16, 8);
  // No GPU has SVM ranges in a page table yet, so none can leave one.
  EXPECT_EQ(drain(fd), "");
}

}  // namespace
}  // namespace kfdlab
