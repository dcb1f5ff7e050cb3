// SPDX-License-Identifier: MIT
// Memory through the thunk: what may be registered, debuggers, and the events of queues that wait for their memory.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

#include "common/fd.h"
#include "tests/support/buffer.h"
#include "tests/support/child.h"
#include "tests/support/kfd_client.h"
#include "tests/support/needs.h"
#include "tests/thunk/thunk_fixture.h"

namespace kfdlab::thunk {
namespace {

using ThunkMemory = ThunkTest;

TEST_F(ThunkMemory, RegisteringTheSameMemoryAgainAndAgainEndsBelowAllOfRam) {
  constexpr std::size_t kSize = 64u << 20;
  void* memory = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  struct sysinfo info {};
  ASSERT_EQ(::sysinfo(&info), 0);
  const std::uint64_t ram = std::uint64_t{info.totalram} * info.mem_unit;
  for (int round = 0; round < 2; ++round) {
    std::vector<char*> registered;
    // Another start each time, or the thunk would count references instead.
    for (std::size_t i = 0; i < ram / kSize + 2; ++i) {
      char* at = static_cast<char*>(memory) + i;
      if (hsaKmtRegisterMemory(at, kSize - i) != HSAKMT_STATUS_SUCCESS) {
        break;
      }
      registered.push_back(at);
    }
    EXPECT_GT(registered.size() * kSize, ram / 2);
    EXPECT_LT(registered.size() * kSize, ram);
    for (char* at : registered) {
      EXPECT_EQ(hsaKmtDeregisterMemory(at), HSAKMT_STATUS_SUCCESS);
    }
  }
  ::munmap(memory, kSize);
}

// A debugger in a child process: swaps the two words, which lie at odd addresses across the end of a page.
int swap_words(pid_t pid, char* first, char* second) {
  if (::ptrace(PTRACE_ATTACH, pid, nullptr, nullptr) != 0) {
    return 1;
  }
  int status = 0;
  do {
    if (::waitpid(pid, &status, 0) != pid) {
      return 2;
    }
  } while (!WIFSTOPPED(status));
  errno = 0;
  const long one = ::ptrace(PTRACE_PEEKDATA, pid, first, nullptr);
  const long two = ::ptrace(PTRACE_PEEKDATA, pid, second, nullptr);
  int result = errno == 0 ? 0 : 3;
  if (result == 0 && (::ptrace(PTRACE_POKEDATA, pid, first, reinterpret_cast<void*>(two)) != 0 ||
                      ::ptrace(PTRACE_POKEDATA, pid, second, reinterpret_cast<void*>(one)) != 0)) {
    result = 4;
  }
  ::ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
  return result;
}

TEST_F(ThunkMemory, DebuggerReadsAndWritesIt) {
  ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
  for (const Memory::Kind kind : {Memory::Kind::Ram, Memory::Kind::Vram}) {
    const Memory memory(4 * kPage, kind);
    ASSERT_TRUE(memory.ok());
    char* first = static_cast<char*>(memory.data()) + kPage - 3;
    char* second = first + 2 * kPage;
    std::memcpy(first, "firstone", 8);
    std::memcpy(second, "othertwo", 8);
    Child child([pid = ::getpid(), first, second](Peer&) { return swap_words(pid, first, second); });
    EXPECT_EQ(child.wait(), 0);
    EXPECT_EQ(std::string(first, 8), "othertwo");
    EXPECT_EQ(std::string(second, 8), "firstone");
  }
}

// ---- SMI events ----

class SmiLines {
 public:
  // By ioctl: libhsakmt 5.2.3 has no call for it.
  explicit SmiLines(std::uint64_t mask) {
    const Result<KfdClient> kfd = KfdClient::open();
    kfd_ioctl_smi_events_args args{};
    args.gpuid = kfd_gpu_ids().front();
    if (kfd.ok() && kfd.value().raw(AMDKFD_IOC_SMI_EVENTS, &args) == 0) {
      fd_ = Fd(static_cast<int>(args.anon_fd));
      armed_ = ::write(fd_.get(), &mask, sizeof mask) == sizeof mask;
    }
  }
  [[nodiscard]] bool ok() const { return armed_; }
  // Whether a line of this event came, with what stands behind the time.
  [[nodiscard]] bool got(unsigned event, const std::string& rest) {
    char piece[1024];
    for (ssize_t n = 0; (n = ::read(fd_.get(), piece, sizeof piece)) > 0;) {
      text_.append(piece, static_cast<std::size_t>(n));
    }
    for (std::size_t at = 0, end = 0; (end = text_.find('\n', at)) != std::string::npos; at = end + 1) {
      unsigned number = 0;
      long long time = 0;
      int length = 0;
      const std::string line = text_.substr(at, end - at);
      if (std::sscanf(line.c_str(), "%x %lld %n", &number, &time, &length) == 2 && number == event && time > 0 &&
          line.substr(static_cast<std::size_t>(length)) == rest) {
        return true;
      }
    }
    return false;
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  Fd fd_;
  bool armed_ = false;
  std::string text_;
};

using ThunkSmi = ThunkTest;

TEST_F(ThunkSmi, QueuesThatWaitForUserMemoryAreTold) {
  constexpr unsigned kEviction = 9;  // KFD_SMI_EVENT_QUEUE_EVICTION, _RESTORE
  constexpr unsigned kRestore = 10;
  ASSERT_EQ(hsaKmtSetXNACKMode(0), HSAKMT_STATUS_SUCCESS);
  const Buffer buffer(16);
  HSAuint64 alternate = 0;
  ASSERT_EQ(hsaKmtRegisterMemory(buffer.data(), buffer.size()), HSAKMT_STATUS_SUCCESS);
  ASSERT_EQ(hsaKmtMapMemoryToGPU(buffer.data(), buffer.size(), &alternate), HSAKMT_STATUS_SUCCESS);
  Queue queue(HSA_QUEUE_COMPUTE);
  ASSERT_TRUE(queue.ok());
  SmiLines smi(1ull << (kEviction - 1) | 1ull << (kRestore - 1));
  ASSERT_TRUE(smi.ok());

  ASSERT_EQ(::madvise(buffer.data(), buffer.size(), MADV_DONTNEED), 0);
  char owner[32];
  std::snprintf(owner, sizeof owner, "-%d %x", ::getpid(), kfd_gpu_ids().front());
  const std::string name = owner;
  EXPECT_TRUE(eventually([&] { return smi.got(kEviction, name + " 1"); })) << "trigger: user memory\n" << smi.text();
  EXPECT_TRUE(eventually([&] { return smi.got(kRestore, name); })) << smi.text();
  // And the queue works on the new pages.
  queue.write_data(alternate, 77);
  queue.submit();
  EXPECT_TRUE(queue.drain());
  EXPECT_EQ(*reinterpret_cast<volatile std::uint32_t*>(buffer.data()), 77u);
  EXPECT_EQ(hsaKmtUnmapMemoryToGPU(buffer.data()), HSAKMT_STATUS_SUCCESS);
  EXPECT_EQ(hsaKmtDeregisterMemory(buffer.data()), HSAKMT_STATUS_SUCCESS);
}

}  // namespace
}  // namespace kfdlab::thunk
