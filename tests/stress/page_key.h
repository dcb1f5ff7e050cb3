// SPDX-License-Identifier: MIT
// What a page of the stress run contains: 512 words that follow from one 64-bit key. The key names who wrote the page,
// for which place, and in which generation, so a page that is stale, lost or somebody else's says what it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace kfdlab::stress {

inline constexpr std::size_t kPageBytes = 4096;
inline constexpr std::size_t kPageWords = kPageBytes / sizeof(std::uint64_t);

using PageKey = std::uint64_t;

// A page of zeroes: never written, or discarded.
inline constexpr PageKey kZeroKey = 0;

// process: 0..253, thread: 0..127, slot: 0..65535.
[[nodiscard]] PageKey make_key(unsigned process, unsigned thread, bool child, std::size_t slot,
                               std::uint32_t generation);
// Contents that many pages of all processes share, for KSM. index: any.
[[nodiscard]] PageKey make_common_key(std::uint64_t index);
// "process 1 thread 0, slot 12, generation 345"
[[nodiscard]] std::string describe_key(PageKey key);

void fill_page(void* page, PageKey key);

// Index of the first wrong word, kPageWords if all are right.
[[nodiscard]] std::size_t first_wrong_word(const void* page, PageKey key);

// What is wrong with a page: the first wrong byte, how many words differ, and what the page looks like instead.
[[nodiscard]] std::string describe_page(const void* page, PageKey expected);

}  // namespace kfdlab::stress
