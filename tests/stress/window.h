// SPDX-License-Identifier: MIT
// Window: the addresses that one thread owns, with a shadow of every page: what it must contain, how it is protected,
// and what happened to it last. No other thread maps, unmaps or writes there; anybody may move its pages about.
//
// Windows lie at fixed addresses where no mmap() without an address ever goes, so a hole stays a hole until the
// owner fills it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/stress/page_key.h"
#include "tests/stress/random.h"

namespace kfdlab::stress {

enum class Content : std::uint8_t {
  Hole,   // not mapped
  Exact,  // contains its key
  Maybe,  // its key, or zeroes since MADV_FREE
};

// What GET answers for an address that no attribute was set for since it was last mapped.
inline constexpr std::uint8_t kDefaultGranularity = 9;

struct Slot {
  PageKey key = kZeroKey;
  Content content = Content::Hole;
  std::uint8_t protection = 0;                     // PROT_*
  std::uint8_t granularity = kDefaultGranularity;  // the SVM attribute; munmap and mremap take it away
};

// Slots [first, first + count); count 0: none.
struct Run {
  std::size_t first = 0;
  std::size_t count = 0;
};

class Window {
 public:
  // Nothing is mapped yet. process and thread fix the address.
  Window(unsigned process, unsigned thread, std::size_t slots);

  [[nodiscard]] std::size_t slots() const { return slots_.size(); }
  [[nodiscard]] std::size_t mapped() const { return mapped_; }
  [[nodiscard]] char* address(std::size_t slot) const { return base_ + slot * kPageBytes; }
  [[nodiscard]] static char* base_of(unsigned process, unsigned thread);
  // Addresses behind the window for buffers of device memory: `index` < 8, 2 MiB apart.
  [[nodiscard]] static char* buffer_base(unsigned process, unsigned thread, unsigned index);

  [[nodiscard]] const Slot& at(std::size_t slot) const { return slots_[slot]; }
  void set_content(std::size_t slot, Content content, PageKey key);
  void set_protection(std::size_t slot, int protection);
  void set_granularity(std::size_t slot, std::uint8_t granularity) { slots_[slot].granularity = granularity; }

  [[nodiscard]] bool readable(std::size_t slot) const;
  [[nodiscard]] bool writable(std::size_t slot) const;

  // A run of at most `most` slots that all satisfy `condition`, somewhere at random.
  [[nodiscard]] Run pick(Random& random, std::size_t most, const std::function<bool(std::size_t)>& condition) const;

  // What happened to a page, newest last.
  void note(std::size_t slot, std::uint64_t operation, const char* what);
  // The page moved, its history with it.
  void move_history(std::size_t from, std::size_t to);
  [[nodiscard]] std::string history(std::size_t slot) const;

 private:
  static constexpr std::size_t kRemembered = 8;
  struct Event {
    const char* what = nullptr;
    std::uint64_t operation = 0;
  };
  struct History {
    Event events[kRemembered];
    std::size_t next = 0;
  };

  char* base_;
  std::size_t mapped_ = 0;
  std::vector<Slot> slots_;
  std::vector<History> histories_;
};

}  // namespace kfdlab::stress
