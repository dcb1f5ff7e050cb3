// SPDX-License-Identifier: MIT
// A driver that sends nearly right control entries for VMIDs and queues while queues run and the idle protocol is
// played wrongly. The device survives and every entry completes or stops the ring.
#include <gtest/gtest.h>

#include <chrono>

#include "tests/fuzz/fuzz_seed.h"
#include "tests/unit/queue/support/queue_vm.h"

namespace kfdlab::device {
namespace {

std::vector<std::uint64_t> random_args(FuzzRandom& random, std::uint32_t op) {
  const std::uint64_t number = one_in(random, 6) ? KFDLAB_QUEUE_ALL : below(random, 6);
  if (op == KFDLAB_CONTROL_SET_VMID || op == KFDLAB_CONTROL_TLB_INVALIDATE) {
    std::vector<std::uint64_t> args;
    for (int i = 0; i < 6; ++i) {
      args.push_back(one_in(random, 3) ? random() : below(random, 1 << 20));
    }
    return args;
  }
  return {number, one_in(random, 30) ? random() : QueueVm::mqd_address(static_cast<unsigned>(number % 6))};
}

// MQDs that are good but for a random dword, now and then.
void scribble_mqds(FuzzRandom& random, QueueVm& vm) {
  for (unsigned number = 0; number < 6; ++number) {
    kfdlab_mqd& mqd = vm.mqd(number);
    mqd = {};
    mqd.queue_type = static_cast<std::uint32_t>(below(random, 4));
    mqd.cp_hqd_pq_base = QueueVm::ring(number);
    mqd.cp_hqd_pq_size = QueueVm::kRingBytes;
    mqd.cp_hqd_pq_rptr_report_addr = QueueVm::rptr_va(number);
    mqd.cp_hqd_pq_wptr_poll_addr = QueueVm::wptr_va(number);
    mqd.cp_hqd_pq_doorbell_offset = QueueVm::doorbell_offset(number);
    if (one_in(random, 10)) {
      reinterpret_cast<std::uint32_t*>(&mqd)[below(random, sizeof(mqd) / 4)] = static_cast<std::uint32_t>(random());
    }
  }
}

void play(FuzzRandom& random, QueueVm& vm) {
  constexpr std::array<std::uint32_t, 8> kOps = {
      KFDLAB_CONTROL_SET_VMID,    KFDLAB_CONTROL_MAP_QUEUE, KFDLAB_CONTROL_UPDATE_QUEUE, KFDLAB_CONTROL_UNMAP_QUEUE,
      KFDLAB_CONTROL_QUIESCE,     KFDLAB_CONTROL_RESUME,    KFDLAB_CONTROL_CLOCK,        KFDLAB_CONTROL_TLB_INVALIDATE};
  for (int round = 0; round < 60; ++round) {
    scribble_mqds(random, vm);
    const auto number = static_cast<unsigned>(below(random, 6));
    for (std::uint64_t i = 0; i < 16; ++i) {
      store_relaxed(vm.at<std::uint32_t>(QueueVm::ring(number) + below(random, 1024) * 4),
                    static_cast<std::uint32_t>(one_in(random, 2) ? below(random, 16) : random()));
    }
    store_release(vm.at<std::uint64_t>(QueueVm::wptr_va(number)), below(random, 1024) * 4);
    vm.ring_doorbell(number, one_in(random, 4) ? random() : below(random, 4096));
    store_relaxed(vm.driver().driver().queue_armed, static_cast<std::uint32_t>(below(random, 4)));
    if (one_in(random, 3)) {
      vm.vm().transport().kick(KFDLAB_KICK_QUEUE);
    }
    const std::uint32_t op = one_in(random, 60) ? 99 : kOps[below(random, kOps.size())];
    const std::uint32_t vmid = one_in(random, 20) ? static_cast<std::uint32_t>(random()) : QueueVm::kVmid;
    const std::uint64_t done = vm.driver().submit_control(op, vmid, random_args(random, op));
    ASSERT_TRUE(eventually([&] {
      return load_acquire(vm.driver().device().control_done) >= done ||
             load_acquire(vm.driver().device().control_error) != KFDLAB_RING_OK;
    })) << "an entry neither completed nor stopped the ring";
    if (load_acquire(vm.driver().device().control_error) != KFDLAB_RING_OK) {
      return;
    }
  }
}

TEST(QueueControlFuzz, EveryEntryCompletesOrStopsTheRing) {
  FuzzRandom random = fuzz_random();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  while (std::chrono::steady_clock::now() < end && !HasFatalFailure()) {
    QueueVm vm(one_in(random, 2));
    play(random, vm);
  }
}

}  // namespace
}  // namespace kfdlab::device
