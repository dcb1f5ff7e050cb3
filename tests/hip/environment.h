// SPDX-License-Identifier: MIT
// What holds for the whole process of the HIP suite: HIP is started once, and what a test may leave behind.
#pragma once

#include <gtest/gtest.h>

#include <optional>

#include "tests/support/leak_snapshot.h"

namespace kfdlab {

// Starts HIP and makes it use everything once (a stream, a kernel, copies both ways), so that what ROCm keeps for the
// life of the process exists before the first test. Does nothing where there is no KFD: the tests skip there.
class HipEnvironment : public testing::Environment {
 public:
  void SetUp() override;
};

// A test leaves no pin, no page in VRAM, no SVM range and no process. Buffer objects are not counted: ROCm keeps
// pools of signals, kernel arguments and staging buffers that grow with use; the runner's check at the end of the
// suite counts them. With XNACK neither are ranges: heap that the GPU touched keeps one.
class HipLeakListener : public testing::EmptyTestEventListener {
 public:
  void OnTestStart(const testing::TestInfo& info) override;
  void OnTestEnd(const testing::TestInfo& info) override;

 private:
  std::optional<LeakSnapshot> before_;
};

}  // namespace kfdlab
