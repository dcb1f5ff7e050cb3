// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz_seed.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace kfdlab::device {

FuzzRandom fuzz_random() {
  const char* given = std::getenv("KFDLAB_FUZZ_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
  std::printf("repeat with KFDLAB_FUZZ_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  ::testing::Test::RecordProperty("seed", std::to_string(seed));
  return FuzzRandom(seed);
}

}  // namespace kfdlab::device
