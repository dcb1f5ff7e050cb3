// SPDX-License-Identifier: MIT
// MultiGpu: what the tests of several GPUs stand on. Where a page is, is asked of page frames: each GPU's VRAM is a
// range of them, known from its PCI function, so the driver under test has no say in it.
#pragma once

#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "hw/bar_layout.h"
#include "tests/kfd/kfd_fixture.h"
#include "tests/kfd/svm_fixture.h"
#include "tests/support/vram_user.h"

namespace kfdlab {

// How many of a run of pages are where, by gpu_id; RAM under kSvmSystem, holes under kSvmUndefined.
using Places = std::map<std::uint32_t, std::size_t>;

class MultiGpu : public SvmTest {
 protected:
  static constexpr std::uint64_t kSeed = 0x69b5;

  void SetUp() override {
    SvmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    ids_ = kfd_gpu_ids();
    KFDLAB_NEEDS(ids_.size() >= 2, "needs two GPUs: --gpus 2");
    for (unsigned node = 1; node <= ids_.size(); ++node) {
      frames_[ids_[node - 1]] = vram_frames(node);
      ASSERT_NE(frames_[ids_[node - 1]].last, 0u) << "node " << node;
      start_[ids_[node - 1]] = now(ids_[node - 1]);
    }
  }

  // Two GPUs.
  [[nodiscard]] std::uint32_t a() const { return ids_[0]; }
  [[nodiscard]] std::uint32_t b() const { return ids_[1]; }
  [[nodiscard]] const std::vector<std::uint32_t>& gpus() const { return ids_; }
  [[nodiscard]] const FrameRange& frames_of(std::uint32_t gpu) const { return frames_.at(gpu); }

  [[nodiscard]] kfdlab_test_counters now(std::uint32_t gpu) const {
    auto counters = device().counters(gpu);
    EXPECT_TRUE(counters.ok()) << counters.error().message;
    return counters.ok() ? counters.value() : kfdlab_test_counters{};
  }
  // How far a counter went since `from`, which is the begin of the test or the last mark().
  template <typename Field>
  [[nodiscard]] std::uint64_t grown(std::uint32_t gpu, Field kfdlab_test_counters::*field) const {
    return now(gpu).*field - start_.at(gpu).*field;
  }
  void mark() {
    for (const std::uint32_t gpu : ids_) {
      start_[gpu] = now(gpu);
    }
  }
  // Pages of this test that are in the GPU's VRAM, as the driver counts.
  [[nodiscard]] std::uint64_t occupied(std::uint32_t gpu) const { return now(gpu).svm_pages_occupied; }

  [[nodiscard]] std::uint32_t place_of(std::uint64_t frame) const {
    if (frame == 0) {
      return kSvmUndefined;
    }
    for (const auto& [gpu, range] : frames_) {
      if (frame >= range.first && frame <= range.last) {
        return gpu;
      }
    }
    return kSvmSystem;
  }
  [[nodiscard]] Places places(const std::vector<std::uint64_t>& frames) const {
    Places places;
    for (const std::uint64_t frame : frames) {
      ++places[place_of(frame)];
    }
    return places;
  }
  [[nodiscard]] std::vector<std::uint64_t> frames(const Buffer& buffer) const {
    return oracle().frames(buffer.data(), buffer.npages());
  }
  [[nodiscard]] Places places(const Buffer& buffer) const { return places(frames(buffer)); }
  [[nodiscard]] Places places(const Buffer& buffer, std::size_t first, std::size_t count) const {
    return places(oracle().frames(buffer.page(first), count));
  }

  static void fill(const Buffer& buffer) { fill_pattern(buffer.bytes(), kSeed); }
  static std::string contents(const Buffer& buffer) { return pattern_error(buffer.bytes(), kSeed); }
  // All of the buffer to that GPU. A page that another CPU's LRU batch holds is what move_to_vram() knows about.
  void send(const Buffer& buffer, std::uint32_t gpu) const {
    ASSERT_EQ(move_to_vram(buffer.bytes(), gpu), 0);
    ASSERT_EQ(places(buffer), (Places{{gpu, buffer.npages()}}));
  }
  void send(const Buffer& buffer, std::size_t first, std::size_t count, std::uint32_t gpu) const {
    ASSERT_EQ(move_to_vram(buffer.pages(first, count), gpu), 0);
    ASSERT_EQ(places(buffer, first, count), (Places{{gpu, count}}));
  }
  // A buffer with the pattern, all of it on that GPU.
  [[nodiscard]] std::unique_ptr<Buffer> on_gpu(std::size_t npages, std::uint32_t gpu) const {
    auto buffer = std::make_unique<Buffer>(npages);
    fill(*buffer);
    send(*buffer, gpu);
    return buffer;
  }

 private:
  // BAR 2 of the PCI function that the topology names, from where VRAM begins.
  static FrameRange vram_frames(unsigned node) {
    Properties gpu = node_properties(node);
    const auto location = static_cast<unsigned>(gpu["location_id"]);
    char path[96];
    std::snprintf(path, sizeof path, "/sys/bus/pci/devices/%04x:%02x:%02x.%x/resource",
                  static_cast<unsigned>(gpu["domain"]), location >> 8, location >> 3 & 31, location & 7);
    std::ifstream file(path);
    std::string line;
    for (int bar = 0; bar <= 2; ++bar) {
      std::getline(file, line);
    }
    std::istringstream fields(line);
    std::uint64_t first = 0, last = 0;
    if (!(fields >> std::hex >> first >> last) || last <= first) {
      return {};
    }
    return {.first = (first + KFDLAB_BAR_VRAM) / kPageSize, .last = last / kPageSize};
  }

  std::vector<std::uint32_t> ids_;
  std::map<std::uint32_t, FrameRange> frames_;
  std::map<std::uint32_t, kfdlab_test_counters> start_;
};

}  // namespace kfdlab
