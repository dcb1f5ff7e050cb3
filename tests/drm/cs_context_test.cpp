// SPDX-License-Identifier: MIT
// AMDGPU_CTX: contexts by id, whose they are, and what they say about resets and power states.
#include <unistd.h>

#include <cerrno>
#include <set>

#include "tests/drm/cs_fixture.h"
#include "tests/support/child.h"

namespace kfdlab {
namespace {

constexpr std::uint32_t kUnknown = 0x7fff'0000;

class CsContext : public CsTest {
 protected:
  [[nodiscard]] int op(drm_amdgpu_ctx* args) const { return raw(fd(), DRM_IOCTL_AMDGPU_CTX, args); }
  [[nodiscard]] int op(std::uint32_t op, std::uint32_t id, std::uint32_t flags = 0) const {
    drm_amdgpu_ctx args = {};
    args.in.op = op;
    args.in.ctx_id = id;
    args.in.flags = flags;
    return this->op(&args);
  }
  [[nodiscard]] static int alloc(int fd, std::int32_t priority, std::uint32_t* id) {
    drm_amdgpu_ctx args = {};
    args.in.op = AMDGPU_CTX_OP_ALLOC_CTX;
    args.in.priority = priority;
    const int error = raw(fd, DRM_IOCTL_AMDGPU_CTX, &args);
    *id = error == 0 ? args.out.alloc.ctx_id : 0;
    return error;
  }
};

TEST_F(CsContext, IdsAreDistinctAndGoneAfterFree) {
  const std::uint32_t second = new_context();
  EXPECT_NE(second, context());
  EXPECT_EQ(free_context(fd(), second), 0);
  EXPECT_EQ(free_context(fd(), second), EINVAL);
  drm_amdgpu_ctx state;
  EXPECT_EQ(query_state(AMDGPU_CTX_OP_QUERY_STATE, second, &state), EINVAL);
  EXPECT_EQ(nop_submission(second).submit(fd()), EINVAL);
}

TEST_F(CsContext, UnknownIdsAreEinval) {
  for (const std::uint32_t id : {0u, kUnknown, ~0u}) {
    drm_amdgpu_ctx state;
    EXPECT_EQ(free_context(fd(), id), EINVAL) << id;
    EXPECT_EQ(query_state(AMDGPU_CTX_OP_QUERY_STATE, id, &state), EINVAL) << id;
    EXPECT_EQ(query_state(AMDGPU_CTX_OP_QUERY_STATE2, id, &state), EINVAL) << id;
    EXPECT_EQ(op(AMDGPU_CTX_OP_GET_STABLE_PSTATE, id), EINVAL) << id;
    EXPECT_EQ(op(AMDGPU_CTX_OP_SET_STABLE_PSTATE, id), EINVAL) << id;
    EXPECT_EQ(nop_submission(id).submit(fd()), EINVAL) << id;
    bool busy = false;
    EXPECT_EQ(wait(id, 0, kForever, &busy), EINVAL) << id;
  }
}

TEST_F(CsContext, UnknownOperationsAndFlagsAreEinval) {
  for (const std::uint32_t unknown : {0u, 7u, ~0u}) {
    EXPECT_EQ(op(unknown, context()), EINVAL) << unknown;
  }
  for (const std::uint32_t known : {AMDGPU_CTX_OP_ALLOC_CTX, AMDGPU_CTX_OP_FREE_CTX, AMDGPU_CTX_OP_QUERY_STATE,
                                    AMDGPU_CTX_OP_QUERY_STATE2, AMDGPU_CTX_OP_GET_STABLE_PSTATE}) {
    EXPECT_EQ(op(known, context(), 1), EINVAL) << known;
  }
  EXPECT_EQ(op(AMDGPU_CTX_OP_SET_STABLE_PSTATE, context(), AMDGPU_CTX_STABLE_PSTATE_PEAK + 1), EINVAL);
  EXPECT_EQ(op(AMDGPU_CTX_OP_SET_STABLE_PSTATE, context(), 0x10), EINVAL);
}

TEST_F(CsContext, FreshContextHasSeenNoReset) {
  drm_amdgpu_ctx state;
  ASSERT_EQ(query_state(AMDGPU_CTX_OP_QUERY_STATE, context(), &state), 0);
  EXPECT_EQ(state.out.state.reset_status, static_cast<std::uint32_t>(AMDGPU_CTX_NO_RESET));
  EXPECT_EQ(state.out.state.hangs, 0u);
  ASSERT_EQ(query_state(AMDGPU_CTX_OP_QUERY_STATE2, context(), &state), 0);
  EXPECT_EQ(state.out.state.flags, 0u);
}

TEST_F(CsContext, GarbageInPriorityIsNormal) {
  for (const std::int32_t priority : {AMDGPU_CTX_PRIORITY_UNSET, 12345, -1, AMDGPU_CTX_PRIORITY_LOW}) {
    std::uint32_t id = 0;
    EXPECT_EQ(alloc(fd(), priority, &id), 0) << priority;
    EXPECT_EQ(free_context(fd(), id), 0) << priority;
  }
}

TEST_F(CsContext, HighPriorityNeedsTheRightToIt) {
  std::uint32_t id = 0;
  ASSERT_EQ(alloc(fd(), AMDGPU_CTX_PRIORITY_HIGH, &id), 0);
  EXPECT_EQ(free_context(fd(), id), 0);
  Child child([this](Peer&) {
    std::uint32_t mine = 0;
    if (::setresuid(65534, 65534, 65534) != 0) {
      return 1;
    }
    if (alloc(fd(), AMDGPU_CTX_PRIORITY_HIGH, &mine) != EACCES) {
      return 2;
    }
    if (alloc(fd(), AMDGPU_CTX_PRIORITY_NORMAL, &mine) != 0) {
      return 3;
    }
    return free_context(fd(), mine) == 0 ? 0 : 4;
  });
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(CsContext, PowerStateBelongsToWhoSetItUntilItIsFreed) {
  const std::uint32_t other = new_context();
  EXPECT_EQ(op(AMDGPU_CTX_OP_SET_STABLE_PSTATE, context(), AMDGPU_CTX_STABLE_PSTATE_PEAK), 0);
  drm_amdgpu_ctx state = {};
  state.in.op = AMDGPU_CTX_OP_GET_STABLE_PSTATE;
  state.in.ctx_id = other;
  ASSERT_EQ(op(&state), 0);
  EXPECT_EQ(state.out.pstate.flags, static_cast<std::uint32_t>(AMDGPU_CTX_STABLE_PSTATE_PEAK));
  EXPECT_EQ(op(AMDGPU_CTX_OP_SET_STABLE_PSTATE, other, AMDGPU_CTX_STABLE_PSTATE_STANDARD), EBUSY);
  EXPECT_EQ(op(AMDGPU_CTX_OP_SET_STABLE_PSTATE, context(), AMDGPU_CTX_STABLE_PSTATE_NONE), 0);
  EXPECT_EQ(op(AMDGPU_CTX_OP_SET_STABLE_PSTATE, other, AMDGPU_CTX_STABLE_PSTATE_STANDARD), EBUSY);

  const std::uint32_t third = new_context();
  ASSERT_EQ(free_context(fd(), other), 0);
  EXPECT_EQ(op(AMDGPU_CTX_OP_SET_STABLE_PSTATE, context(), AMDGPU_CTX_STABLE_PSTATE_PEAK), 0);
  EXPECT_EQ(free_context(fd(), third), 0);
}

TEST_F(CsContext, AnotherFileDoesNotKnowThem) {
  const Fd other = open_node();
  ASSERT_TRUE(other.valid());
  bool busy = false;
  EXPECT_EQ(free_context(other.get(), context()), EINVAL);
  EXPECT_EQ(wait(other.get(), context(), 0, kForever, &busy), EINVAL);
}

TEST_F(CsContext, ForkedChildUsesTheFilesContexts) {
  Child child([this](Peer&) {
    std::uint64_t number = 0;
    bool busy = true;
    if (nop_submission().submit(fd(), &number) != 0) {
      return 1;
    }
    return wait(context(), number, kForever, &busy) == 0 && !busy ? 0 : 2;
  });
  EXPECT_EQ(child.wait(), 0);
  std::uint64_t number = 0;
  ASSERT_EQ(nop_submission().submit(fd(), &number), 0);
  EXPECT_EQ(number, 2u);
  EXPECT_TRUE(completes(context(), number));
}

TEST_F(CsContext, NumberInAFileIsBounded) {
  const Fd other = open_node();
  ASSERT_TRUE(other.valid());
  std::set<std::uint32_t> ids;
  std::uint32_t id = 0;
  int error = 0;
  while (ids.size() < 10000 && (error = alloc(other.get(), 0, &id)) == 0) {
    EXPECT_TRUE(ids.insert(id).second) << id;
  }
  EXPECT_EQ(error, ENOSPC);
  EXPECT_EQ(ids.size(), 4095u);
  EXPECT_EQ(free_context(other.get(), 17), 0);
  EXPECT_EQ(alloc(other.get(), 0, &id), 0);
}

}  // namespace
}  // namespace kfdlab
