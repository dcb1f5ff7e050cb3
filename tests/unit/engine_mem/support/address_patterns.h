// SPDX-License-Identifier: MIT
// Offsets of 64 lanes in the shapes that code makes, which are what the fast paths look for, and some that nothing
// does.
#pragma once

#include <array>
#include <cstdint>
#include <random>

namespace kfdlab::engine {

using LaneOffsets = std::array<std::uint32_t, 64>;

// All in [0, limit - 16]; limit at least 8 KiB. Unless `overlap`, two lanes have the same place or none in common:
// which of two overlapping stores wins where is nobody's promise.
inline LaneOffsets random_pattern(std::mt19937& random, std::uint32_t size, std::uint32_t limit, bool overlap) {
  LaneOffsets offsets{};
  const auto below = [&](std::uint32_t bound) { return static_cast<std::uint32_t>(random() % bound); };
  const std::uint32_t end = limit - 32;
  const std::uint32_t room = end - 64 * 64;
  const std::uint32_t align = overlap && below(4) == 0 ? 1 : size;
  const std::uint32_t skew = below(4) == 0 ? below(16) : 0;
  const std::uint32_t base = below(room) / align * align;
  const std::uint32_t stride = below(2) == 0 ? size : overlap ? below(64) : below(64 / size) * size;
  const std::uint32_t kind = below(6);
  std::uint32_t chunk_base = base;
  for (std::uint32_t l = 0; l < 64; ++l) {
    if (l % 16 == 0) {
      chunk_base = below(room) / align * align;
    }
    switch (kind) {
      case 0:  // one run, maybe with gaps
      case 1:
        offsets[l] = base + l * stride;
        break;
      case 2:  // a run for each 16 lanes
        offsets[l] = chunk_base + l % 16 * size;
        break;
      case 3:  // one place for each 16 lanes
        offsets[l] = chunk_base;
        break;
      case 4:  // few places
        offsets[l] = base + below(4) * size;
        break;
      default:
        offsets[l] = below(end) / align * align;
        break;
    }
    offsets[l] += skew;
  }
  return offsets;
}

inline std::uint64_t random_lanes(std::mt19937& random) {
  const auto bits = [&] { return static_cast<std::uint64_t>(random()) << 32 | random(); };
  switch (random() % 6) {
    case 0:
      return bits();
    case 1:
      return bits() & bits() & bits();
    case 2:
      return 1ull << random() % 64;
    case 3:
      return ~0ull << random() % 64;
    case 4:
      return random() % 8 == 0 ? 0 : ~0ull >> random() % 64;
    default:
      return ~0ull;
  }
}

}  // namespace kfdlab::engine
