// SPDX-License-Identifier: MIT
// GEM_VA: the address space of a file. Mappings never overlap, end with their object, and obey the limits of DEV_INFO.
// What is mapped is asked by trying: MAP is refused exactly where something is.
#include <algorithm>
#include <cerrno>
#include <random>
#include <vector>

#include "tests/drm/gem_fixture.h"
#include "tests/support/buffer.h"
#include "tests/support/needs.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kBase = 0x1'0000'0000;
constexpr std::uint64_t kPages = 16;
constexpr std::uint64_t kSize = kPages * kPageSize;

class GemVa : public GemTest {
 protected:
  void SetUp() override {
    GemTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    handle_ = make(kSize, AMDGPU_GEM_DOMAIN_GTT);
  }
  [[nodiscard]] std::uint32_t handle() const { return handle_; }

  // 0 or errno; page numbers from kBase.
  int map(std::uint64_t page, std::uint64_t count, std::uint32_t operation = AMDGPU_VA_OP_MAP) const {
    return gem().va(operation, handle_, kBase + page * kPageSize, count * kPageSize);
  }
  int clear(std::uint64_t page, std::uint64_t count) const {
    return gem().va(AMDGPU_VA_OP_CLEAR, 0, kBase + page * kPageSize, count * kPageSize, 0, 0);
  }
  int unmap(std::uint64_t page) const { return map(page, 1, AMDGPU_VA_OP_UNMAP); }
  // Is anything mapped at the page? It is as it was afterwards.
  [[nodiscard]] bool mapped(std::uint64_t page) const {
    const int error = map(page, 1);
    if (error == 0) {
      EXPECT_EQ(unmap(page), 0);
    }
    EXPECT_TRUE(error == 0 || error == EINVAL) << error;
    return error != 0;
  }
  // One character for each of the first `count` pages: '#' mapped, '.' not.
  [[nodiscard]] std::string picture(std::uint64_t count) const {
    std::string text;
    for (std::uint64_t page = 0; page < count; ++page) {
      text += mapped(page) ? '#' : '.';
    }
    return text;
  }

 private:
  std::uint32_t handle_ = 0;
};

TEST_F(GemVa, MapsNeverOverlap) {
  ASSERT_EQ(map(4, 4), 0);
  EXPECT_EQ(map(4, 4), EINVAL);
  EXPECT_EQ(map(5, 1), EINVAL);
  EXPECT_EQ(map(0, 5), EINVAL);
  EXPECT_EQ(map(7, 8), EINVAL);
  EXPECT_EQ(map(0, 16), EINVAL);
  EXPECT_EQ(map(0, 4), 0);
  EXPECT_EQ(map(8, 1), 0);
  EXPECT_EQ(picture(12), "#########...");
}

TEST_F(GemVa, UnmapNamesTheStartOfAMapping) {
  ASSERT_EQ(map(4, 4), 0);
  EXPECT_EQ(unmap(5), ENOENT);
  EXPECT_EQ(unmap(3), ENOENT);
  EXPECT_EQ(unmap(4), 0);
  EXPECT_EQ(unmap(4), ENOENT);
  EXPECT_EQ(picture(12), "............");
}

TEST_F(GemVa, UnmapNamesTheObjectToo) {
  const std::uint32_t other = make(kSize, AMDGPU_GEM_DOMAIN_GTT);
  ASSERT_EQ(map(4, 4), 0);
  EXPECT_EQ(gem().va(AMDGPU_VA_OP_UNMAP, other, kBase + 4 * kPageSize, kPageSize), ENOENT);
  EXPECT_TRUE(mapped(4));
  EXPECT_EQ(gem().close(other), 0);
}

TEST_F(GemVa, ClearCutsWhatItMeets) {
  struct Row {
    std::uint64_t first, count;
    const char* left;
  };
  const Row rows[] = {
      {6, 2, "....##..##.#"},   // the middle: two pieces are left
      {2, 4, "......####.#"},   // the start
      {8, 2, "....####...#"},   // the end
      {4, 6, "...........#"},   // exactly
      {0, 12, "............"},  // more than one
      {10, 1, "....######.#"},  // nothing there
      {9, 3, "....#####..."},   // the end of one and all of another
  };
  for (const Row& row : rows) {
    ASSERT_EQ(map(4, 6), 0);
    ASSERT_EQ(map(11, 1), 0);
    EXPECT_EQ(clear(row.first, row.count), 0);
    EXPECT_EQ(picture(12), row.left) << "clear " << row.first << "+" << row.count;
    ASSERT_EQ(clear(0, 16), 0);
  }
}

// The rest behind a cut can be unmapped by its own start; the rest before it by the old one.
TEST_F(GemVa, PiecesOfACutMappingAreMappings) {
  ASSERT_EQ(map(0, 8), 0);
  ASSERT_EQ(clear(2, 2), 0);
  EXPECT_EQ(unmap(4), 0);
  EXPECT_EQ(unmap(0), 0);
  EXPECT_EQ(picture(9), ".........");
}

TEST_F(GemVa, ReplaceTakesThePlaceOfWhatIsThere) {
  ASSERT_EQ(map(0, 8), 0);
  ASSERT_EQ(map(2, 3, AMDGPU_VA_OP_REPLACE), 0);
  EXPECT_EQ(picture(9), "########.");
  EXPECT_EQ(unmap(2), 0);
  EXPECT_EQ(picture(9), "##...###.");
  EXPECT_EQ(map(0, 12, AMDGPU_VA_OP_REPLACE), 0);
  EXPECT_EQ(picture(13), "############.");
  EXPECT_EQ(unmap(0), 0);
  EXPECT_EQ(picture(13), ".............");
}

TEST_F(GemVa, MappingsEndWithTheLastHandle) {
  ASSERT_EQ(map(0, 4), 0);
  const std::uint32_t other = make(kSize, AMDGPU_GEM_DOMAIN_GTT);
  ASSERT_EQ(gem().va(AMDGPU_VA_OP_MAP, other, kBase + 8 * kPageSize, kPageSize), 0);
  EXPECT_EQ(picture(10), "####....#.");
  EXPECT_EQ(gem().close(other), 0);
  EXPECT_EQ(picture(10), "####......");
}

TEST_F(GemVa, FilesAreSeparateSpaces) {
  ASSERT_EQ(map(0, 4), 0);
  const Fd file = open_node();
  const GemFile other(file.get());
  std::uint32_t handle = 0;
  ASSERT_EQ(other.create(kSize, AMDGPU_GEM_DOMAIN_GTT, 0, &handle), 0);
  EXPECT_EQ(other.va(AMDGPU_VA_OP_MAP, handle, kBase, kSize), 0);
  EXPECT_EQ(other.va(AMDGPU_VA_OP_UNMAP, handle, kBase, kSize), 0);
  EXPECT_EQ(picture(5), "####.");
}

TEST_F(GemVa, PartiallyResidentMappingsNeedNoObject) {
  EXPECT_EQ(gem().va(AMDGPU_VA_OP_MAP, 0, kBase, kSize, 0, AMDGPU_VM_PAGE_PRT), 0);
  EXPECT_TRUE(mapped(3));
  EXPECT_EQ(gem().va(AMDGPU_VA_OP_UNMAP, 0, kBase, kSize, 0, AMDGPU_VM_PAGE_PRT), 0);
  EXPECT_FALSE(mapped(3));
  // One stays until the file is closed.
  EXPECT_EQ(gem().va(AMDGPU_VA_OP_MAP, 0, kBase, 1ull << 40, 0, AMDGPU_VM_PAGE_PRT), 0);
}

TEST_F(GemVa, BadArgumentsAreRefused) {
  drm_amdgpu_info_device device = {};
  ASSERT_EQ(info(AMDGPU_INFO_DEV_INFO, &device, sizeof(device)), 0);
  struct Row {
    const char* what;
    std::uint32_t operation;
    std::uint32_t flags;
    std::uint64_t address, size, offset;
  };
  const std::uint32_t rw = GemFile::kReadWrite;
  const Row rows[] = {
      {"no operation", 0, rw, kBase, kSize, 0},
      {"unknown operation", 5, rw, kBase, kSize, 0},
      {"unknown flag", AMDGPU_VA_OP_MAP, 1u << 31, kBase, kSize, 0},
      {"PRT with access", AMDGPU_VA_OP_MAP, AMDGPU_VM_PAGE_PRT | rw, kBase, kSize, 0},
      {"address 0", AMDGPU_VA_OP_MAP, rw, 0, kSize, 0},
      {"below the range", AMDGPU_VA_OP_MAP, rw, kPageSize, kSize, 0},
      {"start of the hole", AMDGPU_VA_OP_MAP, rw, device.virtual_address_max, kSize, 0},
      {"end of the hole", AMDGPU_VA_OP_MAP, rw, device.high_va_offset - kPageSize, kSize, 0},
      {"beyond the top", AMDGPU_VA_OP_MAP, rw, device.high_va_max - kPageSize, kSize, 0},
      {"size wraps", AMDGPU_VA_OP_MAP, rw, kBase, ~0ull - kPageSize + 1, 0},
      {"address no page", AMDGPU_VA_OP_MAP, rw, kBase + 8, kSize, 0},
      {"size no page", AMDGPU_VA_OP_MAP, rw, kBase, kSize - 8, 0},
      {"offset no page", AMDGPU_VA_OP_MAP, rw, kBase, kPageSize, 8},
      {"nothing", AMDGPU_VA_OP_MAP, rw, kBase, 0, 0},
      {"beyond the object", AMDGPU_VA_OP_MAP, rw, kBase, kSize + kPageSize, 0},
      {"offset beyond the object", AMDGPU_VA_OP_MAP, rw, kBase, kPageSize, kSize},
      {"offset wraps", AMDGPU_VA_OP_MAP, rw, kBase, kSize, ~0ull - kPageSize + 1},
      {"replace beyond the object", AMDGPU_VA_OP_REPLACE, rw, kBase, 2 * kSize, 0},
      {"clear nothing", AMDGPU_VA_OP_CLEAR, 0, kBase, 0, 0},
      {"clear half a page", AMDGPU_VA_OP_CLEAR, 0, kBase, kPageSize / 2, 0},
      {"clear off a page", AMDGPU_VA_OP_CLEAR, 0, kBase + 1, kPageSize, 0},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(gem().va(row.operation, handle(), row.address, row.size, row.offset, row.flags), EINVAL) << row.what;
  }
  EXPECT_EQ(gem().va(AMDGPU_VA_OP_MAP, handle() + 1000, kBase, kSize), ENOENT);
  EXPECT_EQ(picture(3), "...");
}

TEST_F(GemVa, EdgesOfTheRangesCanBeMapped) {
  drm_amdgpu_info_device device = {};
  ASSERT_EQ(info(AMDGPU_INFO_DEV_INFO, &device, sizeof(device)), 0);
  const std::uint64_t edges[] = {device.virtual_address_offset, device.virtual_address_max - kSize,
                                 device.high_va_offset, device.high_va_max - kSize};
  for (const std::uint64_t address : edges) {
    EXPECT_EQ(gem().va(AMDGPU_VA_OP_MAP, handle(), address, kSize), 0) << std::hex << address;
    EXPECT_EQ(gem().va(AMDGPU_VA_OP_UNMAP, handle(), address, kSize), 0) << std::hex << address;
  }
}

// Random operations against a plain array that does the same.
TEST_F(GemVa, RandomOperationsMatchAModel) {
  constexpr std::uint64_t kSpace = 64;
  std::mt19937_64 random(test_seed());
  RecordProperty("seed", std::to_string(test_seed()));
  std::vector<int> model(kSpace, 0);  // number of the mapping at each page, 0: none
  int next = 1;
  for (int i = 0; i < 1500; ++i) {
    const std::uint64_t first = random() % kSpace;
    const std::uint64_t count = 1 + random() % std::min(kPages, kSpace - first);
    const auto begin = model.begin() + static_cast<std::ptrdiff_t>(first);
    const auto end = begin + static_cast<std::ptrdiff_t>(count);
    const bool free = std::all_of(begin, end, [](int mapping) { return mapping == 0; });
    switch (random() % 4) {
      case 0:
        ASSERT_EQ(map(first, count), free ? 0 : EINVAL) << "step " << i;
        if (free) {
          std::fill(begin, end, next++);
        }
        break;
      case 1:
        ASSERT_EQ(map(first, count, AMDGPU_VA_OP_REPLACE), 0) << "step " << i;
        std::fill(begin, end, next++);
        break;
      case 2:
        ASSERT_EQ(clear(first, count), 0) << "step " << i;
        std::fill(begin, end, 0);
        break;
      default: {
        // A piece starts where the page before belongs to another mapping or none.
        const int here = model[first];
        const bool start = here != 0 && (first == 0 || model[first - 1] != here);
        ASSERT_EQ(unmap(first), start ? 0 : ENOENT) << "step " << i;
        for (std::uint64_t page = first; start && page < kSpace && model[page] == here; ++page) {
          model[page] = 0;
        }
      }
    }
  }
  ASSERT_EQ(clear(0, kSpace), 0);
}

// The number of records is bounded by an error, not by what memory there is.
TEST_F(GemVa, NumberOfMappingsIsBounded) {
  const Fd file = open_node();
  const GemFile other(file.get());
  int error = 0;
  std::uint64_t mapped = 0;
  constexpr std::uint64_t kMore = (1 << 18) + 1;
  for (; error == 0 && mapped < kMore; ++mapped) {
    error = other.va(AMDGPU_VA_OP_MAP, 0, kBase + mapped * kPageSize, kPageSize, 0, AMDGPU_VM_PAGE_PRT);
  }
  EXPECT_EQ(error, ENOMEM);
  RecordProperty("mappings", std::to_string(mapped - 1));
  EXPECT_EQ(other.va(AMDGPU_VA_OP_CLEAR, 0, kBase, kMore * kPageSize, 0, 0), ENOMEM) << "a cut may need a record";
}

}  // namespace
}  // namespace kfdlab
