// SPDX-License-Identifier: MIT
// What pages that are held cost, and who pays: the limit on locked memory, the fields of /proc/PID/status, and that a
// holder which is killed pays everything back.
#include <linux/capability.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tests/pins/pins_fixture.h"
#include "tests/pins/system.h"
#include "tests/support/child.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"
#include "tests/support/vram_user.h"

namespace kfdlab::pins {
namespace {

class PinnerCharge : public PinsTest, public testing::WithParamInterface<PinnerRow> {
 protected:
  void SetUp() override {
    PinsTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    // Whatever it needs is set up here, before a child gives up privileges.
    const auto made = GetParam().make();
    KFDLAB_NEEDS(made.ok(), made.error().message);
  }
  [[nodiscard]] std::size_t npages() const { return GetParam().npages; }
};

// Pages the process is charged with, where it can be read.
std::uint64_t charged(Charge charge) {
  switch (charge) {
    case Charge::Pinned:
      return status_pages("VmPin");
    case Charge::Locked:
      return status_pages("VmLck");
    case Charge::None:
    case Charge::User:
      break;
  }
  return status_pages("VmPin") + status_pages("VmLck");
}

TEST_P(PinnerCharge, IsTakenWithTheHoldAndGivenBackWithIt) {
  auto pinner = GetParam().make();
  ASSERT_TRUE(pinner.ok()) << pinner.error().message;
  Buffer buffer(npages());
  ASSERT_TRUE(fill_in_vram(buffer.bytes()));
  const Charge charge = GetParam().charge;
  const std::uint64_t before = charged(charge);
  ASSERT_EQ(pinner.value()->hold(buffer.bytes()), 0);
  EXPECT_EQ(charged(charge) - before, charge == Charge::Pinned || charge == Charge::Locked ? npages() : 0);
  ASSERT_EQ(pinner.value()->release(), 0);
  EXPECT_TRUE(eventually([&] { return charged(charge) == before; })) << charged(charge) << " pages are charged";
}

bool drop_ipc_lock() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) {
    return false;
  }
  data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &= ~CAP_TO_MASK(CAP_IPC_LOCK);
  return ::syscall(SYS_capset, &header, data) == 0;
}

struct Limited {
  bool ready = false;
  int beyond = -1;            // errno of holding more than the limit allows
  std::uint64_t charged = 0;  // behind that
  int within = -1;            // errno of holding as much as another limit allows, afterwards
  bool intact = false;
};

bool set_limit(std::size_t npages) {
  const rlimit limit{npages * kPageSize, npages * kPageSize};
  return ::setrlimit(RLIMIT_MEMLOCK, &limit) == 0;
}

// In a process of its own, since the limit does not bind who has CAP_IPC_LOCK. Holds until its parent has looked.
int hold_under_limit(const PinnerRow& row, std::uint32_t gpu_id, Peer& parent) {
  Limited result;
  const auto kfd = KfdClient::open();
  Buffer buffer(row.npages);
  fill_pattern(buffer.bytes(), kFirst);
  const bool there = kfd.ok() && kfdlab::move_to_vram(buffer.bytes(), gpu_id) == 0;
  // Some take note of the privilege when they are opened.
  const bool bound = drop_ipc_lock();
  auto pinner = row.make();
  result.ready = there && bound && pinner.ok() && set_limit(row.npages - 1);
  if (result.ready) {
    result.beyond = pinner.value()->hold(buffer.bytes());
    result.charged = charged(row.charge);
    if (result.beyond != 0) {
      result.ready = set_limit(row.npages);
      result.within = pinner.value()->hold(buffer.bytes());
    }
    result.intact = !find_mismatch(buffer.bytes(), kFirst);
  }
  return parent.send(result) && parent.await() ? 0 : 1;
}

TEST_P(PinnerCharge, BeyondTheLimitOfLockedMemoryNothingIsHeld) {
  expect_refusals(GetParam());
  const std::int64_t pins = outstanding_pins();
  Child child([&](Peer& parent) { return hold_under_limit(GetParam(), gpu_id(), parent); });
  Limited result;
  ASSERT_TRUE(child.peer().receive(&result));
  ASSERT_TRUE(result.ready);
  EXPECT_EQ(result.beyond, GetParam().beyond_limit);
  EXPECT_TRUE(result.intact);
  if (GetParam().beyond_limit != 0) {
    EXPECT_EQ(result.charged, 0u) << "a refused hold is charged";
    EXPECT_EQ(result.within, 0) << "a refusal leaves nothing on the account";
  }
  EXPECT_EQ(outstanding_pins() - pins, static_cast<std::int64_t>(npages()));
  ASSERT_TRUE(child.peer().signal());
  EXPECT_EQ(child.wait(), 0);
  EXPECT_TRUE(pins_are(pins));
}

TEST_P(PinnerCharge, KilledHolderLeavesNothing) {
  const std::int64_t pins = outstanding_pins();
  const kfdlab_test_counters before = counters();
  Child child([&](Peer& parent) {
    const auto kfd = KfdClient::open();
    auto pinner = GetParam().make();
    Buffer buffer(npages());
    fill_pattern(buffer.bytes(), kFirst);
    const bool ready = kfd.ok() && pinner.ok() && kfdlab::move_to_vram(buffer.bytes(), gpu_id()) == 0 &&
                       pinner.value()->hold(buffer.bytes()) == 0;
    static_cast<void>(parent.send(ready) && parent.await());
    return 0;
  });
  bool ready = false;
  ASSERT_TRUE(child.peer().receive(&ready) && ready);
  EXPECT_EQ(outstanding_pins() - pins, static_cast<std::int64_t>(npages()));
  EXPECT_EQ(child.kill(), 128 + SIGKILL);
  EXPECT_TRUE(pins_are(pins));
  EXPECT_TRUE(eventually([&] { return counters().svm_pages_occupied == before.svm_pages_occupied; }));
}

INSTANTIATE_TEST_SUITE_P(Every, PinnerCharge, testing::ValuesIn(all_pinners().begin(), all_pinners().end()),
                         row_name<PinnerRow>);

}  // namespace
}  // namespace kfdlab::pins
