// SPDX-License-Identifier: MIT
// ResultListener tells the runner what gtest knows, as it happens, so that nothing is lost when the process dies or
// hangs. Without a runner (KFDLAB_RESULT_FD not set) a suite is a plain gtest program.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace kfdlab {

// Sends one event of tests/support/events.h to the runner; nothing without one. Any thread, and forked children.
void send_event(const nlohmann::json& event);

class ResultListener : public testing::EmptyTestEventListener {
 public:
  enum class Marks { Kernel, None };
  // Marks::None for tests that have nothing to do with the running kernel.
  explicit ResultListener(Marks marks) : marks_(marks) {}

  void OnTestStart(const testing::TestInfo& info) override;
  void OnTestPartResult(const testing::TestPartResult& part) override;
  void OnTestEnd(const testing::TestInfo& info) override;

 private:
  Marks marks_;
};

}  // namespace kfdlab
