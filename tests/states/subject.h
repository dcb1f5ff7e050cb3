// SPDX-License-Identifier: MIT
// Subject: some pages of this process in one particular state, with contents that are known. One small class per
// state; states.cpp lists them.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "common/result.h"

namespace kfdlab::states {

inline constexpr std::uint64_t kSeed = 41;
inline constexpr std::size_t kPages = 16;

class Subject {
 public:
  Subject() = default;
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;
  virtual ~Subject() = default;

  [[nodiscard]] virtual std::span<std::byte> pages() const = 0;
  // What of the state can only come when the pages have been sent to VRAM, as far as they go: sharers, holders.
  // Empty, or what went wrong.
  [[nodiscard]] virtual std::string settle() { return {}; }
  // Empty, or how the contents differ from what belongs there. Called last: it may change the state.
  [[nodiscard]] virtual std::string error();
  // A child of fork may write its pages, and what it writes is its own.
  [[nodiscard]] virtual bool child_may_write() const { return true; }
};

// An Error is the reason why this machine cannot have the state.
using Maker = Result<std::unique_ptr<Subject>> (*)();

// nullptr: there is no state of this name.
[[nodiscard]] Maker find_maker(const std::string& state);

}  // namespace kfdlab::states
