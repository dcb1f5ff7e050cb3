// SPDX-License-Identifier: MIT
#include "tests/hip/environment.h"

#include <hip/hip_runtime_api.h>

#include <chrono>
#include <string>

#include "tests/hip/hip_fixture.h"
#include "tests/hip/kernels.h"
#include "tests/support/needs.h"

namespace kfdlab {
namespace {

constexpr std::size_t kWords = 512;

LeakSnapshot look() {
  LeakSnapshot snapshot = take_leak_snapshot();
  snapshot.vram_held = 0;
  snapshot.buffer_objects = 0;
  if (xnack_is_on()) {
    snapshot.svm_ranges = 0;
  }
  return snapshot;
}

}  // namespace

void HipEnvironment::SetUp() {
  if (!node_exists("/dev/kfd")) {
    return;
  }
  std::uint64_t words[kWords] = {};
  void* vram = nullptr;
  ASSERT_EQ(hipInit(0), hipSuccess);
  ASSERT_EQ(hipMalloc(&vram, sizeof words), hipSuccess);
  ASSERT_EQ(hipMemcpy(vram, words, sizeof words, hipMemcpyHostToDevice), hipSuccess);
  ASSERT_EQ(launch_fill(vram, kWords, 0, 1, nullptr), hipSuccess);
  ASSERT_EQ(hipDeviceSynchronize(), hipSuccess);
  ASSERT_EQ(hipMemcpy(words, vram, sizeof words, hipMemcpyDeviceToHost), hipSuccess);
  ASSERT_EQ(hipFree(vram), hipSuccess);
}

void HipLeakListener::OnTestStart(const testing::TestInfo&) {
  if (!before_) {
    before_ = look();
  }
}

void HipLeakListener::OnTestEnd(const testing::TestInfo&) {
  LeakSnapshot after;
  std::string leaks;
  // Exit of a process and deferred releases finish a little after the test's last call.
  const bool clean = eventually(
      [&] {
        after = look();
        leaks = describe_leaks(*before_, after);
        return leaks.empty();
      },
      std::chrono::milliseconds(500));
  if (!clean) {
    ADD_FAILURE() << "the test left behind: " << leaks;
  }
  before_ = after;
}

}  // namespace kfdlab
