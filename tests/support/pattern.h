// SPDX-License-Identifier: MIT
// Contents that say where they belong. Every 8-byte word is a function of its own virtual address and a seed,
// so a page that arrives at the wrong place, twice, or not at all is seen. A constant would hide all three.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace kfdlab {

// The word that belongs at `address` (a multiple of 8). Different seeds give unrelated contents.
[[nodiscard]] std::uint64_t pattern_word(std::uint64_t address, std::uint64_t seed);

// Fill `bytes` as if they lay at virtual address `address`. Size and address: multiples of 8.
void fill_pattern(std::span<std::byte> bytes, std::uint64_t address, std::uint64_t seed);
// The usual case: the bytes are the memory itself.
void fill_pattern(std::span<std::byte> bytes, std::uint64_t seed);

// The first word that is not what belongs there.
struct PatternMismatch {
  std::uint64_t address = 0;
  std::uint64_t expected = 0;
  std::uint64_t found = 0;
  [[nodiscard]] std::string describe() const;
};

// nullopt: all words are right.
[[nodiscard]] std::optional<PatternMismatch> find_mismatch(std::span<const std::byte> bytes, std::uint64_t address,
                                                           std::uint64_t seed);
[[nodiscard]] std::optional<PatternMismatch> find_mismatch(std::span<const std::byte> bytes, std::uint64_t seed);

// The same as text for EXPECT_EQ(pattern_error(...), ""): empty when all words are right.
[[nodiscard]] std::string pattern_error(std::span<const std::byte> bytes, std::uint64_t address, std::uint64_t seed);
[[nodiscard]] std::string pattern_error(std::span<const std::byte> bytes, std::uint64_t seed);

}  // namespace kfdlab
