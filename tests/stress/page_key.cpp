// SPDX-License-Identifier: MIT
#include "tests/stress/page_key.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

namespace kfdlab::stress {
namespace {

// Odd, and no two multiples below 512 share a byte at the same place often.
constexpr std::uint64_t kStep = 0x9e37'79b9'7f4a'7c15u;
constexpr unsigned kCommonProcess = 0xff;
constexpr unsigned kCommonPages = 16;
constexpr unsigned kChildBit = 0x80;

std::uint64_t word_of(PageKey key, std::size_t index) { return key == kZeroKey ? 0 : key + index * kStep; }

std::uint64_t load(const void* page, std::size_t index) {
  std::uint64_t word = 0;
  std::memcpy(&word, static_cast<const char*>(page) + index * sizeof word, sizeof word);
  return word;
}

std::size_t count_wrong_words(const void* page, PageKey key) {
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < kPageWords; ++i) {
    wrong += load(page, i) != word_of(key, i) ? 1 : 0;
  }
  return wrong;
}

}  // namespace

PageKey make_key(unsigned process, unsigned thread, bool child, std::size_t slot, std::uint32_t generation) {
  const std::uint64_t who = (process + 1) & 0xff;
  const std::uint64_t which = (thread & 0x7f) | (child ? kChildBit : 0u);
  return who << 56 | which << 48 | (slot & 0xffff) << 32 | generation;
}

PageKey make_common_key(std::uint64_t index) {
  return std::uint64_t{kCommonProcess} << 56 | (index % kCommonPages + 1);
}

std::string describe_key(PageKey key) {
  if (key == kZeroKey) {
    return "a page of zeroes";
  }
  if (key >> 56 == kCommonProcess) {
    return fmt::format("common page {}", key & 0xffff'ffff);
  }
  return fmt::format("{}process {} thread {}, slot {}, generation {:#x}",
                     (key >> 48 & kChildBit) != 0 ? "a child of " : "", (key >> 56) - 1, key >> 48 & 0x7f,
                     key >> 32 & 0xffff, key & 0xffff'ffff);
}

void fill_page(void* page, PageKey key) {
  auto* words = static_cast<std::uint64_t*>(page);
  std::uint64_t word = key;
  const std::uint64_t step = key == kZeroKey ? 0 : kStep;
  for (std::size_t i = 0; i < kPageWords; ++i, word += step) {
    words[i] = word;
  }
}

std::size_t first_wrong_word(const void* page, PageKey key) {
  const auto* words = static_cast<const std::uint64_t*>(page);
  std::uint64_t word = key;
  const std::uint64_t step = key == kZeroKey ? 0 : kStep;
  std::uint64_t difference = 0;
  for (std::size_t i = 0; i < kPageWords; ++i, word += step) {
    difference |= words[i] ^ word;
  }
  if (difference == 0) {
    return kPageWords;
  }
  for (std::size_t i = 0; i < kPageWords; ++i) {
    if (load(page, i) != word_of(key, i)) {
      return i;
    }
  }
  return kPageWords;  // right by now: whoever asks looks again
}

std::string describe_page(const void* page, PageKey expected) {
  const std::size_t wrong = first_wrong_word(page, expected);
  if (wrong == kPageWords) {
    return "right when looked at again";
  }
  const std::uint64_t found = load(page, wrong);
  const std::uint64_t wanted = word_of(expected, wrong);
  const std::size_t byte = wrong * 8 + static_cast<unsigned>(std::countr_zero(found ^ wanted)) / 8;
  std::string text = fmt::format("first wrong byte {} (word {:#018x} instead of {:#018x}), {} of {} words wrong", byte,
                                 found, wanted, count_wrong_words(page, expected), kPageWords);
  const PageKey looks_like = load(page, 0);
  if (count_wrong_words(page, looks_like) == 0) {
    text += "; it is " + describe_key(looks_like);
  }
  return text + "; expected " + describe_key(expected);
}

}  // namespace kfdlab::stress
