// SPDX-License-Identifier: MIT
// Random: the decisions of one operation. Each operation starts its own sequence from seed, process, thread and
// operation number, so it decides the same in every run, whatever the operations before it met.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kfdlab::stress {

[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t value) {
  value += 0x9e37'79b9'7f4a'7c15u;
  value = (value ^ (value >> 30)) * 0xbf58'476d'1ce4'e5b9u;
  value = (value ^ (value >> 27)) * 0x94d0'49bb'1331'11ebu;
  return value ^ (value >> 31);
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(mix(seed)) {}
  std::uint64_t next() { return mix(state_++); }
  // 0..bound-1; bound > 0.
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(next() % bound); }
  // low..high, both possible.
  std::size_t between(std::size_t low, std::size_t high) { return low + below(high - low + 1); }
  // True once in n times.
  bool one_in(std::size_t n) { return below(n) == 0; }
  // 1..most, small numbers much more often than large ones.
  std::size_t size(std::size_t most) {
    std::size_t limit = 1;
    while (limit < most && !one_in(6)) {
      limit *= 2;
    }
    return between(1, limit < most ? limit : most);
  }

 private:
  std::uint64_t state_;
};

}  // namespace kfdlab::stress
