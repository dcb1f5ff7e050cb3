// SPDX-License-Identifier: MIT
// Allocation of VRAM that needs no eviction, alone and beside 10,000 objects of one page: buffers, and blocks of SVM.
// A page shows what the book-keeping costs, 2 MiB what a program sees, since VRAM comes zeroed. Each crowded state is
// measured between two empty ones and compared with those, several times, so that what else the machine does hits both.
#include <fcntl.h>
#include <linux/kfd_ioctl.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/bench/measure.h"
#include "tests/bench/session.h"

namespace kfdlab::bench {
namespace {

constexpr std::size_t kOthers = 10000;
constexpr unsigned kRounds = 5;
constexpr unsigned kPairs = 100;  // allocations, each freed again, per round, state and size
constexpr std::uint64_t kSizes[] = {kPageSize, 2ull << 20};

// Microseconds, or multiples of them, by size.
using Times = std::array<std::vector<double>, std::size(kSizes)>;
using Medians = std::array<double, std::size(kSizes)>;

Fd open_render() {
  for (const auto& entry : std::filesystem::directory_iterator("/dev/dri")) {
    const std::string name = entry.path().filename();
    if (name.rfind("renderD", 0) == 0) {
      return Fd(::open(entry.path().c_str(), O_RDWR | O_CLOEXEC));
    }
  }
  return Fd();
}

class AllocationBench {
 public:
  explicit AllocationBench(const Session& session) : session_(session), render_(open_render()) {
    if (!render_.valid() || session.kfd().acquire_vm(session.gpu_id(), render_.get()) != 0) {
      give_up("cannot acquire the GPU's VM");
    }
  }

  nlohmann::json run() {
    Medians before = alone();
    for (unsigned round = 0; round < kRounds; ++round) {
      progress("allocation, round " + std::to_string(round + 1));
      const Medians beside_buffers = with_buffers();
      const Medians between = alone();
      compare(before, beside_buffers, between, &buffers_);
      const Medians beside_blocks = with_blocks();
      before = alone();
      compare(between, beside_blocks, before, &blocks_);
    }
    nlohmann::json rows = nlohmann::json::array();
    for (std::size_t i = 0; i < std::size(kSizes); ++i) {
      rows.push_back({{"bytes", kSizes[i]},
                      {"others", kOthers},
                      {"alone_us", median(alone_[i])},
                      {"beside_buffers", median(buffers_[i])},
                      {"beside_svm", median(blocks_[i])}});
    }
    return {{"allocation", rows}};
  }

 private:
  [[nodiscard]] std::uint64_t allocate(std::size_t slot, std::uint64_t bytes) const {
    KfdAlloc alloc;
    alloc.va = space_.page_address(slot);
    alloc.size = bytes;
    alloc.gpu_id = session_.gpu_id();
    alloc.flags = KFD_IOC_ALLOC_MEM_FLAGS_VRAM;
    if (const int error = session_.kfd().alloc(&alloc)) {
      give_up(std::string("allocation of VRAM: ") + std::strerror(error));
    }
    return alloc.handle;
  }
  void free(std::uint64_t handle) const {
    if (const int error = session_.kfd().free(handle)) {
      give_up(std::string("free of VRAM: ") + std::strerror(error));
    }
  }

  [[nodiscard]] Medians measure() const {
    Times times;
    for (unsigned i = 0; i < kPairs; ++i) {
      for (std::size_t size = 0; size < std::size(kSizes); ++size) {
        std::uint64_t handle = 0;
        times[size].push_back(microseconds([&] { handle = allocate(kOthers, kSizes[size]); }));
        free(handle);
      }
    }
    Medians medians{};
    std::transform(times.begin(), times.end(), medians.begin(), median);
    return medians;
  }
  [[nodiscard]] Medians alone() {
    const Medians medians = measure();
    for (std::size_t i = 0; i < medians.size(); ++i) {
      alone_[i].push_back(medians[i]);
    }
    return medians;
  }
  static void compare(const Medians& before, const Medians& beside, const Medians& after, Times* ratios) {
    for (std::size_t i = 0; i < beside.size(); ++i) {
      (*ratios)[i].push_back(2 * beside[i] / (before[i] + after[i]));
    }
  }

  [[nodiscard]] Medians with_buffers() const {
    std::vector<std::uint64_t> handles;
    for (std::size_t i = 0; i < kOthers; ++i) {
      handles.push_back(allocate(i, kPageSize));
    }
    const Medians medians = measure();
    for (const std::uint64_t handle : handles) {
      free(handle);
    }
    return medians;
  }

  // Every other page, one call each: no two are in one block.
  [[nodiscard]] Medians with_blocks() const {
    const Buffer buffer(2 * kOthers);
    std::memset(buffer.data(), 1, buffer.size());
    for (std::size_t i = 0; i < kOthers; ++i) {
      if (session_.kfd().svm_prefetch(buffer.page_address(2 * i), kPageSize, session_.gpu_id()) != 0) {
        give_up("prefetch of one page failed");
      }
    }
    if (session_.counters().buffer_objects < kOthers) {
      give_up("the blocks of SVM are not there");
    }
    return measure();
  }

  const Session& session_;
  Fd render_;
  const Buffer space_{kOthers + 512};  // addresses for the buffers
  Times alone_;             // of each measurement
  Times buffers_, blocks_;  // as multiples of the time alone, of each round
};

}  // namespace

nlohmann::json allocation_part(const Session& session) { return AllocationBench(session).run(); }

}  // namespace kfdlab::bench
