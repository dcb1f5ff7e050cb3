// SPDX-License-Identifier: MIT
// Events: ids and slots, auto and manual reset, waiting for any and for all, time-outs, signals, destruction under a
// waiter, the event page, limits.
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/kfd/kfd_fixture.h"
#include "tests/support/needs.h"

namespace kfdlab {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::uint32_t kForever = 0xffff'ffffu;
constexpr std::uint32_t kSlots = 4096;
constexpr std::uint32_t kFirstOther = 0x4000'0000;
constexpr std::uint32_t kComplete = KFD_IOC_WAIT_RESULT_COMPLETE;
constexpr std::uint32_t kTimeout = KFD_IOC_WAIT_RESULT_TIMEOUT;
constexpr std::uint32_t kFail = KFD_IOC_WAIT_RESULT_FAIL;

// Is thread `tid` of this process asleep in WAIT_EVENTS? Its state, and the ioctl it is in, tell.
bool sleeps_in_ioctl(pid_t tid) {
  const std::string task = "/proc/self/task/" + std::to_string(tid);
  std::string stat, call;
  std::getline(std::ifstream(task + "/stat"), stat);
  std::ifstream(task + "/syscall") >> call;
  const auto name_end = stat.rfind(')');
  return call == std::to_string(16) && name_end != std::string::npos && stat.substr(name_end + 2, 1) == "S";
}

class KfdEventTest : public KfdTest {
 protected:
  std::uint32_t create(std::uint32_t type = KFD_IOC_EVENT_SIGNAL, bool auto_reset = true) {
    KfdEvent event;
    event.type = type;
    event.auto_reset = auto_reset;
    EXPECT_EQ(kfd().create_event(&event), 0);
    return event.id;
  }

  struct Waited {
    int error = 0;
    std::uint32_t result = 0;
    bool operator==(const Waited&) const = default;
    friend void PrintTo(const Waited& waited, std::ostream* out) {
      *out << "errno " << waited.error << ", result " << waited.result;
    }
  };
  Waited wait(const std::vector<std::uint32_t>& ids, bool all, std::uint32_t timeout_ms) const {
    std::vector<kfd_event_data> events(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      events[i].event_id = ids[i];
    }
    Waited waited;
    waited.error = kfd().wait_events(events, all, timeout_ms, &waited.result);
    return waited;
  }
  [[nodiscard]] bool is_set(std::uint32_t id) const { return wait({id}, false, 0) == Waited{0, kComplete}; }

  // A thread that waits; up() returns when it sleeps in the ioctl.
  class Waiter {
   public:
    Waiter(const KfdEventTest& test, std::vector<std::uint32_t> ids, bool all, std::uint32_t timeout_ms)
        : thread_([this, &test, ids = std::move(ids), all, timeout_ms] {
            tid_ = ::gettid();
            waited_ = test.wait(ids, all, timeout_ms);
            done_ = true;
          }) {}
    ~Waiter() {
      if (thread_.joinable()) {
        thread_.join();
      }
    }
    [[nodiscard]] bool asleep() {
      return eventually([this] { return tid_ != 0 && sleeps_in_ioctl(tid_); });
    }
    [[nodiscard]] bool done() const { return done_; }
    Waited join() {
      thread_.join();
      return waited_;
    }
    void interrupt(int signal) { ::pthread_kill(thread_.native_handle(), signal); }

   private:
    std::atomic<pid_t> tid_ = 0;
    std::atomic<bool> done_ = false;
    Waited waited_;
    std::thread thread_;
  };
};

using KfdEvents = KfdEventTest;

TEST_F(KfdEvents, SignalEventsAreSlotsAndOthersAreNot) {
  KfdEvent signal, memory;
  ASSERT_EQ(kfd().create_event(&signal), 0);
  EXPECT_GT(signal.id, 0u) << "slot 0 is reserved";
  EXPECT_LT(signal.id, kSlots);
  EXPECT_EQ(signal.slot, signal.id);
  EXPECT_EQ(signal.trigger_data, signal.id);
  memory.type = KFD_IOC_EVENT_MEMORY;
  ASSERT_EQ(kfd().create_event(&memory), 0);
  EXPECT_GE(memory.id, kFirstOther);
  EXPECT_NE(create(), signal.id);
}

TEST_F(KfdEvents, UnknownTypeAndUnknownIdAreEinval) {
  KfdEvent event;
  event.type = KFD_IOC_EVENT_MEMORY + 1;
  EXPECT_EQ(kfd().create_event(&event), EINVAL);
  event.type = ~0u;
  EXPECT_EQ(kfd().create_event(&event), EINVAL);
  for (const std::uint32_t id : {0u, 77u, kSlots, kFirstOther, ~0u}) {
    EXPECT_EQ(kfd().set_event(id), EINVAL) << id;
    EXPECT_EQ(kfd().reset_event(id), EINVAL) << id;
    EXPECT_EQ(kfd().destroy_event(id), EINVAL) << id;
    EXPECT_EQ(wait({id}, false, 0), (Waited{EINVAL, kFail})) << id;
  }
  const std::uint32_t once = create();
  EXPECT_EQ(kfd().destroy_event(once), 0);
  EXPECT_EQ(kfd().destroy_event(once), EINVAL);
}

TEST_F(KfdEvents, WaitForNothingOrForTooManyIsEinval) {
  EXPECT_EQ(wait({}, false, 0).error, EINVAL);
  kfd_ioctl_wait_events_args args{};
  args.num_events = ~0u;
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_WAIT_EVENTS, &args), EINVAL);
  args.num_events = 2;
  EXPECT_EQ(kfd().raw(AMDKFD_IOC_WAIT_EVENTS, &args), EFAULT);
}

TEST_F(KfdEvents, AutoResetEventSatisfiesOneLaterWait) {
  const std::uint32_t id = create();
  EXPECT_FALSE(is_set(id));
  ASSERT_EQ(kfd().set_event(id), 0);
  ASSERT_EQ(kfd().set_event(id), 0);
  EXPECT_TRUE(is_set(id));
  EXPECT_FALSE(is_set(id)) << "consumed";
}

TEST_F(KfdEvents, ManualEventStaysSetUntilReset) {
  const std::uint32_t id = create(KFD_IOC_EVENT_SIGNAL, false);
  ASSERT_EQ(kfd().set_event(id), 0);
  EXPECT_TRUE(is_set(id));
  EXPECT_TRUE(is_set(id));
  ASSERT_EQ(kfd().reset_event(id), 0);
  EXPECT_FALSE(is_set(id));
}

TEST_F(KfdEvents, OnlySignalEventsCanBeSetFromOutside) {
  for (std::uint32_t type = 1; type <= KFD_IOC_EVENT_MEMORY; ++type) {
    const std::uint32_t id = create(type, false);
    EXPECT_EQ(kfd().set_event(id), EINVAL) << "type " << type;
    EXPECT_EQ(kfd().reset_event(id), EINVAL) << "type " << type;
    EXPECT_FALSE(is_set(id));
  }
}

TEST_F(KfdEvents, TimeoutTakesAtLeastItsTimeAndIsNoError) {
  const std::uint32_t id = create();
  const auto start = Clock::now();
  EXPECT_EQ(wait({id}, false, 50), (Waited{0, kTimeout}));
  EXPECT_GE(Clock::now() - start, milliseconds(50));
}

TEST_F(KfdEvents, SetWakesAWaiterThatWaitsForEver) {
  const std::uint32_t id = create();
  Waiter waiter(*this, {id}, false, kForever);
  ASSERT_TRUE(waiter.asleep());
  ASSERT_EQ(kfd().set_event(id), 0);
  EXPECT_EQ(waiter.join(), (Waited{0, kComplete}));
  EXPECT_FALSE(is_set(id)) << "the waiter consumed it";
}

TEST_F(KfdEvents, AutoResetEventWakesEverybodyWhoWaits) {
  const std::uint32_t id = create();
  Waiter one(*this, {id}, false, kForever), two(*this, {id}, false, kForever), three(*this, {id}, true, kForever);
  ASSERT_TRUE(one.asleep() && two.asleep() && three.asleep());
  ASSERT_EQ(kfd().set_event(id), 0);
  EXPECT_EQ(one.join(), (Waited{0, kComplete}));
  EXPECT_EQ(two.join(), (Waited{0, kComplete}));
  EXPECT_EQ(three.join(), (Waited{0, kComplete}));
}

TEST_F(KfdEvents, WaitForAnyEndsWithTheFirst) {
  const std::uint32_t a = create(), b = create(), c = create();
  Waiter waiter(*this, {a, b, c}, false, kForever);
  ASSERT_TRUE(waiter.asleep());
  ASSERT_EQ(kfd().set_event(b), 0);
  EXPECT_EQ(waiter.join(), (Waited{0, kComplete}));
}

TEST_F(KfdEvents, WaitForAllEndsWithTheLast) {
  const std::uint32_t a = create(), b = create(), c = create();
  ASSERT_EQ(kfd().set_event(c), 0) << "before anybody waits";
  Waiter waiter(*this, {a, b, c}, true, kForever);
  ASSERT_TRUE(waiter.asleep());
  ASSERT_EQ(kfd().set_event(a), 0);
  ASSERT_TRUE(waiter.asleep());
  EXPECT_FALSE(waiter.done());
  ASSERT_EQ(kfd().set_event(b), 0);
  EXPECT_EQ(waiter.join(), (Waited{0, kComplete}));
}

TEST_F(KfdEvents, WaitForAllThatTimesOutConsumesNothing) {
  const std::uint32_t a = create(), b = create();
  ASSERT_EQ(kfd().set_event(a), 0);
  EXPECT_EQ(wait({a, b}, true, 0), (Waited{0, kTimeout}));
  EXPECT_TRUE(is_set(a));
}

TEST_F(KfdEvents, WaitThatFailsConsumesNothing) {
  const std::uint32_t id = create();
  ASSERT_EQ(kfd().set_event(id), 0);
  EXPECT_EQ(wait({id, 4000}, true, 0), (Waited{EINVAL, kFail}));
  EXPECT_TRUE(is_set(id));
}

TEST_F(KfdEvents, DestroyingAnEventFailsItsWaiters) {
  const std::uint32_t stays = create(), goes = create();
  Waiter any(*this, {stays, goes}, false, kForever), all(*this, {stays, goes}, true, kForever);
  ASSERT_TRUE(any.asleep() && all.asleep());
  ASSERT_EQ(kfd().destroy_event(goes), 0);
  EXPECT_EQ(any.join(), (Waited{EIO, kFail}));
  EXPECT_EQ(all.join(), (Waited{EIO, kFail}));
}

// A handler that does nothing, installed while the object lives.
class SignalHandler {
 public:
  SignalHandler(int signal, int flags) : signal_(signal) {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    action.sa_flags = flags;
    ::sigaction(signal_, &action, &before_);
  }
  SignalHandler(const SignalHandler&) = delete;
  SignalHandler& operator=(const SignalHandler&) = delete;
  ~SignalHandler() { ::sigaction(signal_, &before_, nullptr); }

 private:
  int signal_;
  struct sigaction before_ {};
};

TEST_F(KfdEvents, SignalInterruptsAWait) {
  const SignalHandler handler(SIGUSR1, 0);
  const std::uint32_t id = create();
  Waiter waiter(*this, {id}, false, kForever);
  ASSERT_TRUE(waiter.asleep());
  waiter.interrupt(SIGUSR1);
  EXPECT_EQ(waiter.join(), (Waited{EINTR, kFail}));
}

TEST_F(KfdEvents, RestartedWaitGoesOnWithTheTimeThatIsLeft) {
  const SignalHandler handler(SIGUSR1, SA_RESTART);
  const std::uint32_t id = create();
  constexpr auto kLimit = milliseconds(600);
  const auto start = Clock::now();
  Waiter waiter(*this, {id}, false, static_cast<std::uint32_t>(kLimit.count()));
  // More often than the limit: did each restart wait for the whole time again, this would not end.
  while (!waiter.done() && Clock::now() - start < 10 * kLimit * patience()) {
    std::this_thread::sleep_for(kLimit / 6);
    waiter.interrupt(SIGUSR1);
  }
  EXPECT_TRUE(waiter.done());
  EXPECT_EQ(waiter.join(), (Waited{0, kTimeout}));
  EXPECT_GE(Clock::now() - start, kLimit);
}

TEST_F(KfdEvents, RestartedWaitIsStillWokenBySet) {
  const SignalHandler handler(SIGUSR1, SA_RESTART);
  const std::uint32_t id = create();
  Waiter waiter(*this, {id}, false, kForever);
  ASSERT_TRUE(waiter.asleep());
  waiter.interrupt(SIGUSR1);
  ASSERT_TRUE(waiter.asleep());
  ASSERT_EQ(kfd().set_event(id), 0);
  EXPECT_EQ(waiter.join(), (Waited{0, kComplete}));
}

TEST_F(KfdEvents, NumberOfEventsIsBounded) {
  std::uint32_t count = 0;
  KfdEvent event;
  int error = 0;
  while (count < 2 * kSlots && (error = kfd().create_event(&event)) == 0) {
    ++count;
  }
  EXPECT_EQ(error, ENOSPC);
  EXPECT_EQ(count, kSlots - 1);
  event.type = KFD_IOC_EVENT_MEMORY;
  for (count = 0; count < 3 * kSlots && (error = kfd().create_event(&event)) == 0;) {
    ++count;
  }
  EXPECT_EQ(error, ENOSPC);
  EXPECT_EQ(count, kSlots);

  EXPECT_EQ(kfd().destroy_event(100), 0);
  event.type = KFD_IOC_EVENT_SIGNAL;
  EXPECT_EQ(kfd().create_event(&event), 0);
  EXPECT_EQ(event.id, 100u) << "a freed slot is used again";
}

TEST_F(KfdEvents, ThreadsCreatingSettingAndDestroyingDoNotDisturbEachOther) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        KfdEvent event;
        if (kfd().create_event(&event) != 0 || kfd().set_event(event.id) != 0 || !is_set(event.id) ||
            is_set(event.id) || kfd().destroy_event(event.id) != 0) {
          ++wrong;
        }
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0);
}

TEST_F(KfdEvents, WaitersSurviveEventsThatAreDestroyedBesideThem) {
  std::atomic<bool> stop = false;
  std::atomic<std::uint32_t> current = create();
  std::thread waiter([&] {
    while (!stop) {
      const Waited waited = wait({current}, false, 10);
      // Set, timed out, destroyed before or under the wait.
      EXPECT_TRUE((waited == Waited{0, kComplete}) || (waited == Waited{0, kTimeout}) ||
                  (waited == Waited{EIO, kFail}) || (waited == Waited{EINVAL, kFail}));
    }
  });
  for (int i = 0; i < 500; ++i) {
    const std::uint32_t old = current;
    current = create();
    EXPECT_EQ(kfd().set_event(old), 0);
    EXPECT_EQ(kfd().destroy_event(old), 0);
  }
  stop = true;
  waiter.join();
}

TEST_F(KfdEvents, IdThatIsStillBeingMadeMayBeGuessedAndDestroyed) {
  const std::uint32_t next = create();  // ids are given out lowest first
  ASSERT_EQ(kfd().destroy_event(next), 0);
  std::atomic<bool> stop = false;
  std::thread destroyer([&] {
    while (!stop) {
      static_cast<void>(kfd().destroy_event(next));
    }
  });
  for (int i = 0; i < 20'000; ++i) {
    KfdEvent event;
    EXPECT_TRUE(kfd().create_event(&event) == 0 && event.id > 0 && event.id < kSlots && event.slot == event.id) << i;
    static_cast<void>(kfd().destroy_event(event.id));
  }
  stop = true;
  destroyer.join();
}

TEST_F(KfdEvents, OneEventManyTimesInAWaitIsOneEvent) {
  const std::uint32_t id = create(), other = create();
  ASSERT_EQ(kfd().set_event(id), 0);
  EXPECT_EQ(wait({id, id, id}, true, 0), (Waited{0, kComplete}));
  EXPECT_FALSE(is_set(id)) << "consumed once";
  Waiter waiter(*this, std::vector<std::uint32_t>(8192, id), true, kForever);
  ASSERT_TRUE(waiter.asleep());
  ASSERT_EQ(kfd().set_event(id), 0);
  EXPECT_EQ(waiter.join(), (Waited{0, kComplete}));
  ASSERT_EQ(kfd().set_event(id), 0);
  EXPECT_EQ(wait({other, id, other, id}, true, 0), (Waited{0, kTimeout}));
  EXPECT_TRUE(is_set(id)) << "given back";
}

TEST_F(KfdEvents, FailedWaitSetsNoNewEventWithTheIdOfADestroyedOne) {
  const std::uint32_t goes = create(), stays = create();
  for (int round = 0; round < 50; ++round) {
    ASSERT_EQ(kfd().set_event(goes), 0);
    Waiter waiter(*this, {goes, stays}, true, kForever);
    ASSERT_TRUE(waiter.asleep());
    // Its memory is likely the next event's, too.
    ASSERT_EQ(kfd().destroy_event(goes), 0);
    ASSERT_EQ(create(), goes);
    ASSERT_EQ(kfd().destroy_event(stays), 0);
    EXPECT_EQ(waiter.join(), (Waited{EIO, kFail}));
    EXPECT_FALSE(is_set(goes)) << "round " << round;
    ASSERT_EQ(create(), stays);
  }
}

// ---- the event page ----

class KfdEventPage : public KfdEventTest {
 protected:
  static constexpr std::size_t kPageBytes = kSlots * sizeof(std::uint64_t);

  void SetUp() override {
    KfdEventTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) {
      acquire();
    }
  }
  [[nodiscard]] KfdAlloc allocate(std::size_t size, std::uint32_t domain) {
    KfdAlloc alloc;
    alloc.va = space_.address() + used_;
    used_ += 1u << 20;
    alloc.size = size;
    alloc.gpu_id = gpu_id();
    alloc.flags = domain | KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE | KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC;
    EXPECT_EQ(kfd().alloc(&alloc), 0);
    return alloc;
  }
  int create_with_page(std::uint64_t handle, KfdEvent* event) {
    event->page_handle = handle;
    return kfd().create_event(event);
  }
  Reservation space_{16u << 20};
  std::uint64_t used_ = 0;
};

TEST_F(KfdEventPage, FirstEventTakesAGttBufferAndMarksItUnsignalled) {
  const KfdAlloc alloc = allocate(kPageBytes, KFD_IOC_ALLOC_MEM_FLAGS_GTT);
  void* memory = ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, render_fd(),
                        static_cast<off_t>(alloc.mmap_offset));
  ASSERT_NE(memory, MAP_FAILED);
  const std::span<std::uint64_t> slots(static_cast<std::uint64_t*>(memory), kSlots);
  EXPECT_EQ(slots[17], 0u) << "fresh memory is zeroed";

  KfdEvent event;
  ASSERT_EQ(create_with_page(alloc.handle, &event), 0);
  for (const std::uint64_t slot : slots) {
    ASSERT_EQ(slot, ~0ull);
  }
  // A new event's slot is made unsignalled even if an old one left something in it.
  slots[event.slot + 1] = 5;
  EXPECT_EQ(create(), event.slot + 1);
  EXPECT_EQ(slots[event.slot + 1], ~0ull);

  EXPECT_EQ(kfd().set_event(event.id), 0);
  EXPECT_TRUE(is_set(event.id));
  ::munmap(memory, kPageBytes);
}

TEST_F(KfdEventPage, SecondPageIsEinval) {
  KfdEvent event;
  ASSERT_EQ(create_with_page(allocate(kPageBytes, KFD_IOC_ALLOC_MEM_FLAGS_GTT).handle, &event), 0);
  EXPECT_EQ(create_with_page(allocate(kPageBytes, KFD_IOC_ALLOC_MEM_FLAGS_GTT).handle, &event), EINVAL);
  event.page_handle = 0;
  EXPECT_EQ(kfd().create_event(&event), 0);
}

TEST_F(KfdEventPage, WrongBufferIsEinvalAndTheRightOneStillWorks) {
  KfdEvent event;
  EXPECT_EQ(create_with_page(0x1234'5678'9abcull, &event), EINVAL);
  EXPECT_EQ(create_with_page(allocate(kPageBytes / 2, KFD_IOC_ALLOC_MEM_FLAGS_GTT).handle, &event), EINVAL);
  EXPECT_EQ(create_with_page(allocate(4 * kPageBytes, KFD_IOC_ALLOC_MEM_FLAGS_GTT).handle, &event), EINVAL)
      << "all of it would be pinned";
  EXPECT_EQ(create_with_page(allocate(kPageBytes, KFD_IOC_ALLOC_MEM_FLAGS_VRAM).handle, &event), EINVAL);
  EXPECT_EQ(create_with_page(allocate(kPageBytes, KFD_IOC_ALLOC_MEM_FLAGS_GTT).handle, &event), 0);
}

TEST_F(KfdEventPage, IsNotTakenByACreateThatFails) {
  KfdEvent event;
  while (kfd().create_event(&event) == 0) {
  }
  const KfdAlloc alloc = allocate(kPageBytes, KFD_IOC_ALLOC_MEM_FLAGS_GTT);
  EXPECT_EQ(create_with_page(alloc.handle, &event), ENOSPC);
  ASSERT_EQ(kfd().destroy_event(7), 0);
  EXPECT_EQ(create_with_page(alloc.handle, &event), 0) << "the same handle again";
  EXPECT_EQ(event.id, 7u);
}

TEST_F(KfdEventPage, OutlivesItsHandle) {
  const KfdAlloc alloc = allocate(kPageBytes, KFD_IOC_ALLOC_MEM_FLAGS_GTT);
  KfdEvent event;
  ASSERT_EQ(create_with_page(alloc.handle, &event), 0);
  EXPECT_EQ(kfd().free(alloc.handle), 0);
  event.page_handle = 0;
  EXPECT_EQ(kfd().create_event(&event), 0) << "which writes to the page";
  EXPECT_EQ(kfd().set_event(event.id), 0);
}

}  // namespace
}  // namespace kfdlab
