// SPDX-License-Identifier: MIT
#include "tools/vm/control_port.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <vector>

#include "common/fd.h"

namespace kfdlab {
namespace {

class FakeDevice final : public DeviceControl {
 public:
  std::string control(ControlRequest request) override {
    requests.push_back(request);
    return "ok " + std::to_string(requests.size());
  }
  std::vector<ControlRequest> requests;
};

class ControlPortTest : public testing::Test {
 protected:
  void SetUp() override {
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    ours_.reset(fds[0]);
    guest_.reset(fds[1]);
    port_ = ControlPort(ours_.get());
  }
  void say(std::string_view text) {
    ASSERT_EQ(::send(guest_.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    port_.serve(device_);
  }
  std::string heard() {
    char text[512];
    const ssize_t n = ::recv(guest_.get(), text, sizeof(text), MSG_DONTWAIT);
    return n > 0 ? std::string(text, static_cast<std::size_t>(n)) : std::string();
  }

  Fd ours_, guest_;
  ControlPort port_{-1};
  FakeDevice device_;
};

TEST_F(ControlPortTest, AnswersEachLineInOrder) {
  say("status\nstop\n");
  EXPECT_EQ(heard(), "ok 1\nok 2\n");
  EXPECT_EQ(device_.requests, (std::vector<ControlRequest>{ControlRequest::Query, ControlRequest::Stop}));
}

TEST_F(ControlPortTest, WaitsForTheEndOfTheLine) {
  say("sta");
  EXPECT_EQ(heard(), "");
  say("tus\n");
  EXPECT_EQ(heard(), "ok 1\n");
}

TEST_F(ControlPortTest, RefusesUnknownAndOverlongRequests) {
  say("reboot\n");
  EXPECT_TRUE(heard().starts_with("error "));
  say(std::string(900, 'x'));
  say("\n");
  EXPECT_TRUE(heard().starts_with("error "));
  EXPECT_TRUE(device_.requests.empty());
}

TEST_F(ControlPortTest, ForgetsAGuestThatIsGone) {
  guest_.reset();
  port_.serve(device_);
  EXPECT_EQ(port_.fd(), -1);
}

}  // namespace
}  // namespace kfdlab
