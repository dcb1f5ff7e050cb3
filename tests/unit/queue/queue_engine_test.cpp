// SPDX-License-Identifier: MIT
// Kernels through the whole device: doorbell, AQL packet, engine, signal; killed, stopped, faulting.
#include <gtest/gtest.h>

#include <array>
#include <initializer_list>

#include "device/engine/dispatch.h"
#include "tests/unit/queue/support/aql_packets.h"
#include "tests/unit/queue/support/queue_vm.h"

namespace kfdlab::device {
namespace {

constexpr EngineParts kEngine = {.create = &engine::Engine::create, .prepare_aql = &engine::prepare_aql};
constexpr unsigned kQueue = 0;
constexpr std::uint64_t kSignal = QueueVm::kVa + 0x100000;
constexpr std::uint64_t kKernarg = QueueVm::kVa + 0x101000;
constexpr std::uint64_t kOutput = QueueVm::kVa + 0x102000;
constexpr std::uint64_t kKernels = QueueVm::kVa + 0x110000;  // descriptor, then code

// Assembled with llvm-mc for gfx90a: lane i of the first workgroup stores 42 + i to kernarg[0][i].
constexpr std::initializer_list<std::uint32_t> kStore = {
    0xc0060080, 0x00000000,  // s_load_dwordx2 s[2:3], s[0:1], 0x0
    0x7e0202aa,              // v_mov_b32_e32 v1, 42
    0x24040082,              // v_lshlrev_b32_e32 v2, 2, v0
    0xbf8cc07f,              // s_waitcnt lgkmcnt(0)
    0x68020101,              // v_add_u32_e32 v1, v1, v0
    0xdc708000, 0x00020102,  // global_store_dword v2, v1, s[2:3]
    0xbf8c0f70,              // s_waitcnt vmcnt(0)
    0xbf810000};             // s_endpgm
constexpr std::initializer_list<std::uint32_t> kForever = {0xbf82ffff};  // s_branch to itself
constexpr std::initializer_list<std::uint32_t> kNonsense = {0xffffffff, 0xffffffff};

class QueueEngine : public ::testing::Test {
 protected:
  void start(bool retry = false) {
    vm_ = std::make_unique<QueueVm>(retry, kEngine);
    ASSERT_TRUE(vm_->map_queue(kQueue, KFDLAB_QUEUE_AQL));
    vm_->at<aql_signal>(kSignal).kind = 1;
    vm_->at<std::uint64_t>(kKernarg) = kOutput;
  }

  // A kernel with two user SGPRs (kernarg), 16 VGPRs.
  [[nodiscard]] std::uint64_t make_kernel(unsigned index, std::initializer_list<std::uint32_t> code) {
    const std::uint64_t va = kKernels + index * 0x1000;
    constexpr std::uint64_t kEntry = 0x100;
    vm_->at<std::uint64_t>(va + 16) = kEntry;
    vm_->at<std::uint32_t>(va + 44) = 3;                           // ACCUM_OFFSET: 16
    vm_->at<std::uint32_t>(va + 48) = 1 | 1 << 6 | 0xc0u << 12;    // 16 VGPRs, 16 SGPRs, denormals
    vm_->at<std::uint32_t>(va + 52) = 2 << 1 | 1 << 7;             // two user SGPRs, workgroup id x
    vm_->at<std::uint16_t>(va + 56) = 1 << 3;                      // kernarg pointer
    std::uint64_t at = va + kEntry;
    for (const std::uint32_t dword : code) {
      vm_->at<std::uint32_t>(at) = dword;
      at += 4;
    }
    return va;
  }

  void submit(unsigned queue, std::uint64_t kernel) {
    aql_kernel_dispatch packet = kernel_packet(kernel, kSignal);
    packet.grid_size_x = 64;
    packet.kernarg_address = kKernarg;
    auto& wptr = vm_->at<std::uint64_t>(QueueVm::wptr_va(queue));
    const std::uint64_t index = load_relaxed(wptr);
    auto& value = vm_->at<aql_signal>(kSignal).value;
    std::atomic_ref<std::int64_t>(value).fetch_add(1);
    vm_->at<aql_kernel_dispatch>(QueueVm::ring(queue) + index * AQL_PACKET_BYTES % QueueVm::kRingBytes) = packet;
    store_release(wptr, index + 1);
    vm_->ring_doorbell(queue, index);
  }
  [[nodiscard]] std::int64_t pending() { return load_acquire(vm_->at<aql_signal>(kSignal).value); }
  [[nodiscard]] bool all_done() { return eventually([&] { return pending() == 0; }); }
  [[nodiscard]] bool stops_with(kfdlab_queue_error error) {
    return eventually([&] { return load_acquire(vm_->mqd(kQueue).cp_hqd_error) != KFDLAB_QUEUE_OK; }) &&
           load_acquire(vm_->mqd(kQueue).cp_hqd_error) == static_cast<std::uint32_t>(error);
  }
  void expect_output() {
    for (std::uint32_t lane = 0; lane < 64; ++lane) {
      ASSERT_EQ(vm_->at<std::uint32_t>(kOutput + lane * 4), 42 + lane);
    }
  }

  std::unique_ptr<QueueVm> vm_;
};

TEST_F(QueueEngine, KernelStoresAndCompletesItsSignal) {
  start();
  const std::uint64_t kernel = make_kernel(0, kStore);
  for (int i = 0; i < 50; ++i) {
    std::memset(vm_->bytes(kOutput, 256).data(), 0, 256);
    submit(kQueue, kernel);
    ASSERT_TRUE(all_done());
    expect_output();
  }
  const auto& signal = vm_->at<aql_signal>(kSignal);
  EXPECT_GT(signal.start_ts, 0u);
  EXPECT_GE(signal.end_ts, signal.start_ts);
}

TEST_F(QueueEngine, EndlessKernelDoesNotHoldUpOthersAndIsKilledByUnmap) {
  start();
  ASSERT_TRUE(vm_->map_queue(1, KFDLAB_QUEUE_AQL));
  submit(kQueue, make_kernel(0, kForever));
  submit(1, make_kernel(1, kStore));
  ASSERT_TRUE(eventually([&] { return pending() == 1; }));
  expect_output();
  ASSERT_TRUE(vm_->unmap(kQueue));
  EXPECT_EQ(pending(), 1);
  submit(1, make_kernel(1, kStore));
  EXPECT_TRUE(eventually([&] { return pending() == 1; }));
}

TEST_F(QueueEngine, QuiesceOfAnEndlessKernelCompletesAndItGoesOn) {
  start();
  submit(kQueue, make_kernel(0, kForever));
  ASSERT_TRUE(eventually([&] { return load_acquire(vm_->driver().device().queue_dispatches) == 1; }));
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(vm_->quiesce(KFDLAB_QUEUE_ALL));
    ASSERT_TRUE(vm_->resume(KFDLAB_QUEUE_ALL));
  }
  ASSERT_TRUE(vm_->quiesce(KFDLAB_QUEUE_ALL));
  ASSERT_TRUE(vm_->unmap(KFDLAB_QUEUE_ALL));
}

TEST_F(QueueEngine, RetryFaultOfAWaveIsServedByTheDriver) {
  start(true);
  vm_->set_page(kOutput, false);
  ASSERT_TRUE(vm_->control(KFDLAB_CONTROL_TLB_INVALIDATE, QueueVm::kVmid, {kOutput >> 12, 1}));
  submit(kQueue, make_kernel(0, kStore));
  ih_entry fault = {};
  ASSERT_TRUE(eventually([&] { return vm_->driver().take_ih(fault); }));
  EXPECT_EQ(fault.source & 0xffff, IH_CLIENT_UTCL2 | IH_SOURCE_VM_FAULT << 8);
  EXPECT_EQ(ih_fault_address(&fault), kOutput);
  EXPECT_EQ(fault.src_data[1] & 0xf0, IH_FAULT_WRITE | IH_FAULT_RETRY);
  EXPECT_EQ(fault.pasid, QueueVm::kPasid);
  EXPECT_EQ(pending(), 1);
  vm_->set_page(kOutput, true);
  ASSERT_TRUE(vm_->control(KFDLAB_CONTROL_TLB_INVALIDATE, QueueVm::kVmid, {kOutput >> 12, 1}));
  ASSERT_TRUE(all_done());
  expect_output();
}

TEST_F(QueueEngine, FaultWithoutXnackStopsTheQueue) {
  start();
  vm_->at<std::uint64_t>(kKernarg) = QueueVm::kVa + (1ull << 32);
  submit(kQueue, make_kernel(0, kStore));
  EXPECT_TRUE(stops_with(KFDLAB_QUEUE_MEMORY_FAULT));
  EXPECT_EQ(pending(), 1);
}

TEST_F(QueueEngine, IllegalInstructionStopsTheQueue) {
  start();
  submit(kQueue, make_kernel(0, kNonsense));
  EXPECT_TRUE(stops_with(KFDLAB_QUEUE_ILLEGAL_INSTRUCTION));
}

}  // namespace
}  // namespace kfdlab::device
