// SPDX-License-Identifier: MIT
#include "common/fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <utility>

namespace kfdlab {
namespace {

int open_null() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(Fd, ClosesWhatItOwns) {
  const int number = open_null();
  {
    const Fd fd(number);
    ASSERT_TRUE(fd.valid());
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
}

TEST(Fd, MoveLeavesNothingBehind) {
  Fd first(open_null());
  const int number = first.get();
  Fd second(std::move(first));
  EXPECT_FALSE(first.valid());  // NOLINT: the state after a move is the promise tested here
  EXPECT_EQ(second.get(), number);
  Fd third(open_null());
  const int replaced = third.get();
  third = std::move(second);
  EXPECT_FALSE(is_open(replaced));
  EXPECT_TRUE(is_open(number));
}

TEST(Fd, ReleaseGivesTheDescriptorAway) {
  Fd fd(open_null());
  const int number = fd.release();
  EXPECT_FALSE(fd.valid());
  EXPECT_TRUE(is_open(number));
  ::close(number);
}

TEST(Fd, DefaultIsInvalid) { EXPECT_FALSE(Fd().valid()); }

}  // namespace
}  // namespace kfdlab
