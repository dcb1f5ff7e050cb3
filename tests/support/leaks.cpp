// SPDX-License-Identifier: MIT
#include "tests/support/leaks.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/events.h"
#include "tests/support/listener.h"
#include "tests/support/needs.h"

namespace kfdlab {

void LeakListener::OnTestSuiteStart(const testing::TestSuite&) { before_.reset(); }

void LeakListener::OnTestStart(const testing::TestInfo&) {
  if (!before_) {
    before_ = take_leak_snapshot();
  }
  if (!said_ && !(before_->pins_known && before_->device_known)) {
    said_ = true;
    std::string message = "leaks are not fully checked here:";
    message += before_->pins_known ? "" : " vm.stat_refresh cannot be written;";
    message += before_->device_known ? "" : " /dev/kfdlab_test tells nothing;";
    send_event({{"event", events::kEventNote}, {"message", message}});
  }
}

void LeakListener::OnTestEnd(const testing::TestInfo&) {
  // Exit of a process and deferred releases finish a little after the test's last call.
  LeakSnapshot after;
  std::string leaks;
  const bool clean = eventually(
      [&] {
        after = take_leak_snapshot();
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
