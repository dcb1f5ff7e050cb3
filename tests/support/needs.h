// SPDX-License-Identifier: MIT
// What a test needs and what it may ask about the machine it runs on. A test that cannot judge here skips with a
// reason; the runner compares skips with tests/suites/expectations.json and fails the run on an unexpected one.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

// Skip the running test unless `condition` holds. `reason` says what is missing, as in "/dev/kfd does not exist".
#define KFDLAB_NEEDS(condition, reason) \
  do {                                  \
    if (!(condition)) {                 \
      GTEST_SKIP() << (reason);         \
    }                                   \
  } while (false)
#define KFDLAB_NEEDS_ROOT() KFDLAB_NEEDS(kfdlab::is_root(), "needs root")
#define KFDLAB_NEEDS_NODE(path) KFDLAB_NEEDS(kfdlab::node_exists(path), std::string(path) + " does not exist")

namespace kfdlab {

[[nodiscard]] bool is_root();
[[nodiscard]] bool node_exists(const std::string& path);
// uname -r, and whether it is at least major.minor.
[[nodiscard]] std::string kernel_release();
[[nodiscard]] bool kernel_at_least(unsigned major, unsigned minor);
// "coherent", "private", "shared" or "none" (design section 6). The runner says; alone: coherent where our own test
// node exists, else none.
[[nodiscard]] std::string residency_backend();
// Instructions are emulated: things take ten to fifty times as long.
[[nodiscard]] bool under_tcg();
// --seed and --time of validate; 1 and 20 s when nobody said.
[[nodiscard]] std::uint64_t test_seed();
[[nodiscard]] std::chrono::seconds stress_time();
// Factor for deadlines: 1, or 10 under emulation; four times that on a debug kernel.
[[nodiscard]] unsigned patience();

// Polls `condition` until it holds or `limit` times patience() has passed. True: it held.
[[nodiscard]] bool eventually(const std::function<bool()>& condition,
                              std::chrono::milliseconds limit = std::chrono::seconds(5));

}  // namespace kfdlab
