// SPDX-License-Identifier: MIT
// The awake protocol of hw/regs.h under load: the driver leaves out every doorbell it may, nobody kicks twice and
// nobody has a timeout, so one lost wake-up stops the test.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "device/host/shared_word.h"
#include "tests/unit/device/support/loopback_vm.h"

namespace kfdlab::device {
namespace {

constexpr std::uint64_t kSubmissions = 50'000;  // on each of two rings

// Pauses between submissions from none to about as long as the device needs to fall asleep, so that many submissions
// meet it on its way there.
class Pauses {
 public:
  explicit Pauses(unsigned seed) : random_(seed) {}
  void next() {
    const unsigned spins = random_() % 3 == 0 ? 0 : static_cast<unsigned>(random_() % 1500);
    for (unsigned i = 0; i < spins; ++i) {
      std::atomic_signal_fence(std::memory_order_seq_cst);  // keeps the loop
    }
  }

 private:
  std::minstd_rand random_;
};

TEST(Awake, NoWakeUpIsLostOnEitherRing) {
  LoopbackVm vm;
  TestDriver& gpu = vm.gpu();
  std::thread control([&] {
    Pauses pauses(1);
    for (std::uint64_t i = 0; i < kSubmissions; ++i) {
      const std::uint64_t done = gpu.submit_control(i % 16 == 0 ? KFDLAB_CONTROL_TLB_INVALIDATE : KFDLAB_CONTROL_NOP);
      if (!gpu.wait_control(done)) {
        ADD_FAILURE() << "control submission " << i << " was never served";
        return;
      }
      pauses.next();
    }
  });
  Pauses pauses(2);
  for (std::uint64_t i = 0; i < kSubmissions; ++i) {
    if (!gpu.wait_fence(gpu.submit_fence())) {
      ADD_FAILURE() << "copy submission " << i << " was never served";
      break;
    }
    pauses.next();
  }
  control.join();
  const std::uint64_t kicks = vm.transport().kicks(KFDLAB_KICK_CONTROL) + vm.transport().kicks(KFDLAB_KICK_COPY);
  RecordProperty("doorbells", static_cast<int>(kicks));
  EXPECT_GT(kicks, 0u) << "the device never slept, so nothing was proven";
  EXPECT_LT(kicks, 2 * kSubmissions) << "no doorbell was saved, so nothing was proven";
}

TEST(Awake, FlagsAreClearOnceTheRingsAreIdle) {
  LoopbackVm vm;
  ASSERT_TRUE(vm.gpu().wait_fence(vm.gpu().submit_fence()));
  EXPECT_TRUE(eventually([&] {
    return load_acquire(vm.gpu().device().copy_awake) == 0 && load_acquire(vm.gpu().device().control_awake) == 0;
  }));
}

}  // namespace
}  // namespace kfdlab::device
