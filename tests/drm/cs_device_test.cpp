// SPDX-License-Identifier: MIT
// Submissions while the device process is stopped, dead or replaced: what is in flight, what becomes of it, and what
// its buffers do when VRAM is wanted by others meanwhile.
#include <sys/mman.h>
#include <xf86drm.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <future>
#include <optional>

#include "tests/drm/cs_fixture.h"
#include "tests/support/child.h"
#include "tests/support/counters.h"
#include "tests/support/device_port.h"
#include "tests/support/kfd_client.h"
#include "tests/support/needs.h"
#include "tests/support/pages.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kSeed = 0xc5;
// Longer than any step of a test takes, so that the driver does not end a stop on its own.
constexpr milliseconds kPatientReset = seconds(50);
constexpr milliseconds kQuickReset = seconds(1);
constexpr milliseconds kReapTime = seconds(5);

class CsDevice : public CsTest {
 protected:
  void SetUp() override {
    KFDLAB_NEEDS_NODE(kDevicePort);
    CsTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    auto device = TestDevice::open();
    ASSERT_TRUE(device.ok()) << device.error().message;
    device_.emplace(device.take());
    default_timeout_ = reset_timeout();
    ASSERT_TRUE(set_reset_timeout(kPatientReset));
    ASSERT_TRUE(port_.open()) << kDevicePort << ": " << std::strerror(errno);
    ASSERT_TRUE(serving()) << port_.ask("status");
  }
  void TearDown() override {
    if (default_timeout_.count() != 0) {
      set_copies_by_cpu(false);
      EXPECT_TRUE(set_reset_timeout(default_timeout_));
      go_on();
      ask("resume");
      EXPECT_TRUE(eventually([&] { return serving(); }, kReapTime)) << port_.ask("status");
    }
    CsTest::TearDown();
  }

  void ask(const std::string& request) const {
    const std::string answer = port_.ask(request);
    ASSERT_TRUE(answer.starts_with("generation=")) << request << ": " << answer;
  }
  // The device looks at no ring from here on.
  void stop() const { ask("stop"); }
  void go_on() const {
    const std::string answer = port_.ask("cont");
    ASSERT_TRUE(answer.starts_with("generation=") || answer == "error no device process is running") << answer;
  }
  // No device, and none comes before TearDown().
  void take_away() const {
    ask("hold");
    ask("kill");
    ASSERT_TRUE(eventually([&] { return !serving(); }));
  }
  [[nodiscard]] bool serving() const {
    kfdlab_test_ping ping{};
    ping.gpu_id = gpu().gpu_id;
    return device_->raw(KFDLAB_TEST_PING, &ping) == 0;
  }
  void set_copies_by_cpu(bool cpu) const {
    kfdlab_test_copy_mode mode = {.gpu_id = gpu().gpu_id, .cpu = cpu ? 1u : 0u};
    EXPECT_EQ(device_->raw(KFDLAB_TEST_COPY_MODE, &mode), 0);
  }
  [[nodiscard]] kfdlab_test_counters counters() const { return device_->counters(gpu().gpu_id).value(); }
  [[nodiscard]] const TestDevice& device() const { return *device_; }

  // What the end of cancelled work looks like.
  void expect_cancelled(std::uint32_t context, std::uint64_t number) const {
    bool busy = true;
    EXPECT_EQ(wait(context, number, deadline_in(seconds(30) * patience()), &busy), ECANCELED);
    EXPECT_FALSE(busy);
  }
  void expect_reset_seen(std::uint32_t context) const {
    drm_amdgpu_ctx state;
    ASSERT_EQ(query_state(AMDGPU_CTX_OP_QUERY_STATE2, context, &state), 0);
    EXPECT_EQ(state.out.state.flags, static_cast<std::uint64_t>(AMDGPU_CTX_QUERY2_FLAGS_RESET));
    ASSERT_EQ(query_state(AMDGPU_CTX_OP_QUERY_STATE, context, &state), 0);
    EXPECT_EQ(state.out.state.reset_status, static_cast<std::uint32_t>(AMDGPU_CTX_UNKNOWN_RESET));
    ASSERT_EQ(query_state(AMDGPU_CTX_OP_QUERY_STATE, context, &state), 0);
    EXPECT_EQ(state.out.state.reset_status, static_cast<std::uint32_t>(AMDGPU_CTX_NO_RESET)) << "once told";
  }
  // Where the object is, by what the file's fdinfo counts.
  [[nodiscard]] std::uint64_t vram_of_file() const {
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(fd()));
    unsigned long long kib = 0;
    for (std::string line; std::getline(info, line);) {
      if (std::sscanf(line.c_str(), "drm-memory-vram: %llu KiB", &kib) == 1) {
        return kib << 10;
      }
    }
    ADD_FAILURE() << "fdinfo names no VRAM";
    return 0;
  }

 private:
  std::optional<TestDevice> device_;
  DevicePort port_;
  milliseconds default_timeout_{};
};

TEST_F(CsDevice, WorkIsInFlightUntilTheDeviceGoesOn) {
  stop();
  std::uint64_t number = 0;
  ASSERT_EQ(nop_submission().submit(fd(), &number), 0);
  bool busy = false;
  EXPECT_EQ(wait(context(), number, deadline_in(milliseconds(300)), &busy), 0);
  EXPECT_TRUE(busy);
  go_on();
  EXPECT_TRUE(completes(context(), number));
  drm_amdgpu_ctx state;
  ASSERT_EQ(query_state(AMDGPU_CTX_OP_QUERY_STATE2, context(), &state), 0);
  EXPECT_EQ(state.out.state.flags, 0u);
}

TEST_F(CsDevice, DeviceThatNeverGoesOnIsResetAndItsWorkCancelled) {
  const auto before = counters();
  ASSERT_TRUE(set_reset_timeout(kQuickReset));
  const GpuBuffer fence = create(AMDGPU_GEM_DOMAIN_GTT, kPageSize);
  const std::span<std::byte> stored = bytes(fence);
  stop();
  std::uint64_t number = 0;
  Submission submission = nop_submission();
  const auto begin = Clock::now();
  ASSERT_EQ(submission.user_fence(fence.handle, 0).submit(fd(), &number), 0);
  expect_cancelled(context(), number);
  EXPECT_LT(Clock::now() - begin, kQuickReset + kReapTime * patience());
  EXPECT_EQ(counters().device_resets, before.device_resets + 1);
  expect_reset_seen(context());
  ASSERT_TRUE(eventually([&] { return serving(); }, kReapTime));
  EXPECT_EQ(stored[0], std::byte{0}) << "nothing was passed";
  ASSERT_EQ(nop_submission().submit(fd(), &number), 0);
  EXPECT_TRUE(completes(context(), number));
}

TEST_F(CsDevice, DeathCancelsAllThatIsInFlightInOrder) {
  stop();
  const std::uint32_t other = new_context();
  std::uint64_t last = 0;
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(nop_submission().submit(fd(), &last), 0);
    ASSERT_EQ(nop_submission(other).submit(fd()), 0);
  }
  ask("kill");
  for (std::uint64_t number = 1; number <= last; ++number) {
    // What waited for the other context's work, for the buffer's sake, may have been given to the successor.
    bool busy = true;
    const int error = wait(context(), number, deadline_in(seconds(30) * patience()), &busy);
    EXPECT_TRUE(error == 0 || error == ECANCELED) << error;
    EXPECT_FALSE(busy);
  }
  expect_cancelled(context(), 1);
  expect_reset_seen(other);
  EXPECT_EQ(free_context(fd(), other), 0);
}

TEST_F(CsDevice, WithoutADeviceWorkIsCancelledAtOnce) {
  take_away();
  std::uint64_t number = 0;
  ASSERT_EQ(nop_submission().submit(fd(), &number), 0);
  expect_cancelled(context(), number);
  expect_reset_seen(context());
  ask("resume");
  ASSERT_TRUE(eventually([&] { return serving(); }, kReapTime));
  ASSERT_EQ(nop_submission().submit(fd(), &number), 0);
  EXPECT_TRUE(completes(context(), number));
}

TEST_F(CsDevice, CancelledFencesTellSyncobjsAndWaitersForAny) {
  stop();
  std::uint32_t done = 0;
  ASSERT_EQ(drmSyncobjCreate(fd(), 0, &done), 0);
  std::uint64_t number = 0;
  ASSERT_EQ(nop_submission().signal_syncobj(done).submit(fd(), &number), 0);
  ask("kill");
  EXPECT_EQ(drmSyncobjWait(fd(), &done, 1, INT64_MAX, 0, nullptr), 0) << "signalled, whatever became of it";
  drm_amdgpu_fence name = {};
  name.ctx_id = context();
  name.ip_type = AMDGPU_HW_IP_DMA;
  name.seq_no = number;
  for (const std::uint32_t all : {0u, 1u}) {
    drm_amdgpu_wait_fences args = {};
    args.in.fences = reinterpret_cast<std::uintptr_t>(&name);
    args.in.fence_count = 1;
    args.in.wait_all = all;
    args.in.timeout_ns = kForever;
    EXPECT_EQ(raw(fd(), DRM_IOCTL_AMDGPU_WAIT_FENCES, &args), ECANCELED) << all;
  }
  drmSyncobjDestroy(fd(), done);
}

TEST_F(CsDevice, ProcessKilledInAWaitLeavesNothing) {
  const auto before = counters();
  stop();
  Child child([this](Peer& parent) {
    const Fd mine = open_node();
    drm_amdgpu_gem_create create = {};
    create.in.bo_size = 4 << 20;
    create.in.domains = AMDGPU_GEM_DOMAIN_GTT;
    drm_amdgpu_gem_va map = {};
    map.operation = AMDGPU_VA_OP_MAP;
    map.flags = AMDGPU_VM_PAGE_READABLE;
    map.va_address = 1 << 30;
    map.map_size = 4 << 20;
    drm_amdgpu_ctx ctx = {};
    ctx.in.op = AMDGPU_CTX_OP_ALLOC_CTX;
    std::uint64_t number = 0;
    bool busy = false;
    if (raw(mine.get(), DRM_IOCTL_AMDGPU_GEM_CREATE, &create) != 0) {
      return 1;
    }
    map.handle = create.out.handle;
    if (raw(mine.get(), DRM_IOCTL_AMDGPU_GEM_VA, &map) != 0 || raw(mine.get(), DRM_IOCTL_AMDGPU_CTX, &ctx) != 0) {
      return 2;
    }
    // More than the ring has room for.
    for (int i = 0; i < 4; ++i) {
      if (Submission(ctx.out.alloc.ctx_id).ib(1 << 30, 1 << 20).submit(mine.get(), &number) != 0) {
        return 3;
      }
    }
    return parent.signal() ? wait(mine.get(), ctx.out.alloc.ctx_id, number, kForever, &busy) : 4;
  });
  ASSERT_TRUE(child.peer().await());
  EXPECT_EQ(child.kill(), 128 + SIGKILL);
  go_on();
  EXPECT_TRUE(eventually([&] { return counters().buffer_objects == before.buffer_objects; }));
}

TEST_F(CsDevice, OtherCopiesWaitBehindTheWorkAndArriveWhole) {
  const GpuBuffer vram = create(AMDGPU_GEM_DOMAIN_VRAM, 4 << 20);
  stop();
  std::uint64_t number = 0;
  ASSERT_EQ(nop_submission().buffers({vram.handle}).submit(fd(), &number), 0);
  auto mover = std::async(std::launch::async, [&] {
    auto kfd = KfdClient::open();
    Buffer pages(1024);
    fill_pattern(pages.bytes(), kSeed);
    const bool moved = kfd.ok() && kfd.value().svm_prefetch(pages.address(), pages.size(), gpu().gpu_id) == 0;
    return moved ? pattern_error(pages.bytes(), kSeed) : "prefetch failed";
  });
  EXPECT_EQ(mover.wait_for(milliseconds(300)), std::future_status::timeout);
  EXPECT_TRUE(is_busy(context(), number));
  go_on();
  EXPECT_EQ(mover.get(), "");
  EXPECT_TRUE(completes(context(), number));
}

// VRAM is full of SVM pages when a buffer comes into use, and others want room. What was used before it leaves; the
// buffer stays without anybody waiting for it, and leaves when it is idle.
TEST_F(CsDevice, BusyBufferStaysInVramWhileOthersFillIt) {
  constexpr std::uint64_t kBusy = 4 << 20;
  constexpr std::uint64_t kLeft = 32 << 20;  // little VRAM, so that filling it takes no time
  const GpuBuffer busy_one = create(AMDGPU_GEM_DOMAIN_VRAM, kBusy);
  const std::span<std::byte> contents = bytes(busy_one);
  fill_pattern(contents, kSeed);
  ASSERT_EQ(vram_of_file(), kBusy);
  const auto before = counters();
  ASSERT_EQ(device().reserve(gpu().gpu_id, before.vram_size - before.vram_held - kLeft), 0);
  auto kfd = KfdClient::open();
  ASSERT_TRUE(kfd.ok());
  const auto prefetch = [&](const Buffer& pages) {
    return kfd.value().svm_prefetch(pages.address(), pages.size(), gpu().gpu_id);
  };
  const Buffer old_pages(kLeft / kPageSize);
  fill_pattern(old_pages.bytes(), kSeed + 1);
  ASSERT_EQ(prefetch(old_pages), 0);

  set_copies_by_cpu(true);
  stop();
  std::uint64_t number = 0;
  ASSERT_EQ(nop_submission().buffers({busy_one.handle}).submit(fd(), &number), 0);
  const Buffer pages(kLeft / 2 / kPageSize);
  fill_pattern(pages.bytes(), kSeed + 2);
  const auto filled = counters();
  ASSERT_EQ(prefetch(pages), 0);
  EXPECT_GT(counters().evictions, filled.evictions);
  EXPECT_EQ(vram_of_file(), kBusy);
  EXPECT_TRUE(is_busy(context(), number));
  EXPECT_EQ(pattern_error(contents, kSeed), "");
  EXPECT_EQ(pattern_error(old_pages.bytes(), kSeed + 1), "");
  EXPECT_EQ(pattern_error(pages.bytes(), kSeed + 2), "");
  go_on();
  EXPECT_TRUE(completes(context(), number));

  const Buffer all_of_it((kLeft + kBusy) / kPageSize);
  fill_pattern(all_of_it.bytes(), kSeed + 3);
  ASSERT_EQ(prefetch(all_of_it), 0);
  EXPECT_EQ(vram_of_file(), 0u);
  EXPECT_EQ(pattern_error(contents, kSeed), "");
  EXPECT_EQ(pattern_error(all_of_it.bytes(), kSeed + 3), "");
}

class CsEvict : public CsDevice {
 protected:
  // Has TTM empty VRAM, as amdgpu's file of that name does.
  [[nodiscard]] bool evict_all() const {
    std::ifstream file("/sys/kernel/debug/dri/" + std::to_string(gpu().render_minor) + "/amdgpu_evict_vram");
    std::int64_t result = -1;
    file >> result;
    return result == 0;
  }
};

TEST_F(CsEvict, EvictionWaitsForTheWorkAndKeepsTheContents) {
  const GpuBuffer buffer = create(AMDGPU_GEM_DOMAIN_VRAM, 4 << 20);
  const std::span<std::byte> contents = bytes(buffer);
  fill_pattern(contents, kSeed);
  stop();
  std::uint64_t number = 0;
  ASSERT_EQ(nop_submission().buffers({buffer.handle}).submit(fd(), &number), 0);
  auto evictor = std::async(std::launch::async, [this] { return evict_all(); });
  EXPECT_EQ(evictor.wait_for(milliseconds(300)), std::future_status::timeout);
  EXPECT_TRUE(is_busy(context(), number));
  go_on();
  EXPECT_TRUE(evictor.get());
  EXPECT_EQ(vram_of_file(), 0u);
  EXPECT_EQ(pattern_error(contents, kSeed), "");
  // Use brings it back.
  ASSERT_EQ(nop_submission().buffers({buffer.handle}).submit(fd(), &number), 0);
  EXPECT_EQ(vram_of_file(), buffer.size);
  EXPECT_EQ(pattern_error(contents, kSeed), "");
  EXPECT_TRUE(completes(context(), number));
}

TEST_F(CsEvict, EvictionOfWhatADeadDeviceHadIsBoundedByTheReset) {
  const GpuBuffer buffer = create(AMDGPU_GEM_DOMAIN_VRAM, 4 << 20);
  const std::span<std::byte> contents = bytes(buffer);
  fill_pattern(contents, kSeed);
  ASSERT_TRUE(set_reset_timeout(kQuickReset));
  stop();
  std::uint64_t number = 0;
  ASSERT_EQ(nop_submission().buffers({buffer.handle}).submit(fd(), &number), 0);
  const auto begin = Clock::now();
  EXPECT_TRUE(evict_all());
  EXPECT_LT(Clock::now() - begin, 2 * kQuickReset + kReapTime * patience());
  expect_cancelled(context(), number);
  EXPECT_EQ(vram_of_file(), 0u);
  EXPECT_EQ(pattern_error(contents, kSeed), "");
}

}  // namespace
}  // namespace kfdlab
