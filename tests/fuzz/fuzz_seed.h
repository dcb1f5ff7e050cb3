// SPDX-License-Identifier: MIT
// The random numbers of a fuzz test: a new seed each run, printed before anything else, or KFDLAB_FUZZ_SEED.
#pragma once

#include <cstdint>
#include <random>

namespace kfdlab::device {

using FuzzRandom = std::mt19937_64;

// Prints the seed and the way to repeat the run with it.
[[nodiscard]] FuzzRandom fuzz_random();

// Uniform in [0, bound); bound > 0.
[[nodiscard]] inline std::uint64_t below(FuzzRandom& random, std::uint64_t bound) { return random() % bound; }
// True once in `n` times.
[[nodiscard]] inline bool one_in(FuzzRandom& random, std::uint64_t n) { return below(random, n) == 0; }

}  // namespace kfdlab::device
