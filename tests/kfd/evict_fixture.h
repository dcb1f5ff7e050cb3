// SPDX-License-Identifier: MIT
// Evict: what the tests of TTM's eviction stand on. VRAM is made small, so that filling it costs milliseconds: all but
// kLeft pages are reserved for the time of a test.
#pragma once

#include <fcntl.h>

#include <memory>
#include <numeric>
#include <string>

#include "common/fd.h"
#include "tests/kfd/kfd_fixture.h"
#include "tests/kfd/svm_fixture.h"
#include "tests/support/page_pipe.h"
#include "tests/support/vram_user.h"

namespace kfdlab {

class Evict : public SvmTest {
 protected:
  static constexpr std::size_t kLeft = 1024;  // pages of VRAM there are: two blocks of 2 MiB
  static constexpr std::uint64_t kSeed = 0xe71c;

  void SetUp() override {
    SvmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    // First: page tables are in VRAM too.
    ASSERT_NO_FATAL_FAILURE(acquire());
    leave(kLeft);
  }

  // Reserve all free VRAM but `npages`, and count from here.
  void leave(std::size_t npages) {
    const kfdlab_test_counters now = counters();
    const std::uint64_t free = now.vram_size - now.vram_held;
    ASSERT_GT(free, npages * kPageSize);
    ASSERT_EQ(device().reserve(gpu(), free - npages * kPageSize), 0);
    start_ = counters();
  }

  // Tie this process to the render node.
  void acquire() {
    const std::string path = "/dev/dri/renderD" + std::to_string(node_properties(1)["drm_render_minor"]);
    render_.reset(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(render_.valid()) << path;
    ASSERT_EQ(kfd().acquire_vm(gpu(), render_.get()), 0);
  }
  [[nodiscard]] int render_fd() const { return render_.get(); }

  // A buffer of this process with the pattern of `seed`, all of it in VRAM.
  [[nodiscard]] std::unique_ptr<Buffer> in_vram(std::size_t npages, std::uint64_t seed = kSeed) const {
    auto buffer = std::make_unique<Buffer>(npages);
    fill_pattern(buffer->bytes(), seed);
    EXPECT_EQ(move_to_vram(*buffer), all_vram(npages));
    return buffer;
  }
  // Where its pages are after a prefetch to VRAM that moves all it can.
  [[nodiscard]] PageCensus move_to_vram(const Buffer& buffer) const {
    EXPECT_EQ(kfdlab::move_to_vram(buffer.bytes(), gpu()), 0);
    return census(buffer);
  }
  // Bring so many fresh pages of this process to VRAM: whatever else was there has to make room.
  [[nodiscard]] std::unique_ptr<Buffer> press(std::size_t npages = kLeft) const { return in_vram(npages, kSeed + 77); }

  // Numbers of this test so far.
  [[nodiscard]] std::uint64_t evictions() const { return counters().evictions - start_.evictions; }
  [[nodiscard]] std::uint64_t pages_evicted() const {
    return counters().pages_to_ram_evict - start_.pages_to_ram_evict;
  }
  [[nodiscard]] std::uint64_t orphans() const { return counters().orphan_blocks; }
  // VRAM that is neither free nor reserved.
  [[nodiscard]] std::uint64_t held_pages() const { return (counters().vram_held - start_.vram_held) / kPageSize; }
  [[nodiscard]] const kfdlab_test_counters& start() const { return start_; }

  static std::string contents(const Buffer& buffer, std::uint64_t seed = kSeed) {
    return pattern_error(buffer.bytes(), seed);
  }

 private:
  kfdlab_test_counters start_{};
  Fd render_;
};

}  // namespace kfdlab
