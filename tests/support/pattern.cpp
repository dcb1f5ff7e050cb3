// SPDX-License-Identifier: MIT
#include "tests/support/pattern.h"

#include <cstring>
#include <iomanip>
#include <sstream>

#include "common/check.h"

namespace kfdlab {
namespace {

std::uint64_t address_of(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

}  // namespace

std::uint64_t pattern_word(std::uint64_t address, std::uint64_t seed) {
  // One multiplication per word: under TCG the suites fill and check hundreds of megabytes. The shift brings
  // the well-mixed high half down, so neighbouring words differ in every byte.
  const std::uint64_t mixed = (address ^ (seed << 48) ^ seed) * 0x9e3779b97f4a7c15u;
  return mixed ^ (mixed >> 32);
}

void fill_pattern(std::span<std::byte> bytes, std::uint64_t address, std::uint64_t seed) {
  KFDLAB_CHECK(address % 8 == 0 && bytes.size() % 8 == 0);
  for (std::size_t offset = 0; offset < bytes.size(); offset += 8) {
    const std::uint64_t word = pattern_word(address + offset, seed);
    std::memcpy(bytes.data() + offset, &word, sizeof word);
  }
}

void fill_pattern(std::span<std::byte> bytes, std::uint64_t seed) {
  fill_pattern(bytes, address_of(bytes.data()), seed);
}

std::string PatternMismatch::describe() const {
  std::ostringstream text;
  text << "at 0x" << std::hex << address << " (byte " << std::dec << address % 4096 << " of its page): expected 0x"
       << std::hex << std::setfill('0') << std::setw(16) << expected << ", found 0x" << std::setw(16) << found;
  return text.str();
}

std::optional<PatternMismatch> find_mismatch(std::span<const std::byte> bytes, std::uint64_t address,
                                             std::uint64_t seed) {
  KFDLAB_CHECK(address % 8 == 0 && bytes.size() % 8 == 0);
  for (std::size_t offset = 0; offset < bytes.size(); offset += 8) {
    std::uint64_t found = 0;
    std::memcpy(&found, bytes.data() + offset, sizeof found);
    const std::uint64_t expected = pattern_word(address + offset, seed);
    if (found != expected) {
      return PatternMismatch{address + offset, expected, found};
    }
  }
  return std::nullopt;
}

std::optional<PatternMismatch> find_mismatch(std::span<const std::byte> bytes, std::uint64_t seed) {
  return find_mismatch(bytes, address_of(bytes.data()), seed);
}

std::string pattern_error(std::span<const std::byte> bytes, std::uint64_t address, std::uint64_t seed) {
  const auto mismatch = find_mismatch(bytes, address, seed);
  return mismatch ? mismatch->describe() : std::string{};
}

std::string pattern_error(std::span<const std::byte> bytes, std::uint64_t seed) {
  return pattern_error(bytes, address_of(bytes.data()), seed);
}

}  // namespace kfdlab
