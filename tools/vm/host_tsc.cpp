// SPDX-License-Identifier: MIT
#include "tools/vm/host_tsc.h"

#include <chrono>
#include <limits>
#include <thread>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace kfdlab {
namespace {

constexpr std::uint64_t kNsPerSecond = 1000000000;
constexpr auto kSpan = std::chrono::milliseconds(50);
constexpr int kReadings = 32;  // the best of so many: the process may be preempted between the two clocks

std::uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kNsPerSecond + static_cast<std::uint64_t>(now.tv_nsec);
}

std::uint64_t ticks() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return 0;
#endif
}

TscSample sample() {
  TscSample best{0, 0, std::numeric_limits<std::uint64_t>::max()};
  for (int i = 0; i < kReadings; ++i) {
    const std::uint64_t before = monotonic_ns();
    const std::uint64_t now = ticks();
    const std::uint64_t width = monotonic_ns() - before;
    if (width < best.error_ns) {
      best = {now, before + width / 2, width};
    }
  }
  return best;
}

}  // namespace

unsigned tsc_khz_between(const TscSample& first, const TscSample& second) {
  if (second.ns <= first.ns || second.ticks <= first.ticks) {
    return 0;
  }
  const std::uint64_t ns = second.ns - first.ns;
  if ((first.error_ns + second.error_ns) > ns / 1000) {
    return 0;
  }
  const double khz = static_cast<double>(second.ticks - first.ticks) * 1e6 / static_cast<double>(ns);
  return khz >= std::numeric_limits<unsigned>::max() ? 0 : static_cast<unsigned>(khz + 0.5);
}

unsigned host_tsc_khz() {
  static const unsigned khz = [] {
    const TscSample first = sample();
    std::this_thread::sleep_for(kSpan);  // the interval that is measured
    return tsc_khz_between(first, sample());
  }();
  return khz;
}

}  // namespace kfdlab
