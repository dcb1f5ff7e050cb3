// SPDX-License-Identifier: MIT
#include "common/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

namespace kfdlab {
namespace {

Status fail_if(bool fail) { return fail ? Status(Error{"it failed"}) : ok_status(); }

Result<int> seven_unless(bool fail) {
  KFDLAB_TRY(fail_if(fail));
  return 7;
}

TEST(Result, CarriesValueOrError) {
  const Result<int> good = seven_unless(false);
  ASSERT_TRUE(good.ok());
  EXPECT_TRUE(static_cast<bool>(good));
  EXPECT_EQ(good.value(), 7);
}

TEST(Result, TryReturnsTheErrorOfTheInnerCall) {
  const Result<int> bad = seven_unless(true);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().message, "it failed");
}

TEST(Result, TakeMovesTheValueOut) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(3);
  const std::unique_ptr<int> taken = result.take();
  EXPECT_EQ(*taken, 3);
  EXPECT_EQ(result.value(), nullptr);
}

TEST(Result, ValueMayBeAString) {
  const Result<std::string> text = std::string("a value");
  EXPECT_TRUE(text.ok());
}

TEST(Result, ErrnoErrorNamesWhatAndWhy) {
  EXPECT_EQ(errno_error("opening x", ENOENT).message, "opening x: No such file or directory");
}

}  // namespace
}  // namespace kfdlab
