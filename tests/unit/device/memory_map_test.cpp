// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "device/host/guest_memory.h"
#include "device/host/shared_word.h"
#include "device/mmu/physical_map.h"
#include "tests/unit/device/support/guarded_memory.h"
#include "tests/unit/device/support/test_driver.h"

namespace kfdlab::device {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kBarSize = 8u << 20;

Result<GuestMemory> ram_of(const GuardedMemory& memory, std::vector<std::uint64_t> addresses) {
  std::vector<RamSegment> segments;
  for (const std::uint64_t address : addresses) {
    segments.push_back({.address = address, .host = memory.bytes()});
  }
  return GuestMemory::create(std::move(segments));
}

TEST(GuestMemory, FindStopsAtTheEndOfASegment) {
  const GuardedMemory memory(4 * kPage);
  const Result<GuestMemory> ram = ram_of(memory, {0x10000, 0x10000 + 4 * kPage});
  ASSERT_TRUE(ram.ok());
  const std::span<std::byte> piece = ram.value().find(0x10000 + 3 * kPage + 100, 10 * kPage);
  EXPECT_EQ(piece.data(), memory.bytes().data() + 3 * kPage + 100);
  EXPECT_EQ(piece.size(), kPage - 100);
  EXPECT_EQ(ram.value().find(0x10000, 5).size(), 5u);
}

TEST(GuestMemory, FindGivesNothingOutsideSegments) {
  const GuardedMemory memory(kPage);
  const Result<GuestMemory> ram = ram_of(memory, {0x10000});
  ASSERT_TRUE(ram.ok());
  for (const std::uint64_t address : {std::uint64_t{0}, std::uint64_t{0xffff}, 0x10000 + kPage, ~std::uint64_t{0}}) {
    EXPECT_TRUE(ram.value().find(address, kPage).empty()) << std::hex << address;
  }
}

TEST(GuestMemory, CreateRefusesOverlapMisalignmentAndWrapping) {
  const GuardedMemory memory(2 * kPage);
  EXPECT_FALSE(ram_of(memory, {0x10000, 0x11000}).ok());
  EXPECT_FALSE(ram_of(memory, {0x10800}).ok());
  EXPECT_FALSE(ram_of(memory, {~std::uint64_t{0} - kPage + 1}).ok());
}

class PhysicalMapTest : public ::testing::Test {
 protected:
  PhysicalMapTest() { write_identity(bar_memory_.bytes(), 0, 1); }

  void SetUp() override {
    Result<GuestMemory> ram = ram_of(ram_memory_, {0x10000});
    ASSERT_TRUE(ram.ok());
    ram_.emplace(ram.take());
    Result<Bar> bar = Bar::create(bar_memory_.bytes(), 0, 1);
    ASSERT_TRUE(bar.ok());
    bar_.emplace(bar.take());
    map_.emplace(*ram_, std::vector<const Bar*>{&*bar_});
  }
  void set_base(std::uint64_t base) { store_relaxed(bar_->driver_regs().bar_base, base); }

  GuardedMemory ram_memory_{kPage};
  GuardedMemory bar_memory_{kBarSize};
  std::optional<GuestMemory> ram_;
  std::optional<Bar> bar_;
  std::optional<PhysicalMap> map_;
};

TEST_F(PhysicalMapTest, VramAppearsWhereTheDriverSaysTheBarIs) {
  EXPECT_TRUE(map_->view().find(8 * kBarSize + KFDLAB_BAR_VRAM, 1).empty());
  set_base(8 * kBarSize);
  EXPECT_EQ(map_->view().find(8 * kBarSize + KFDLAB_BAR_VRAM + 5, kPage).data(), bar_->vram().data() + 5);
  EXPECT_TRUE(map_->view().covers(8 * kBarSize + KFDLAB_BAR_VRAM, bar_->vram().size()));
  EXPECT_FALSE(map_->view().covers(8 * kBarSize + KFDLAB_BAR_VRAM, bar_->vram().size() + 1));
}

TEST_F(PhysicalMapTest, RegistersAndRingsAreNoTargets) {
  set_base(8 * kBarSize);
  for (const std::uint64_t offset :
       {KFDLAB_BAR_IDENTITY, KFDLAB_BAR_DEVICE_REGS, KFDLAB_BAR_DRIVER_REGS, KFDLAB_BAR_CONTROL_RING,
        KFDLAB_BAR_COPY_RING, KFDLAB_BAR_IH_RING, KFDLAB_BAR_DOORBELLS, KFDLAB_BAR_VRAM - 1}) {
    EXPECT_TRUE(map_->view().find(8 * kBarSize + offset, 1).empty()) << std::hex << offset;
  }
}

TEST_F(PhysicalMapTest, BaseThatNoBarCanHaveIsIgnored) {
  for (const std::uint64_t base : {8 * kBarSize + 1, 8 * kBarSize + kPage, ~std::uint64_t{0}}) {
    set_base(base);
    EXPECT_EQ(bar_base(*bar_), 0u);
    EXPECT_TRUE(map_->view().find(base + KFDLAB_BAR_VRAM, 1).empty());
  }
}

TEST_F(PhysicalMapTest, ViewStaysAsItWasWhenTheBarMoves) {
  set_base(8 * kBarSize);
  const PhysicalMap::View view = map_->view();
  set_base(9 * kBarSize);
  EXPECT_TRUE(view.covers(8 * kBarSize + KFDLAB_BAR_VRAM, 1));
  EXPECT_FALSE(view.covers(9 * kBarSize + KFDLAB_BAR_VRAM, 1));
  EXPECT_TRUE(map_->view().covers(9 * kBarSize + KFDLAB_BAR_VRAM, 1));
}

TEST_F(PhysicalMapTest, CoversRefusesRangesThatWrap) {
  EXPECT_FALSE(map_->view().covers(~std::uint64_t{0}, 2));
  EXPECT_FALSE(map_->view().covers(0x10000, ~std::uint64_t{0}));
}

TEST_F(PhysicalMapTest, FenceWordIsDwordOfMemoryOrTheCopyFence) {
  set_base(8 * kBarSize);
  const PhysicalMap::View view = map_->view();
  EXPECT_EQ(reinterpret_cast<std::byte*>(view.fence_word(0x10004, *bar_)), ram_memory_.bytes().data() + 4);
  EXPECT_EQ(view.fence_word(0x10002, *bar_), nullptr);
  const std::uint64_t regs = 8 * kBarSize + KFDLAB_BAR_DEVICE_REGS;
  for (std::uint64_t offset = 0; offset < sizeof(kfdlab_device_regs); offset += 4) {
    std::uint32_t* expected =
        offset == offsetof(kfdlab_device_regs, copy_fence) ? &bar_->device_regs().copy_fence : nullptr;
    EXPECT_EQ(view.fence_word(regs + offset, *bar_), expected) << std::hex << offset;
  }
}

}  // namespace
}  // namespace kfdlab::device
