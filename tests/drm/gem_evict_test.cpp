// SPDX-License-Identifier: MIT
// Objects leave VRAM for others and when told to: contents stay, CPU mappings follow, numbers add up.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <thread>
#include <vector>

#include "tests/drm/gem_fixture.h"
#include "tests/support/buffer.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

using GemEvict = GemTest;

constexpr std::uint64_t kSize = 4 << 20;
constexpr std::size_t kPages = kSize / kPageSize;
constexpr std::uint64_t kSeed = 0xe71c7;

TEST_F(GemEvict, MappedObjectLeavesVramWithItsContents) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_VRAM);
  const GemMapping mapping(fd(), offset_of(handle), kSize);
  ASSERT_TRUE(mapping.valid());
  fill_pattern(mapping.bytes(), kSeed);
  ASSERT_EQ(homes(mapping), (PageCensus{0, 0, kPages}));
  const std::uint64_t used = vram_used();
  const std::uint64_t evictions = info_number(AMDGPU_INFO_NUM_EVICTIONS);
  const std::uint64_t moved = info_number(AMDGPU_INFO_NUM_BYTES_MOVED);

  evict_all_vram();
  EXPECT_EQ(census(mapping).vram, 0u) << "no mapping of VRAM that may soon be another's";
  EXPECT_TRUE(eventually([&] { return vram_used() <= used - kSize; }));
  EXPECT_GT(info_number(AMDGPU_INFO_NUM_EVICTIONS), evictions);
  EXPECT_GE(info_number(AMDGPU_INFO_NUM_BYTES_MOVED), moved + kSize);
  EXPECT_EQ(pattern_error(mapping.bytes(), kSeed), "");
  EXPECT_EQ(homes(mapping), (PageCensus{0, kPages, 0}));
  // What is written there is there for good.
  fill_pattern(mapping.bytes(), kSeed + 1);
  EXPECT_EQ(pattern_error(mapping.bytes(), kSeed + 1), "");
  EXPECT_EQ(gem().close(handle), 0);
  expect_usage_back();
}

TEST_F(GemEvict, OlderObjectsMakeRoomForNewer) {
  shrink_vram(4 * kSize);
  std::vector<std::uint32_t> handles;
  std::vector<std::unique_ptr<GemMapping>> mappings;
  for (std::uint64_t i = 0; i < 8; ++i) {
    handles.push_back(make(kSize, AMDGPU_GEM_DOMAIN_VRAM));
    mappings.push_back(std::make_unique<GemMapping>(fd(), offset_of(handles.back()), kSize));
    ASSERT_TRUE(mappings.back()->valid());
    EXPECT_TRUE(mappings.back()->all_zero()) << "object " << i;
    fill_pattern(mappings.back()->bytes(), kSeed + i);
  }
  PageCensus sum;
  for (std::uint64_t i = 0; i < 8; ++i) {
    EXPECT_EQ(pattern_error(mappings[i]->bytes(), kSeed + i), "") << "object " << i;
    const PageCensus census = homes(*mappings[i]);
    sum.vram += census.vram;
    sum.ram += census.ram;
    // Nothing is in pieces.
    EXPECT_TRUE(census.vram == kPages || census.ram == kPages) << "object " << i << ": " << to_string(census);
  }
  EXPECT_EQ(sum, (PageCensus{0, 4 * kPages, 4 * kPages})) << "what fits is in VRAM";
  EXPECT_EQ(homes(*mappings.back()).vram, kPages) << "the newest stayed";
  for (const std::uint32_t handle : handles) {
    EXPECT_EQ(gem().close(handle), 0);
  }
  mappings.clear();
  expect_usage_back();
}

TEST_F(GemEvict, EitherDomainTakesFreeVramAndEvictsNobody) {
  shrink_vram(kSize);
  const std::uint32_t first = make(kSize, AMDGPU_GEM_DOMAIN_VRAM);
  const std::uint64_t evictions = info_number(AMDGPU_INFO_NUM_EVICTIONS);
  const std::uint32_t second = make(kSize, AMDGPU_GEM_DOMAIN_VRAM | AMDGPU_GEM_DOMAIN_GTT);
  EXPECT_EQ(info_number(AMDGPU_INFO_NUM_EVICTIONS), evictions);
  const GemMapping before(fd(), offset_of(first), kSize);
  const GemMapping after(fd(), offset_of(second), kSize);
  ASSERT_TRUE(before.valid() && after.valid());
  EXPECT_EQ(homes(before), (PageCensus{0, 0, kPages}));
  EXPECT_EQ(homes(after), (PageCensus{0, kPages, 0}));
  EXPECT_EQ(gem().close(first), 0);
  EXPECT_EQ(gem().close(second), 0);
}

// The owner said it can do without the contents: eviction costs nothing, and what it sees then is zero.
TEST_F(GemEvict, DiscardableObjectIsZeroAfterwards) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_VRAM, kDiscardable);
  const GemMapping mapping(fd(), offset_of(handle), kSize);
  ASSERT_TRUE(mapping.valid());
  fill_pattern(mapping.bytes(), kSeed);
  const std::uint64_t moved = info_number(AMDGPU_INFO_NUM_BYTES_MOVED);
  evict_all_vram();
  EXPECT_EQ(census(mapping).vram, 0u);
  EXPECT_EQ(info_number(AMDGPU_INFO_NUM_BYTES_MOVED), moved);
  EXPECT_TRUE(mapping.all_zero());
  EXPECT_EQ(homes(mapping).vram, 0u);
  EXPECT_EQ(gem().close(handle), 0);
}

// A writer never notices, however often the object is thrown out under it.
TEST_F(GemEvict, WritesDuringEvictionsAreNotLost) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_VRAM);
  const GemMapping mapping(fd(), offset_of(handle), kSize);
  ASSERT_TRUE(mapping.valid());
  std::atomic<bool> stop = false;
  std::uint64_t rounds = 0;
  std::string error;
  std::thread writer([&] {
    for (; !stop || rounds == 0; ++rounds) {
      const std::size_t at = rounds * 61 % (kPages - 16) * kPageSize;
      const std::span<std::byte> part = mapping.bytes().subspan(at, 16 * kPageSize);
      fill_pattern(part, rounds);
      const std::string found = pattern_error(part, rounds);
      if (!found.empty()) {
        error = found;
        return;
      }
    }
  });
  for (int i = 0; i < 5; ++i) {
    evict_all_vram_in_use();
    // Another one takes the VRAM, and fills it with something else.
    const std::uint32_t other = make(kSize, AMDGPU_GEM_DOMAIN_VRAM);
    const GemMapping there(fd(), offset_of(other), kSize);
    ASSERT_TRUE(there.valid());
    EXPECT_TRUE(there.all_zero());
    fill_pattern(there.bytes(), kSeed);
    EXPECT_EQ(pattern_error(there.bytes(), kSeed), "");
    EXPECT_EQ(gem().close(other), 0);
  }
  stop = true;
  writer.join();
  EXPECT_EQ(error, "");
  RecordProperty("rounds", std::to_string(rounds));
  EXPECT_EQ(gem().close(handle), 0);
}

// fdinfo, metadata and the like tell about an object; they do not make it recently used.
TEST_F(GemEvict, LookingAtAnObjectDoesNotKeepItInVram) {
  shrink_vram(2 * kSize);
  const std::uint32_t oldest = make(kSize, AMDGPU_GEM_DOMAIN_VRAM);
  const std::uint32_t newer = make(kSize, AMDGPU_GEM_DOMAIN_VRAM);
  EXPECT_EQ(gem().fdinfo_bytes("drm-memory-vram"), 2 * kSize);
  drm_amdgpu_gem_metadata metadata;
  EXPECT_EQ(gem().get_metadata(oldest, &metadata), 0);
  drm_amdgpu_gem_create_in info = {};
  EXPECT_EQ(gem().create_info(oldest, &info), 0);
  const std::uint32_t newest = make(kSize, AMDGPU_GEM_DOMAIN_VRAM);
  const std::uint32_t handles[] = {oldest, newer, newest};
  for (std::size_t i = 0; i < std::size(handles); ++i) {
    const GemMapping mapping(fd(), offset_of(handles[i]), kSize);
    ASSERT_TRUE(mapping.valid());
    EXPECT_EQ(homes(mapping).vram, i == 0 ? 0 : kPages) << "object " << i;
  }
  for (const std::uint32_t handle : handles) {
    EXPECT_EQ(gem().close(handle), 0);
  }
  expect_usage_back();
}

// What was thrown away reads as zero for a debugger too, before anybody touched it.
TEST_F(GemEvict, DebuggerReadsZeroWhereContentsWereDiscarded) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_VRAM, kDiscardable);
  const GemMapping mapping(fd(), offset_of(handle), kSize);
  ASSERT_TRUE(mapping.valid());
  fill_pattern(mapping.bytes(), kSeed);
  evict_all_vram();
  std::ifstream memory("/proc/self/mem", std::ios::binary);
  std::array<char, 3 * kPageSize> copy;
  copy.fill('x');
  memory.seekg(static_cast<std::streamoff>(reinterpret_cast<std::uintptr_t>(mapping.data())));
  ASSERT_TRUE(memory.read(copy.data(), copy.size()));
  EXPECT_EQ(std::count(copy.begin(), copy.end(), 0), static_cast<std::ptrdiff_t>(copy.size()));
  EXPECT_EQ(gem().close(handle), 0);
}

TEST_F(GemEvict, DebuggerReadsWhatWasEvicted) {
  const std::uint32_t handle = make(kSize, AMDGPU_GEM_DOMAIN_VRAM);
  const GemMapping mapping(fd(), offset_of(handle), kSize);
  ASSERT_TRUE(mapping.valid());
  fill_pattern(mapping.bytes(), kSeed);
  for (int round = 0; round < 2; ++round) {
    std::ifstream memory("/proc/self/mem", std::ios::binary);
    std::array<char, 3 * kPageSize> copy;
    const std::uint64_t at = kSize / 2;
    memory.seekg(static_cast<std::streamoff>(reinterpret_cast<std::uintptr_t>(mapping.data()) + at));
    ASSERT_TRUE(memory.read(copy.data(), copy.size()));
    EXPECT_EQ(std::memcmp(copy.data(), mapping.data() + at, copy.size()), 0) << "round " << round;
    evict_all_vram();
  }
  EXPECT_EQ(gem().close(handle), 0);
}

}  // namespace
}  // namespace kfdlab
