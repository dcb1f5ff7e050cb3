// SPDX-License-Identifier: MIT
// After an eviction everybody who is asked says where the pages really are, and a prefetch brings them back.
#include <fstream>
#include <sstream>

#include "tests/kfd/evict_fixture.h"

namespace kfdlab {
namespace {

constexpr char kSvmRanges[] = "/sys/kernel/debug/kfd/svm_ranges";

class EvictReport : public Evict {
 protected:
  // pages_in_vram of a process in debugfs, -1: not listed.
  static long pages_in_vram(pid_t pid) {
    std::ifstream file(kSvmRanges);
    const std::string begin = "process " + std::to_string(pid) + " ";
    for (std::string line; std::getline(file, line);) {
      const auto at = line.find("pages_in_vram=");
      if (line.starts_with(begin) && at != std::string::npos) {
        return std::stol(line.substr(at + std::char_traits<char>::length("pages_in_vram=")));
      }
    }
    return -1;
  }
  // Everyone who can tell where a buffer's pages are, and what they say about how many are in VRAM.
  void expect_in_vram(const Buffer& buffer, std::size_t npages) const {
    EXPECT_EQ(census(buffer), (PageCensus{.ram = buffer.npages() - npages, .vram = npages})) << "pagemap";
    const auto pages = device().pages(buffer.data(), buffer.npages());
    ASSERT_TRUE(pages.ok()) << pages.error().message;
    std::size_t vram = 0;
    for (const kfdlab_page& page : pages.value()) {
      const bool here = (page.flags & KFDLAB_PAGE_VRAM) != 0;
      vram += here;
      EXPECT_EQ(page.gpu_id, here ? gpu() : 0u);
    }
    EXPECT_EQ(vram, npages) << "KFDLAB_TEST_PAGES";
    EXPECT_EQ(numa_maps_pages(buffer.data()).value_or(~0u), buffer.npages() - npages) << "numa_maps";
    EXPECT_EQ(pages_in_vram(::getpid()), static_cast<long>(npages)) << "debugfs";
  }
};

TEST_F(EvictReport, EveryWitnessSaysThatThePagesLeft) {
  VramUser other(gpu(), kLeft, kSeed + 1);
  const auto memory = in_vram(kLeft);
  expect_in_vram(*memory, kLeft);
  ASSERT_TRUE(other.to_vram().all_vram());
  expect_in_vram(*memory, 0);
  EXPECT_EQ(pages_in_vram(other.pid()), static_cast<long>(kLeft));
  EXPECT_EQ(counters().svm_pages_occupied, kLeft);
}

TEST_F(EvictReport, PartOfABufferLeft) {
  VramUser other(gpu(), kLeft / 2, kSeed + 1);
  const auto memory = in_vram(kLeft);
  ASSERT_TRUE(other.to_vram().all_vram());
  expect_in_vram(*memory, kLeft / 2);
  EXPECT_EQ(census(*memory, 0, kLeft / 2), all_ram(kLeft / 2)) << "the older half";
  EXPECT_EQ(contents(*memory), "");
}

// Attributes are wishes of the program, not places: eviction changes none of them.
TEST_F(EvictReport, AttributesOfTheRangeAreKept) {
  VramUser other(gpu(), kLeft, kSeed + 1);
  const auto memory = in_vram(kLeft);
  ASSERT_EQ(
      set(memory->address(), kLeft, {{KFD_IOCTL_SVM_ATTR_PREFERRED_LOC, gpu()}, {KFD_IOCTL_SVM_ATTR_GRANULARITY, 5}}),
      0);
  ASSERT_TRUE(prefetch_to_vram(*memory));
  const SvmAnswer before = answer(memory->address(), kLeft);
  ASSERT_TRUE(other.to_vram().all_vram());
  EXPECT_EQ(answer(memory->address(), kLeft), before);
  EXPECT_EQ(before.preferred, gpu());
}

TEST_F(EvictReport, EvictedPagesComeBackByPrefetchAgainAndAgain) {
  VramUser other(gpu(), kLeft, kSeed + 1);
  const auto memory = in_vram(kLeft);
  for (int round = 0; round < 3; ++round) {
    VramView view = other.to_vram();
    ASSERT_TRUE(view.all_vram()) << "round " << round << ": " << testing::PrintToString(view);
    EXPECT_EQ(census(*memory), all_ram(kLeft));
    EXPECT_EQ(contents(*memory), "") << "in RAM, round " << round;
    ASSERT_EQ(move_to_vram(*memory), all_vram(kLeft)) << "round " << round;
    EXPECT_EQ(contents(*memory), "") << "back in VRAM, round " << round;
    view = other.look();
    EXPECT_TRUE(view.all_ram()) << testing::PrintToString(view);
  }
  EXPECT_EQ(pages_evicted(), 6 * kLeft);
}

TEST_F(EvictReport, ProtectionSurvivesEviction) {
  VramUser other(gpu(), kLeft, kSeed + 1);
  const auto memory = in_vram(kLeft);
  memory->protect(10, 20, PROT_READ);
  memory->protect(40, 20, PROT_NONE);
  ASSERT_TRUE(other.to_vram().all_vram());
  EXPECT_EQ(pages_evicted(), kLeft) << "PROT_NONE pages leave too";
  EXPECT_EQ(in_child([&] {
              *memory->page(15) = std::byte{1};
              return 0;
            }),
            128 + SIGSEGV);
  memory->protect(0, kLeft, PROT_READ | PROT_WRITE);
  EXPECT_EQ(contents(*memory), "");
}

}  // namespace
}  // namespace kfdlab
