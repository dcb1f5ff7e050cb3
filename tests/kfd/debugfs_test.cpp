// SPDX-License-Identifier: MIT
// Knobs and sight: debugfs under amdgpu's names, the dump of ranges, and the trace event of pages that a pin took away.
#include <csignal>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <set>
#include <string>

#include "tests/kfd/svm_fixture.h"
#include "tests/kfd/text_files.h"
#include "tests/support/child.h"
#include "tests/support/gup_client.h"

namespace kfdlab {
namespace {

constexpr uint64_t kSeed = 17;
constexpr uint64_t kMiB = 1u << 20;

class KfdDebugfs : public SvmTest {
 protected:
  void SetUp() override {
    SvmTest::SetUp();
    if (!IsSkipped()) {
      KFDLAB_NEEDS_NODE(std::string(kDebugfs) + "/kfd");
    }
  }
  // The line of the range that starts at `address`, "" if there is none.
  [[nodiscard]] static std::string range_line(uint64_t address) {
    char start[32];
    std::snprintf(start, sizeof start, "  %" PRIx64 "-", address);
    std::istringstream text(read_text(std::string(kDebugfs) + "/kfd/svm_ranges").value_or(""));
    for (std::string line; std::getline(text, line);) {
      if (line.rfind(start, 0) == 0) {
        return line;
      }
    }
    return "";
  }
  static std::string where(std::size_t vram, std::size_t ram, std::size_t none) {
    return " vram=" + std::to_string(vram) + " ram=" + std::to_string(ram) + " none=" + std::to_string(none);
  }
};

#define EXPECT_RANGE(buffer, vram, ram, none)                                                     \
  EXPECT_NE(range_line((buffer).address()).find(where(vram, ram, none)), std::string::npos)      \
      << range_line((buffer).address())

TEST_F(KfdDebugfs, RangesShowWhereTheirPagesAreAndNotWhereTheyWereSent) {
  auto gup = GupClient::open();
  KFDLAB_NEEDS(gup.ok(), "the pin module is not loaded");
  const Buffer buffer(64);
  ASSERT_EQ(set_granularity(buffer.address(), 64, 9), 0);
  EXPECT_RANGE(buffer, 0, 0, 64);
  fill_pattern(buffer.pages(0, 48), kSeed);
  EXPECT_RANGE(buffer, 0, 48, 16);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  EXPECT_RANGE(buffer, 64, 0, 0);
  {
    GupHold hold;
    ASSERT_EQ(gup.value().hold({KFDLAB_GUP_FAST, KFDLAB_GUP_PIN | KFDLAB_GUP_LONGTERM}, buffer.page(3), 5, &hold), 0);
    EXPECT_RANGE(buffer, 59, 5, 0);
  }
  EXPECT_EQ(::madvise(buffer.page(20), 2 * kPageSize, MADV_DONTNEED), 0);
  EXPECT_RANGE(buffer, 57, 5, 2);
  ASSERT_TRUE(device().evict(gpu()).ok());
  EXPECT_RANGE(buffer, 0, 62, 2);
  EXPECT_NE(range_line(buffer.address()).find("prefetch=0x"), std::string::npos) << "the attribute is what was asked";
}

TEST_F(KfdDebugfs, RangesOfAnotherProcessAreLookedUpInItsPageTable) {
  Child child([&](Peer& peer) {
    const auto client = KfdClient::open();
    const Buffer buffer(32);
    fill_pattern(buffer.bytes(), kSeed);
    if (!client || client.value().svm_prefetch(buffer.address(), buffer.size() / 2, gpu()) != 0 ||
        client.value().svm_prefetch(buffer.page_address(16), buffer.size() / 2, 0) != 0) {
      return 1;
    }
    return peer.send(buffer.address()) && peer.await() ? 0 : 2;
  });
  uint64_t address = 0;
  ASSERT_TRUE(child.peer().receive(&address));
  EXPECT_NE(range_line(address).find(where(16, 0, 0)), std::string::npos) << range_line(address);
  EXPECT_NE(range_line(address + 16 * kPageSize).find(where(0, 16, 0)), std::string::npos);
  ASSERT_TRUE(child.peer().signal());
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(KfdDebugfs, EvictVramTakesSvmAndBuffersToRamAndLosesNothing) {
  const Fd render(::open(("/dev/dri/renderD" + std::to_string(node_properties(1)["drm_render_minor"])).c_str(), O_RDWR));
  ASSERT_EQ(kfd().acquire_vm(gpu(), render.get()), 0);
  const std::uint64_t page_tables = counters().vram_held;
  const Reservation space(64 * kMiB);
  KfdAlloc alloc;
  alloc.va = space.address();
  alloc.size = 32 * kMiB;
  alloc.gpu_id = gpu();
  alloc.flags = KFD_IOC_ALLOC_MEM_FLAGS_VRAM | KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC |
                static_cast<uint32_t>(KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE);
  ASSERT_EQ(kfd().alloc(&alloc), 0);
  void* at = ::mmap(nullptr, alloc.size, PROT_READ | PROT_WRITE, MAP_SHARED, render.get(),
                    static_cast<off_t>(alloc.mmap_offset));
  ASSERT_NE(at, MAP_FAILED);
  const std::span<std::byte> bytes(static_cast<std::byte*>(at), alloc.size);
  fill_pattern(bytes, kSeed + 1);
  const Buffer buffer(1024);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  ASSERT_EQ(process_vram(::getpid(), gpu()), alloc.size + buffer.size());
  const kfdlab_test_counters before = counters();

  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(read_text(dri_debugfs("amdgpu_evict_vram")), "0\n");
    EXPECT_EQ(process_vram(::getpid(), gpu()), 0u);
    EXPECT_EQ(counters().vram_held, page_tables);
    EXPECT_EQ(census(buffer), all_ram(1024));
    const auto info = read_text(dri_debugfs("amdgpu_vm_info"));
    ASSERT_TRUE(info);
    EXPECT_NE(info->find("pid:" + std::to_string(::getpid())), std::string::npos) << *info;
    EXPECT_NE(info->find("33554432 byte CPU EVICTED"), std::string::npos) << *info;
    EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
    EXPECT_EQ(pattern_error(bytes, kSeed + 1), "");
  }
  EXPECT_EQ(counters().pages_to_ram_evict - before.pages_to_ram_evict, 1024u);
  EXPECT_GE(counters().evictions - before.evictions, 3u) << "the buffer and two blocks of SVM";
  ::munmap(at, alloc.size);
  EXPECT_EQ(kfd().free(alloc.handle), 0);
}

TEST_F(KfdDebugfs, EvictVramOfAnEmptyGpuIsNoError) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(read_text(dri_debugfs("amdgpu_evict_vram")), "0\n");
    EXPECT_EQ(read_text(dri_debugfs("amdgpu_evict_gtt")), "0\n");
  }
}

TEST_F(KfdDebugfs, EvictGttKeepsContents) {
  const Fd render(::open(("/dev/dri/renderD" + std::to_string(node_properties(1)["drm_render_minor"])).c_str(), O_RDWR));
  ASSERT_EQ(kfd().acquire_vm(gpu(), render.get()), 0);
  const Reservation space(16 * kMiB);
  KfdAlloc alloc;
  alloc.va = space.address();
  alloc.size = 8 * kMiB;
  alloc.gpu_id = gpu();
  alloc.flags = KFD_IOC_ALLOC_MEM_FLAGS_GTT | static_cast<uint32_t>(KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE);
  ASSERT_EQ(kfd().alloc(&alloc), 0);
  void* at = ::mmap(nullptr, alloc.size, PROT_READ | PROT_WRITE, MAP_SHARED, render.get(),
                    static_cast<off_t>(alloc.mmap_offset));
  ASSERT_NE(at, MAP_FAILED);
  const std::span<std::byte> bytes(static_cast<std::byte*>(at), alloc.size);
  fill_pattern(bytes, kSeed);
  EXPECT_EQ(read_text(dri_debugfs("amdgpu_evict_gtt")), "0\n");
  const auto info = read_text(dri_debugfs("amdgpu_vm_info"));
  EXPECT_NE(info.value_or("").find("8388608 byte CPU"), std::string::npos) << info.value_or("");
  EXPECT_EQ(pattern_error(bytes, kSeed), "");
  ::munmap(at, alloc.size);
  EXPECT_EQ(kfd().free(alloc.handle), 0);
}

TEST_F(KfdDebugfs, EvictionOfEverythingEndsAtASignal) {
  const Buffer buffer(64 * 512);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  Child reader([&](Peer& peer) {
    const Fd file(::open(dri_debugfs("amdgpu_evict_vram").c_str(), O_RDONLY));
    char text[16];
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGUSR1, &action, nullptr);
    if (!peer.signal()) {
      return 1;
    }
    const ssize_t got = ::read(file.get(), text, sizeof text);
    // Either it was quicker than the signal, or the signal ended it.
    return got > 0 || errno == EINTR ? 0 : 2;
  });
  ASSERT_TRUE(reader.peer().await());
  EXPECT_TRUE(eventually([&] { return census(buffer).ram > 0; }));
  ::kill(reader.pid(), SIGUSR1);
  EXPECT_EQ(reader.wait(), 0);
  EXPECT_EQ(pattern_error(buffer.bytes(), kSeed), "");
  EXPECT_EQ(census(buffer).vram * kPageSize, process_vram(::getpid(), gpu()));
}

TEST_F(KfdDebugfs, MemLimitCountsGttBuffers) {
  const auto used = [] {
    unsigned long long mib = ~0ull, limit = 0;
    const auto text = read_text(std::string(kDebugfs) + "/kfd/mem_limit").value_or("");
    EXPECT_EQ(std::sscanf(text.c_str(), "System mem used %lluM out of %lluM", &mib, &limit), 2) << text;
    EXPECT_GT(limit, mib);
    return mib;
  };
  const Fd render(::open(("/dev/dri/renderD" + std::to_string(node_properties(1)["drm_render_minor"])).c_str(), O_RDWR));
  ASSERT_EQ(kfd().acquire_vm(gpu(), render.get()), 0);
  const unsigned long long before = used();
  const Reservation space(16 * kMiB);
  KfdAlloc alloc;
  alloc.va = space.address();
  alloc.size = 16 * kMiB;
  alloc.gpu_id = gpu();
  alloc.flags = KFD_IOC_ALLOC_MEM_FLAGS_GTT;
  ASSERT_EQ(kfd().alloc(&alloc), 0);
  EXPECT_EQ(used(), before + 16);
  EXPECT_EQ(kfd().free(alloc.handle), 0);
}

// ---- the trace event ----

// An instance of its own, so that nobody else's events are in it.
class TraceInstance {
 public:
  explicit TraceInstance(const std::string& event) {
    if (::mkdir(path_.c_str(), 0700) == 0) {
      std::ofstream(path_ + "/events/kfdlab/" + event + "/enable") << "1";
      ready_ = read_text(path_ + "/events/kfdlab/" + event + "/enable") == "1\n";
    }
  }
  TraceInstance(const TraceInstance&) = delete;
  TraceInstance& operator=(const TraceInstance&) = delete;
  ~TraceInstance() { ::rmdir(path_.c_str()); }
  [[nodiscard]] bool ready() const { return ready_; }
  // The frames in the events so far.
  [[nodiscard]] std::multiset<uint64_t> frames() const {
    std::multiset<uint64_t> result;
    std::istringstream text(read_text(path_ + "/trace").value_or(""));
    for (std::string line; std::getline(text, line);) {
      const auto at = line.find(" pfn=0x");
      if (line.find('#') != 0 && at != std::string::npos) {
        result.insert(std::stoull(line.substr(at + 7), nullptr, 16));
      }
    }
    return result;
  }

 private:
  std::string path_ = "/sys/kernel/tracing/instances/kfdlab_debugfs_test";
  bool ready_ = false;
};

TEST_F(KfdDebugfs, PinDepartureIsTracedWithItsPagesAndNothingElseIs) {
  auto gup = GupClient::open();
  KFDLAB_NEEDS(gup.ok(), "the pin module is not loaded");
  const TraceInstance trace("kfdlab_pin_departure");
  KFDLAB_NEEDS(trace.ready(), "tracefs has no events of the driver");
  Buffer buffer(64);
  fill_pattern(buffer.bytes(), kSeed);
  ASSERT_TRUE(prefetch_to_vram(buffer));
  std::multiset<uint64_t> expected;
  for (std::size_t i = 10; i < 20; ++i) {
    expected.insert(oracle().frame(buffer.page(i)));
  }
  const kfdlab_test_counters before = counters();

  buffer.unmap(0, 5);
  EXPECT_EQ(::madvise(buffer.page(30), kPageSize, MADV_DONTNEED), 0);
  {
    GupHold ordinary;
    ASSERT_EQ(gup.value().hold({KFDLAB_GUP_FAST, KFDLAB_GUP_PIN}, buffer.page(40), 4, &ordinary), 0);
  }
  EXPECT_EQ(trace.frames(), std::multiset<uint64_t>{});
  {
    GupHold longterm;
    ASSERT_EQ(gup.value().hold({KFDLAB_GUP_FAST, KFDLAB_GUP_PIN | KFDLAB_GUP_LONGTERM}, buffer.page(10), 10,
                               &longterm),
              0);
    EXPECT_EQ(trace.frames(), expected);
    EXPECT_EQ(counters().pages_left_by_pin - before.pages_left_by_pin, 10u);
  }
  ASSERT_TRUE(device().evict(gpu()).ok());
  EXPECT_EQ(read_text(dri_debugfs("amdgpu_evict_vram")), "0\n");
  ASSERT_EQ(kfd().svm_prefetch(buffer.page_address(5), 59 * kPageSize, gpu()), 0);
  ASSERT_EQ(kfd().svm_prefetch(buffer.page_address(5), 59 * kPageSize, kSvmSystem), 0);
  EXPECT_EQ(trace.frames(), expected) << "neither eviction nor prefetch is one";
  EXPECT_EQ(counters().pages_left_by_pin - before.pages_left_by_pin, 10u);
}

}  // namespace
}  // namespace kfdlab
