// SPDX-License-Identifier: MIT
// The process that plays the GPU dies while a kernel runs: the HIP process that waited learns of it in bounded time,
// and one that starts afterwards works.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

#include "tests/hip/process/roles.h"
#include "tests/support/device_port.h"
#include "tests/support/needs.h"

namespace kfdlab {
namespace {

class HipDeviceDeath : public testing::Test {
 protected:
  void SetUp() override {
    KFDLAB_NEEDS_NODE("/dev/kfd");
    KFDLAB_NEEDS_NODE(kDevicePort);
    KFDLAB_NEEDS_ROOT();
    ASSERT_TRUE(port_.open()) << kDevicePort << ": " << std::strerror(errno);
  }
  [[nodiscard]] const DevicePort& port() const { return port_; }

 private:
  DevicePort port_;
};

TEST_F(HipDeviceDeath, AWaitingProcessEndsWithAnErrorAndTheNextOneWorks) {
  Actor waiting("endless", false);
  ASSERT_TRUE(waiting.ready()) << waiting.process().output();
  ASSERT_TRUE(waiting.go());
  ASSERT_TRUE(waiting.begun()) << waiting.process().output();
  const std::string answer = port().ask("kill");
  ASSERT_TRUE(answer.starts_with("generation=")) << answer;
  const int status = waiting.process().wait();
  EXPECT_GT(status, 0) << waiting.process().output();
  Actor next("work", true);
  ASSERT_TRUE(next.ready()) << next.process().output();
  ASSERT_TRUE(next.go());
  EXPECT_EQ(next.process().wait(), 0) << next.process().output();
}

}  // namespace
}  // namespace kfdlab
