// SPDX-License-Identifier: MIT
// Buffers in RAM that TTM swaps out: beyond its pages_limit, or when root asks. Contents come back, wherever the buffer
// was made, and nobody has to ask for that.
#include <sys/mman.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/kfd/kfd_fixture.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;
constexpr char kLimitFile[] = "/sys/module/ttm/parameters/pages_limit";
constexpr char kShrinkFile[] = "/sys/kernel/debug/ttm/tt_shrink";

std::string read_word(const std::string& path) {
  std::string word;
  std::ifstream(path) >> word;
  return word;
}

// TTM's limit, put back in the end.
class PagesLimit {
 public:
  PagesLimit() : before_(read_word(kLimitFile)) {}
  PagesLimit(const PagesLimit&) = delete;
  PagesLimit& operator=(const PagesLimit&) = delete;
  ~PagesLimit() { set(before_); }
  static bool set(const std::string& pages) {
    return static_cast<bool>(std::ofstream(kLimitFile) << pages << std::flush);
  }

 private:
  std::string before_;
};

// A buffer that is mapped by the CPU as the thunk does it.
class Mapped {
 public:
  Mapped(const KfdClient& kfd, int render_fd, std::uint32_t gpu_id, std::uint32_t type, std::uint64_t size)
      : kfd_(kfd), space_(size) {
    alloc_.va = space_.address();
    alloc_.size = size;
    alloc_.gpu_id = gpu_id;
    alloc_.flags = type | KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC | static_cast<std::uint32_t>(KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE);
    error_ = kfd.alloc(&alloc_);
    if (error_ == 0) {
      at_ =
          ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, render_fd, static_cast<off_t>(alloc_.mmap_offset));
    }
  }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  ~Mapped() {
    if (at_ != MAP_FAILED) {
      ::munmap(at_, alloc_.size);
    }
    if (error_ == 0) {
      EXPECT_EQ(kfd_.free(alloc_.handle), 0);
    }
  }
  [[nodiscard]] bool good() const { return error_ == 0 && at_ != MAP_FAILED; }
  [[nodiscard]] std::span<std::byte> bytes() const { return {static_cast<std::byte*>(at_), alloc_.size}; }

 private:
  const KfdClient& kfd_;
  Reservation space_;
  KfdAlloc alloc_;
  int error_ = -1;
  void* at_ = MAP_FAILED;
};

class GttSwap : public KfdTest {
 protected:
  void SetUp() override {
    KfdTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    KFDLAB_NEEDS_ROOT();
    KFDLAB_NEEDS(std::ifstream(kLimitFile).good(), "needs TTM's pages_limit");
    acquire();
  }

  // Objects that were swapped out since the driver was loaded.
  static std::uint64_t swapouts() { return read_properties("/sys/kernel/debug/kfd/gpu0/counters")["swapouts"]; }

  void fill(std::uint32_t type, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      buffers_.push_back(std::make_unique<Mapped>(kfd(), render_fd(), gpu_id(), type, kMiB));
      ASSERT_TRUE(buffers_.back()->good());
      fill_pattern(buffers_.back()->bytes(), 100 + i);
    }
  }
  void expect_contents() const {
    for (std::size_t i = 0; i < buffers_.size(); ++i) {
      EXPECT_EQ(pattern_error(buffers_[i]->bytes(), 100 + i), "") << "buffer " << i;
    }
  }

  PagesLimit limit_;
  std::vector<std::unique_ptr<Mapped>> buffers_;
};

TEST_F(GttSwap, ContentsSurviveTtmsLimit) {
  const std::uint64_t before = swapouts();
  ASSERT_TRUE(PagesLimit::set("768"));  // three buffers' worth
  fill(KFD_IOC_ALLOC_MEM_FLAGS_GTT, 8);
  EXPECT_GE(swapouts() - before, 5u);
  expect_contents();
  expect_contents();
  EXPECT_GE(swapouts() - before, 10u) << "reading one back pushes another out";
}

TEST_F(GttSwap, BufferPushedOutOfVramIsSwappedAndComesBack) {
  fill(KFD_IOC_ALLOC_MEM_FLAGS_VRAM, 4);
  const std::uint64_t before = swapouts();
  const std::string minor = std::to_string(node_properties(kGpuNode)["drm_render_minor"]);
  ASSERT_EQ(read_word("/sys/kernel/debug/dri/" + minor + "/amdgpu_evict_vram"), "0");
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(read_word(kShrinkFile), "256") << "pages of one buffer";
  }
  EXPECT_EQ(swapouts() - before, 4u);
  expect_contents();
}

TEST_F(GttSwap, SwappedBufferCanBeFreed) {
  fill(KFD_IOC_ALLOC_MEM_FLAGS_GTT, 2);
  const std::uint64_t before = swapouts();
  EXPECT_EQ(read_word(kShrinkFile), "256");
  EXPECT_EQ(swapouts() - before, 1u);
  buffers_.clear();
}

}  // namespace
}  // namespace kfdlab
