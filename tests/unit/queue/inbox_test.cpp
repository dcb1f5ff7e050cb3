// SPDX-License-Identifier: MIT
#include "device/cp/queue_inbox.h"

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

namespace kfdlab::device {
namespace {

// The scheduler's thread may be between its look at the stop flag and take() when the inbox is closed; it waited for ever.
TEST(QueueInbox, NobodyWaitsForMoreFromOneThatIsClosed) {
  QueueInbox inbox;
  inbox.close();
  std::vector<FinishedDispatch> finished;
  EXPECT_FALSE(inbox.take(finished));
  EXPECT_TRUE(inbox.pending());
  const auto before = QueueInbox::Clock::now();
  inbox.wait(std::chrono::minutes(1));
  EXPECT_LT(QueueInbox::Clock::now() - before, std::chrono::seconds(30));
}

TEST(QueueInbox, TakingEmptiesOneThatIsOpen) {
  QueueInbox inbox;
  inbox.kick();
  std::vector<FinishedDispatch> finished;
  EXPECT_TRUE(inbox.pending());
  EXPECT_TRUE(inbox.take(finished));
  EXPECT_FALSE(inbox.pending());
  EXPECT_FALSE(inbox.take(finished));
}

}  // namespace
}  // namespace kfdlab::device
