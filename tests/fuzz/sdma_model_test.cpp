// SPDX-License-Identifier: MIT
// Random programs for the copy ring, most of them nearly right, judged byte by byte against SdmaModel.
#include "tests/fuzz/sdma_model.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

#include "device/host/shared_word.h"
#include "tests/fuzz/fuzz_seed.h"
#include "tests/unit/device/support/loopback_vm.h"

namespace kfdlab::device {
namespace {

using Vm = LoopbackVm;
constexpr int kPrograms = 60;

// Writes random packets through a driver and remembers them.
class Generator {
 public:
  Generator(FuzzRandom& random, Vm& vm) : random_(random), vm_(vm) {}

  void program() {
    const std::uint64_t packets = 1 + below(random_, 40);
    for (std::uint64_t i = 0; i < packets; ++i) {
      packet();
    }
  }
  [[nodiscard]] const std::vector<std::uint32_t>& dwords() const { return dwords_; }

 private:
  // Near an end of something, or anywhere in it.
  std::uint64_t address() {
    const std::array<std::pair<std::uint64_t, std::uint64_t>, 4> areas = {{
        {Vm::kRamBase, Vm::kRamSize},
        {Vm::kHighRamBase, Vm::kSegmentSize},
        {vm_.gpu(0).vram_address(), vm_.gpu(0).vram().size()},
        {vm_.gpu(1).vram_address(), vm_.gpu(1).vram().size()},
    }};
    const auto [base, size] = areas[below(random_, areas.size())];
    switch (below(random_, 8)) {
      case 0:
        return base + size - (one_in(random_, 4) ? below(random_, 0x3000) : 0x18000);
      case 1:
        return base + below(random_, 64);
      case 2:
        return Vm::kRamBase + Vm::kSegmentSize - below(random_, 0x2000);
      case 3:
        return one_in(random_, 6) ? random_() : base + below(random_, size - 0x20000);
      case 4:
      case 5:
        return base + below(random_, 0x10000);
      default:
        return base + below(random_, size - 0x20000);
    }
  }
  std::uint32_t size() {
    return static_cast<std::uint32_t>(one_in(random_, 25) ? 1 + below(random_, 0x18000) : 1 + below(random_, 0x1000));
  }

  void packet() {
    switch (below(random_, 8)) {
      case 0:
        return emit(trap_packet(static_cast<std::uint32_t>(random_())));
      case 1: {
        const std::uint64_t target = one_in(random_, 3) ? vm_.gpu(0).fence_address() : address() & ~std::uint64_t{3};
        return emit(fence_packet(target, static_cast<std::uint32_t>(random_())));
      }
      case 2: {
        const auto skip = static_cast<std::uint32_t>(below(random_, 5));
        std::vector<std::uint32_t> nop(1 + skip, static_cast<std::uint32_t>(random_()));
        nop[0] = skip << SDMA_NOP_COUNT_SHIFT;
        return append(nop.data(), nop.size());
      }
      case 3:
      case 4: {
        const auto value = static_cast<std::uint32_t>(one_in(random_, 2) ? random_() : 0);
        return emit(fill_packet(address() & ~std::uint64_t{3}, value, (size() + 3) & ~3u));
      }
      default: {
        const std::uint32_t bytes = size();
        const std::uint64_t source = address();
        const std::uint64_t destination = address();
        // What an overlapping copy leaves is not defined, so the model has nothing to say about it.
        const bool overlap = source - destination < bytes || destination - source < bytes;
        return overlap ? emit(trap_packet(0)) : emit(copy_packet(source, destination, bytes));
      }
    }
  }

  template <typename Packet>
  void emit(Packet packet) {
    std::array<std::uint32_t, sizeof(Packet) / 4> dwords;
    std::memcpy(dwords.data(), &packet, sizeof(packet));
    // Now and then one bit is wrong: anywhere but in a copy's address, which could make it overlap.
    if (one_in(random_, 60)) {
      dwords[below(random_, 2)] ^= 1u << below(random_, 32);
    }
    append(dwords.data(), dwords.size());
  }
  void append(const std::uint32_t* dwords, std::size_t count) {
    vm_.gpu(0).emit_dwords(dwords, count);
    dwords_.insert(dwords_.end(), dwords, dwords + count);
  }

  FuzzRandom& random_;
  Vm& vm_;
  std::vector<std::uint32_t> dwords_;
};

struct Areas {
  std::vector<std::uint64_t> addresses;
  std::vector<std::span<std::byte>> bytes;
};

Areas areas_of(Vm& vm) {
  Areas areas;
  for (const std::uint64_t address : {Vm::kRamBase, Vm::kRamBase + Vm::kSegmentSize, Vm::kHighRamBase}) {
    areas.addresses.push_back(address);
    areas.bytes.push_back(vm.ram(address, Vm::kSegmentSize));
  }
  for (unsigned gpu = 0; gpu < 2; ++gpu) {
    areas.addresses.push_back(vm.gpu(gpu).vram_address());
    areas.bytes.push_back(vm.gpu(gpu).vram());
  }
  return areas;
}

TEST(SdmaFuzz, DeviceAgreesWithModelOnEveryByteAndError) {
  FuzzRandom random = fuzz_random();
  std::array<int, KFDLAB_RING_BAD_POINTER + 1> outcomes = {};
  for (int program = 0; program < kPrograms; ++program) {
    SCOPED_TRACE(program);
    Vm vm(2);
    const Areas areas = areas_of(vm);
    SdmaModel model;
    for (std::size_t i = 0; i < areas.bytes.size(); ++i) {
      // Both ends of each area have contents, the rest is zero.
      fill_pattern(areas.bytes[i].first(0x10000), random());
      fill_pattern(areas.bytes[i].last(0x4000), random());
      model.add_memory(areas.addresses[i], areas.bytes[i]);
    }
    model.set_fence_register(vm.gpu(0).fence_address());
    Generator generator(random, vm);
    generator.program();
    const SdmaModel::Outcome expected = model.run(generator.dwords());
    EXPECT_EQ(vm.gpu(0).run(), expected.error == KFDLAB_RING_OK);
    vm.stop();
    ++outcomes[expected.error];
    ASSERT_EQ(vm.gpu(0).copy_error(), expected.error);
    ASSERT_EQ(load_acquire(vm.gpu(0).device().copy_rptr), expected.consumed);
    ASSERT_EQ(load_acquire(vm.gpu(0).device().ih_wptr), expected.traps * sizeof(ih_entry));
    ASSERT_EQ(load_acquire(vm.gpu(0).device().copy_fence), model.fence());
    for (std::size_t i = 0; i < areas.bytes.size(); ++i) {
      ASSERT_EQ(std::memcmp(areas.bytes[i].data(), model.memory(i).data(), areas.bytes[i].size()), 0) << "area " << i;
    }
  }
  EXPECT_GT(outcomes[KFDLAB_RING_OK], 0) << "no program ran to its end: the generator is too wild";
  EXPECT_LT(outcomes[KFDLAB_RING_OK], kPrograms) << "no program failed: the generator is too tame";
}

}  // namespace
}  // namespace kfdlab::device
