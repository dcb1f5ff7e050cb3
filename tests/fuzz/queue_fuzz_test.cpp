// SPDX-License-Identifier: MIT
// A process that writes anything into its rings, pointers, doorbells, signals and page tables at any time. Its queues
// have only to survive it: no access outside the mappings (they have guard pages), no packet that never ends a step,
// no kernel launched for another process.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstring>

#include "device/host/shared_word.h"
#include "hw/gpuvm.h"
#include "hw/pm4.h"
#include "tests/fuzz/fuzz_seed.h"
#include "tests/unit/queue/support/aql_packets.h"
#include "tests/unit/queue/support/queue_rig.h"

namespace kfdlab::device {
namespace {

using Rig = QueueRig;

std::uint64_t random_address(FuzzRandom& random) {
  switch (below(random, 8)) {
    case 0:
      return random();
    case 1:
      return Rig::kVa + Rig::kSize - below(random, 64);
    case 2:
      return Rig::kNowhere + below(random, 8192);
    case 3:
      return Rig::kAqlQueue + below(random, 64) * 8;
    case 4:
      return Rig::kRing + below(random, 4096);
    default:
      return Rig::kVa + (below(random, Rig::kSize) & ~std::uint64_t{one_in(random, 4) ? 0u : 63u});
  }
}

std::uint32_t random_header(FuzzRandom& random) {
  constexpr std::array<std::uint32_t, 24> kHeaders = {
      0x00000000, 0x00030000, 0x00000001, 0x08000001, 0x00000401, 0x20000401, 0x00000002, 0x00000005,
      0x00000006, 0x8000000b, 0x0000000b, 0xb0000008, 0x00000008, 0x5e00000a, 0x0000020d, 0xc0031500,
      0xc0033700, 0xc0053c00, 0xc0023f00, 0xc0064900, 0xc0055800, 0xc0027600, 0xc0001000, 0x80000000};
  const std::uint32_t header = kHeaders[below(random, kHeaders.size())];
  return one_in(random, 20) ? header ^ 1u << below(random, 32) : header;
}

std::uint32_t random_dword(FuzzRandom& random) {
  switch (below(random, 5)) {
    case 0:
      return random_header(random);
    case 1:
      return static_cast<std::uint32_t>(below(random, 256));
    case 2:
      return static_cast<std::uint32_t>(Rig::kVa >> 32);
    case 3:
      return static_cast<std::uint32_t>(random_address(random));
    default:
      return static_cast<std::uint32_t>(random());
  }
}

aql_kernel_dispatch random_aql(FuzzRandom& random) {
  std::array<std::uint32_t, 16> dwords;
  for (std::uint32_t& dword : dwords) {
    dword = random_dword(random);
  }
  auto packet = std::bit_cast<aql_kernel_dispatch>(dwords);
  switch (below(random, 4)) {
    case 0:
      packet = kernel_packet(random_address(random), one_in(random, 2) ? random_address(random) & ~63ull : 0);
      packet.private_segment_size = one_in(random, 4) ? 256 : 0;
      break;
    case 1:
      packet = std::bit_cast<aql_kernel_dispatch>(barrier_packet(one_in(random, 2) ? AQL_BARRIER_AND : AQL_BARRIER_OR,
                                                                 {random_address(random) & ~63ull}));
      break;
    case 2:
      packet = std::bit_cast<aql_kernel_dispatch>(
          pm4_packet(random_address(random) & ~3ull, static_cast<std::uint32_t>(below(random, 40))));
      break;
    default:
      packet.header = static_cast<std::uint16_t>(below(random, 0x400));
  }
  return packet;
}

// Something of the process's memory or page tables.
void disturb(FuzzRandom& random, Rig& rig) {
  const std::uint64_t page = Rig::kVa + below(random, Rig::kSize) / 4096 * 4096;
  switch (below(random, 8)) {
    case 0:
      rig.unmap(page);
      break;
    case 1:
      rig.map(page, !one_in(random, 3));
      break;
    case 2:
      rig.gpu().map(page, random() & ~AMDGPU_PDE_PTE);
      rig.gpu().spaces().invalidate({.vmid = Rig::kVmid, .first_page = 0, .pages = 0});
      break;
    case 3:
      store_release(rig.at<std::uint64_t>(Rig::kWptr), one_in(random, 4) ? random() : rig.wptr() + below(random, 3));
      break;
    case 4:
      store_release(*reinterpret_cast<std::uint64_t*>(rig.gpu().bar().doorbells().data() + Rig::kDoorbell),
                    one_in(random, 4) ? random() : rig.wptr());
      break;
    case 5:
      rig.at<std::uint64_t>(Rig::kAqlQueue + below(random, 32) * 8) = random_address(random);
      break;
    case 6:
      rig.at<std::uint64_t>(Rig::kSignals + below(random, 64) * 8) = random_address(random) & ~7ull;
      break;
    default:
      rig.at<std::uint32_t>(page + below(random, 1024) * 4) = random_dword(random);
  }
}

void end_a_kernel(FuzzRandom& random, FakeEngine& engine) {
  constexpr std::array<engine::Verdict, 5> kVerdicts = {engine::Verdict::Done, engine::Verdict::Fault,
                                                        engine::Verdict::Illegal, engine::Verdict::Trap,
                                                        engine::Verdict::Refused};
  for (std::size_t i = 0; i < engine.launched(); ++i) {
    ASSERT_EQ(engine.dispatch(i).vmid, Rig::kVmid);
    ASSERT_EQ(engine.dispatch(i).queue, Rig::kQueue);
    if (engine.running(i) && one_in(random, 2)) {
      engine.finish(i, one_in(random, 10) ? FakeEngine::failed(kVerdicts[below(random, kVerdicts.size())])
                                          : FakeEngine::done());
    }
  }
}

void play(FuzzRandom& random, kfdlab_queue_type type) {
  Rig rig(type, 4096, one_in(random, 2));
  for (int round = 0; round < 60 && rig.queue().error() == KFDLAB_QUEUE_OK; ++round) {
    for (std::uint64_t packets = below(random, 4); packets != 0; --packets) {
      if (type == KFDLAB_QUEUE_AQL) {
        rig.emit_aql(random_aql(random));
        continue;
      }
      std::vector<std::uint32_t> dwords = {random_header(random)};
      for (std::uint64_t i = below(random, 13); i != 0; --i) {
        dwords.push_back(random_dword(random));
      }
      rig.emit(dwords);
    }
    for (std::uint64_t i = below(random, 3); i != 0; --i) {
      disturb(random, rig);
    }
    rig.run(40);
    static_cast<void>(rig.step_later());
    end_a_kernel(random, rig.engine());
    ih_entry entry;
    while (rig.take_ih(entry)) {
      ASSERT_EQ(entry.pasid, Rig::kPasid);
    }
  }
}

class QueueFuzz : public ::testing::TestWithParam<kfdlab_queue_type> {};

TEST_P(QueueFuzz, HostileProcessNeverLeavesItsMemory) {
  FuzzRandom random = fuzz_random();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (std::chrono::steady_clock::now() < end && !HasFatalFailure()) {
    play(random, GetParam());
  }
}

INSTANTIATE_TEST_SUITE_P(Types, QueueFuzz,
                         ::testing::Values(KFDLAB_QUEUE_PM4, KFDLAB_QUEUE_SDMA, KFDLAB_QUEUE_AQL));

}  // namespace
}  // namespace kfdlab::device
