// SPDX-License-Identifier: MIT
// Waiting and depending: WAIT_CS, WAIT_FENCES, fences given away and taken in, buffers that order their users. Work is
// kept under way by a fence of vgem's, which ends when the test says so; the device serves its rings all the while.
#include <poll.h>
#include <unistd.h>
#include <xf86drm.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <future>
#include <optional>
#include <vector>

#include "tests/drm/cs_fixture.h"
#include "tests/drm/pending_fence.h"
#include "tests/support/child.h"
#include "tests/support/needs.h"

namespace kfdlab {
namespace {

using std::chrono::milliseconds;

drm_amdgpu_fence name(std::uint32_t context, std::uint64_t number) {
  drm_amdgpu_fence fence = {};
  fence.ctx_id = context;
  fence.ip_type = AMDGPU_HW_IP_DMA;
  fence.seq_no = number;
  return fence;
}

class CsSync : public CsTest {
 protected:
  struct Answer {
    int error = 0;
    std::uint32_t status = 0;
    std::uint32_t first = 0;
  };
  [[nodiscard]] Answer wait_fences(const std::vector<drm_amdgpu_fence>& fences, bool all, std::uint64_t until) const {
    drm_amdgpu_wait_fences args = {};
    args.in.fences = reinterpret_cast<std::uintptr_t>(fences.data());
    args.in.fence_count = static_cast<std::uint32_t>(fences.size());
    args.in.wait_all = all ? 1 : 0;
    args.in.timeout_ns = until;
    Answer answer;
    answer.error = raw(fd(), DRM_IOCTL_AMDGPU_WAIT_FENCES, &args);
    answer.status = args.out.status;
    answer.first = args.out.first_signaled;
    return answer;
  }
  [[nodiscard]] int to_handle(const drm_amdgpu_fence& fence, std::uint32_t what, std::uint32_t* handle) const {
    drm_amdgpu_fence_to_handle args = {};
    args.in.fence = fence;
    args.in.what = what;
    const int error = raw(fd(), DRM_IOCTL_AMDGPU_FENCE_TO_HANDLE, &args);
    *handle = args.out.handle;
    return error;
  }
  [[nodiscard]] std::uint32_t syncobj(std::uint32_t flags = 0) const {
    std::uint32_t handle = 0;
    EXPECT_EQ(drmSyncobjCreate(fd(), flags, &handle), 0);
    return handle;
  }
  [[nodiscard]] bool signalled(std::uint32_t syncobj) const {
    return drmSyncobjWait(fd(), &syncobj, 1, 0, 0, nullptr) == 0;
  }
  [[nodiscard]] static bool readable(int fd, int timeout_ms) {
    pollfd file = {.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&file, 1, timeout_ms) == 1;
  }
  [[nodiscard]] static int long_ms() { return static_cast<int>(20000 * patience()); }
};

// With work that waits for `gate`.
class CsPending : public CsSync {
 protected:
  void SetUp() override {
    CsSync::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    gate_ = PendingFence::create();
    KFDLAB_NEEDS(gate_.has_value(), "this kernel has no vgem");
    gate_handle_ = gate_->syncobj(fd());
    ASSERT_NE(gate_handle_, 0u);
  }
  // A submission that does not begin before the gate opens.
  [[nodiscard]] Submission gated(std::uint32_t context) const {
    Submission submission = nop_submission(context);
    submission.wait_syncobj(gate_handle_);
    return submission;
  }
  [[nodiscard]] std::uint64_t submit_gated(std::uint32_t context) const {
    std::uint64_t number = 0;
    EXPECT_EQ(gated(context).submit(fd(), &number), 0);
    return number;
  }
  void open_gate() { EXPECT_TRUE(gate_->signal()) << "the test took longer than vgem's patience"; }
  [[nodiscard]] PendingFence& gate() { return *gate_; }
  [[nodiscard]] std::uint32_t gate_handle() const { return gate_handle_; }

 private:
  std::optional<PendingFence> gate_;
  std::uint32_t gate_handle_ = 0;
};

TEST_F(CsPending, WaitEndsAtItsTimeAndNotBefore) {
  const std::uint64_t number = submit_gated(context());
  bool busy = false;
  const std::uint64_t until = deadline_in(milliseconds(100));
  EXPECT_EQ(wait(context(), number, until, &busy), 0);
  EXPECT_TRUE(busy);
  EXPECT_GE(deadline_in(milliseconds(20)), until);
  EXPECT_TRUE(is_busy(context(), ~0ull));
  EXPECT_EQ(wait(context(), number, 1, &busy), 0) << "a time long past";
  EXPECT_TRUE(busy);
  open_gate();
  EXPECT_TRUE(completes(context(), number));
}

TEST_F(CsPending, ContextKeepsItsOrderAndHoldsUpNoOther) {
  const std::uint32_t other = new_context();
  const std::uint64_t first = submit_gated(context());
  std::uint64_t second = 0;
  std::uint64_t free = 0;
  ASSERT_EQ(nop_submission().submit(fd(), &second), 0);
  // Not on nops(): a buffer orders its users.
  const GpuBuffer apart = create(AMDGPU_GEM_DOMAIN_GTT, kPageSize);
  ASSERT_EQ(Submission(other).ib(apart.va, 64).submit(fd(), &free), 0);
  EXPECT_TRUE(completes(other, free));
  EXPECT_TRUE(is_busy(context(), first));
  EXPECT_TRUE(is_busy(context(), second));
  open_gate();
  EXPECT_TRUE(completes(context(), second));
  bool busy = true;
  EXPECT_EQ(wait(context(), first, 0, &busy), 0);
  EXPECT_FALSE(busy);
  EXPECT_EQ(free_context(fd(), other), 0);
}

TEST_F(CsPending, DependencyIsAwaited) {
  const std::uint32_t other = new_context();
  const GpuBuffer apart = create(AMDGPU_GEM_DOMAIN_GTT, kPageSize);
  const std::uint64_t first = submit_gated(context());
  std::uint64_t second = 0;
  ASSERT_EQ(Submission(other).ib(apart.va, 64).after(context(), first).submit(fd(), &second), 0);
  EXPECT_TRUE(is_busy(other, second));
  open_gate();
  EXPECT_TRUE(completes(other, second));
  EXPECT_EQ(Submission(other).ib(apart.va, 64).after(context(), first + 1).submit(fd()), EINVAL);
  EXPECT_EQ(Submission(other).ib(apart.va, 64).after(0x7fff, first).submit(fd()), EINVAL);
  EXPECT_EQ(Submission(other).ib(apart.va, 64).after(context(), 0).submit(fd()), 0);
  EXPECT_EQ(free_context(fd(), other), 0);
}

TEST_F(CsPending, SharedBufferOrdersItsUsersUnlessItIsSaidNotTo) {
  const std::uint32_t other = new_context();
  const GpuBuffer implicit = create(AMDGPU_GEM_DOMAIN_VRAM, kPageSize);
  const GpuBuffer by_hand = create(AMDGPU_GEM_DOMAIN_VRAM, kPageSize, AMDGPU_GEM_CREATE_EXPLICIT_SYNC);
  std::uint64_t first = 0;
  ASSERT_EQ(gated(context()).buffers({implicit.handle, by_hand.handle}).submit(fd(), &first), 0);
  std::uint64_t ordered = 0;
  std::uint64_t unordered = 0;
  ASSERT_EQ(Submission(other).ib(by_hand.va, 64).submit(fd(), &unordered), 0);
  EXPECT_TRUE(completes(other, unordered));
  ASSERT_EQ(Submission(other).ib(implicit.va, 64).submit(fd(), &ordered), 0);
  EXPECT_TRUE(is_busy(other, ordered));
  open_gate();
  EXPECT_TRUE(completes(other, ordered));
  EXPECT_EQ(free_context(fd(), other), 0);
}

TEST_F(CsPending, BufferInUseIsNotIdle) {
  const GpuBuffer buffer = create(AMDGPU_GEM_DOMAIN_VRAM, kPageSize);
  std::uint64_t number = 0;
  ASSERT_EQ(gated(context()).buffers({buffer.handle}).submit(fd(), &number), 0);
  drm_amdgpu_gem_wait_idle idle = {};
  idle.in.handle = buffer.handle;
  ASSERT_EQ(raw(fd(), DRM_IOCTL_AMDGPU_GEM_WAIT_IDLE, &idle), 0);
  EXPECT_EQ(idle.out.status, 1u);
  open_gate();
  idle = {};
  idle.in.handle = buffer.handle;
  idle.in.timeout = kForever;
  ASSERT_EQ(raw(fd(), DRM_IOCTL_AMDGPU_GEM_WAIT_IDLE, &idle), 0);
  EXPECT_EQ(idle.out.status, 0u);
  EXPECT_TRUE(completes(context(), number));
}

TEST_F(CsPending, WaitForAnyNamesTheFirstAndForAllTakesAll) {
  const std::uint32_t other = new_context();
  const GpuBuffer apart = create(AMDGPU_GEM_DOMAIN_GTT, kPageSize);
  const std::uint64_t late = submit_gated(context());
  std::uint64_t early = 0;
  ASSERT_EQ(Submission(other).ib(apart.va, 64).submit(fd(), &early), 0);
  const std::vector<drm_amdgpu_fence> both = {name(context(), late), name(other, early)};
  Answer answer = wait_fences(both, false, kForever);
  EXPECT_EQ(answer.error, 0);
  EXPECT_EQ(answer.status, 1u);
  EXPECT_EQ(answer.first, 1u);
  answer = wait_fences(both, true, deadline_in(milliseconds(50)));
  EXPECT_EQ(answer.error, 0);
  EXPECT_EQ(answer.status, 0u);
  answer = wait_fences({name(context(), late)}, false, deadline_in(milliseconds(50)));
  EXPECT_EQ(answer.error, 0);
  EXPECT_EQ(answer.status, 0u);
  open_gate();
  answer = wait_fences(both, true, kForever);
  EXPECT_EQ(answer.error, 0);
  EXPECT_EQ(answer.status, 1u);
  EXPECT_EQ(free_context(fd(), other), 0);
}

TEST_F(CsPending, FenceLeavesAsSyncFileSyncobjAndSyncobjFd) {
  const std::uint64_t number = submit_gated(context());
  std::array<std::uint32_t, 3> handles{};
  for (std::uint32_t what = 0; what < handles.size(); ++what) {
    ASSERT_EQ(to_handle(name(context(), number), what, &handles[what]), 0) << what;
  }
  const Fd sync_file(static_cast<int>(handles[AMDGPU_FENCE_TO_HANDLE_GET_SYNC_FILE_FD]));
  const Fd syncobj_fd(static_cast<int>(handles[AMDGPU_FENCE_TO_HANDLE_GET_SYNCOBJ_FD]));
  std::uint32_t imported = 0;
  ASSERT_EQ(drmSyncobjFDToHandle(fd(), syncobj_fd.get(), &imported), 0);
  const std::uint32_t direct = handles[AMDGPU_FENCE_TO_HANDLE_GET_SYNCOBJ];
  EXPECT_FALSE(readable(sync_file.get(), 0));
  EXPECT_FALSE(signalled(imported));
  EXPECT_FALSE(signalled(direct));
  open_gate();
  EXPECT_TRUE(readable(sync_file.get(), long_ms()));
  EXPECT_TRUE(completes(context(), number));
  EXPECT_TRUE(signalled(imported));
  EXPECT_TRUE(signalled(direct));
}

TEST_F(CsPending, FenceOutlivesContextAndFile) {
  Fd sync_file;
  {
    const Fd other = open_node();
    const std::uint32_t theirs = new_context(other.get());
    // The IB has to be the other file's own.
    drm_amdgpu_gem_create create = {};
    create.in.bo_size = kPageSize;
    create.in.domains = AMDGPU_GEM_DOMAIN_GTT;
    ASSERT_EQ(raw(other.get(), DRM_IOCTL_AMDGPU_GEM_CREATE, &create), 0);
    drm_amdgpu_gem_va map = {};
    map.handle = create.out.handle;
    map.operation = AMDGPU_VA_OP_MAP;
    map.flags = AMDGPU_VM_PAGE_READABLE | AMDGPU_VM_PAGE_EXECUTABLE;
    map.va_address = 1 << 30;
    map.map_size = kPageSize;
    ASSERT_EQ(raw(other.get(), DRM_IOCTL_AMDGPU_GEM_VA, &map), 0);
    const std::uint32_t gate_there = gate().syncobj(other.get());
    std::uint64_t number = 0;
    ASSERT_EQ(Submission(theirs).ib(1 << 30, 64).wait_syncobj(gate_there).submit(other.get(), &number), 0);
    drm_amdgpu_fence_to_handle args = {};
    args.in.fence = name(theirs, number);
    args.in.what = AMDGPU_FENCE_TO_HANDLE_GET_SYNC_FILE_FD;
    ASSERT_EQ(raw(other.get(), DRM_IOCTL_AMDGPU_FENCE_TO_HANDLE, &args), 0);
    sync_file.reset(static_cast<int>(args.out.handle));
    ASSERT_EQ(free_context(other.get(), theirs), 0);
  }
  EXPECT_FALSE(readable(sync_file.get(), 0));
  open_gate();
  EXPECT_TRUE(readable(sync_file.get(), long_ms()));
}

TEST_F(CsPending, KilledProcessLeavesItsWorkToEnd) {
  Child child([this](Peer& parent) {
    const std::uint64_t number = submit_gated(context());
    bool busy = false;
    if (number == 0 || !parent.signal()) {
      return 1;
    }
    return wait(context(), number, kForever, &busy);
  });
  ASSERT_TRUE(child.peer().await());
  EXPECT_EQ(child.kill(), 128 + SIGKILL);
  EXPECT_TRUE(is_busy(context(), 1));
  open_gate();
  EXPECT_TRUE(completes(context(), 1));
}

TEST_F(CsPending, WaitIsInterruptedBySignals) {
  const std::uint64_t number = submit_gated(context());
  Child child([this, number](Peer&) {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGALRM, &action, nullptr);
    ::alarm(1);
    drm_amdgpu_wait_cs args = {};
    args.in.handle = number;
    args.in.timeout = kForever;
    args.in.ip_type = AMDGPU_HW_IP_DMA;
    args.in.ctx_id = context();
    return raw(fd(), DRM_IOCTL_AMDGPU_WAIT_CS, &args);
  });
  EXPECT_EQ(child.wait(), EINTR);
  open_gate();
  EXPECT_TRUE(completes(context(), number));
}

TEST_F(CsPending, ContextHasThirtyTwoInFlightAndTheNextOneWaits) {
  for (std::uint64_t expected = 1; expected <= 32; ++expected) {
    EXPECT_EQ(submit_gated(context()), expected);
  }
  auto next = std::async(std::launch::async, [this] {
    std::uint64_t number = 0;
    return nop_submission().submit(fd(), &number) == 0 ? number : 0;
  });
  EXPECT_EQ(next.wait_for(milliseconds(200)), std::future_status::timeout);
  open_gate();
  EXPECT_EQ(next.get(), 33u);
  EXPECT_TRUE(completes(context(), 33));
}

TEST_F(CsPending, ForeignDmaBufBringsItsFences) {
  const Fd buffer = gate().dma_buf();
  ASSERT_TRUE(buffer.valid());
  std::uint32_t handle = 0;
  ASSERT_EQ(drmPrimeFDToHandle(fd(), buffer.get(), &handle), 0);
  std::uint64_t number = 0;
  ASSERT_EQ(nop_submission().buffers({handle}).submit(fd(), &number), 0);
  EXPECT_TRUE(is_busy(context(), number));
  open_gate();
  EXPECT_TRUE(completes(context(), number));
  drm_gem_close close = {.handle = handle, .pad = 0};
  EXPECT_EQ(raw(fd(), DRM_IOCTL_GEM_CLOSE, &close), 0);
}

TEST_F(CsPending, FreedBufferKeepsItsMemoryUntilTheWorkIsDone) {
  const std::uint64_t before = info_number(AMDGPU_INFO_VRAM_USAGE);
  const GpuBuffer buffer = create(AMDGPU_GEM_DOMAIN_VRAM, 8 << 20);
  std::uint64_t number = 0;
  ASSERT_EQ(gated(context()).buffers({buffer.handle}).submit(fd(), &number), 0);
  discard(buffer);
  EXPECT_GE(info_number(AMDGPU_INFO_VRAM_USAGE), before + (8 << 20));
  open_gate();
  EXPECT_TRUE(completes(context(), number));
  EXPECT_TRUE(eventually([&] { return info_number(AMDGPU_INFO_VRAM_USAGE) == before; }));
}

TEST_F(CsSync, FreedContextsWorkStillSignals) {
  const std::uint32_t other = new_context();
  const std::uint32_t done = syncobj();
  ASSERT_EQ(nop_submission(other).signal_syncobj(done).submit(fd()), 0);
  EXPECT_EQ(free_context(fd(), other), 0);
  std::uint32_t handle = done;
  EXPECT_EQ(drmSyncobjWait(fd(), &handle, 1, INT64_MAX, 0, nullptr), 0);
  drmSyncobjDestroy(fd(), done);
}

TEST_F(CsSync, SyncobjsAreWaitedForAndSignalled) {
  const std::uint32_t link = syncobj();
  EXPECT_EQ(nop_submission().wait_syncobj(link).submit(fd()), EINVAL) << "it has no fence yet";
  ASSERT_EQ(nop_submission().signal_syncobj(link).submit(fd()), 0);
  std::uint64_t number = 0;
  ASSERT_EQ(nop_submission().wait_syncobj(link).signal_syncobj(link).submit(fd(), &number), 0);
  EXPECT_TRUE(completes(context(), number));
  EXPECT_TRUE(signalled(link));
  drmSyncobjDestroy(fd(), link);
  EXPECT_EQ(nop_submission().wait_syncobj(link).submit(fd()), ENOENT);
  EXPECT_EQ(nop_submission().signal_syncobj(link).submit(fd()), EINVAL);
}

TEST_F(CsSync, TimelinePointsAreWaitedForAndSignalled) {
  std::uint32_t timeline = syncobj();
  std::uint64_t number = 0;
  for (std::uint64_t point = 1; point <= 3; ++point) {
    Submission submission = nop_submission();
    if (point > 1) {
      submission.wait_point(timeline, point - 1);
    }
    ASSERT_EQ(submission.signal_point(timeline, point).submit(fd(), &number), 0);
  }
  EXPECT_TRUE(completes(context(), number));
  std::uint64_t reached = 0;
  ASSERT_EQ(drmSyncobjQuery(fd(), &timeline, &reached, 1), 0);
  EXPECT_EQ(reached, 3u);
  EXPECT_EQ(nop_submission().wait_point(timeline, 4).submit(fd()), EINVAL);
  EXPECT_EQ(nop_submission().wait_point(timeline, 3, 1u << 7).submit(fd()), EINVAL);
  EXPECT_EQ(nop_submission().signal_point(timeline, 5).signal_point(timeline, 6).submit(fd()), EINVAL);
  drmSyncobjDestroy(fd(), timeline);
}

TEST_F(CsSync, PointThatIsStillToBeSubmittedCanBeAwaited) {
  std::uint32_t timeline = syncobj();
  const std::uint32_t other = new_context();
  auto waiter = std::async(std::launch::async, [&] {
    std::uint64_t number = 0;
    const int error =
        nop_submission(other).wait_point(timeline, 1, DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT).submit(fd(), &number);
    return error == 0 ? number : 0;
  });
  ASSERT_EQ(nop_submission().signal_point(timeline, 1).submit(fd()), 0);
  EXPECT_EQ(waiter.get(), 1u);
  EXPECT_TRUE(completes(other, 1));
  EXPECT_EQ(free_context(fd(), other), 0);
  drmSyncobjDestroy(fd(), timeline);
}

TEST_F(CsSync, WaitForFencesBoundsItsInput) {
  std::uint64_t number = 0;
  ASSERT_EQ(nop_submission().submit(fd(), &number), 0);
  EXPECT_EQ(wait_fences({}, true, kForever).error, EINVAL);
  EXPECT_EQ(wait_fences({}, false, kForever).error, EINVAL);
  EXPECT_EQ(wait_fences({name(context(), number + 1)}, true, kForever).error, EINVAL);
  EXPECT_EQ(wait_fences({name(0x7fff, number)}, false, kForever).error, EINVAL);
  EXPECT_EQ(wait_fences(std::vector(4096, name(context(), number)), true, kForever).error, 0);
  EXPECT_EQ(wait_fences(std::vector(4097, name(context(), number)), true, kForever).error, EINVAL);
  drm_amdgpu_wait_fences args = {};
  args.in.fences = 8;
  args.in.fence_count = 1;
  EXPECT_EQ(raw(fd(), DRM_IOCTL_AMDGPU_WAIT_FENCES, &args), EFAULT);
  args = {};
  args.in.fences = 8;
  args.in.fence_count = ~0u;
  EXPECT_EQ(raw(fd(), DRM_IOCTL_AMDGPU_WAIT_FENCES, &args), EINVAL);
}

TEST_F(CsSync, FenceThatIsLongDoneLeavesSignalled) {
  std::uint32_t handle = 0;
  ASSERT_EQ(to_handle(name(context(), 0), AMDGPU_FENCE_TO_HANDLE_GET_SYNC_FILE_FD, &handle), 0);
  const Fd sync_file(static_cast<int>(handle));
  EXPECT_TRUE(readable(sync_file.get(), 0));
  EXPECT_EQ(to_handle(name(context(), 1), AMDGPU_FENCE_TO_HANDLE_GET_SYNCOBJ, &handle), EINVAL);
  EXPECT_EQ(to_handle(name(context(), 0), 3, &handle), EINVAL);
  EXPECT_EQ(to_handle(name(0x7fff, 0), AMDGPU_FENCE_TO_HANDLE_GET_SYNCOBJ, &handle), EINVAL);
}

}  // namespace
}  // namespace kfdlab
