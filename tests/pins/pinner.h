// SPDX-License-Identifier: MIT
// Pinner: something a stock kernel offers that holds pages of a process for as long as it likes, and moves data through
// them behind the process's back. One small class per pinner; table.cpp lists them, and every rule runs on each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace kfdlab::pins {

// Bytes at some place of the pages, counted from the first.
struct Piece {
  std::size_t offset = 0;
  std::vector<std::byte> bytes;
};
using Pieces = std::vector<Piece>;

class Pinner {
 public:
  Pinner() = default;
  Pinner(const Pinner&) = delete;
  Pinner& operator=(const Pinner&) = delete;
  // Releases what is held, at once or a little later.
  virtual ~Pinner() = default;

  // Takes hold of whole pages, one run of them at a time. 0 or errno; with an errno nothing is held.
  virtual int hold(std::span<std::byte> pages) = 0;
  // 0 or errno. The pins end at once or a little later.
  virtual int release() = 0;

  // What the device behind the pinner finds in the pages it holds; something in each page. May first write there, as the
  // process, what its device understands.
  virtual Result<Pieces> load() { return Error{"this pinner's device does not read"}; }
  // Makes the device store into the pages it holds: what belongs there with `seed` (tests/support/pattern.h) if it is a
  // device that stores what it is told. The answer is what it stored, as known from elsewhere.
  virtual Result<Pieces> store(std::uint64_t seed) {
    return Error{"this pinner's device does not store " + std::to_string(seed)};
  }
};

// Where the kernel notes how many pages a pinner holds.
enum class Charge : std::uint8_t {
  None,
  Pinned,  // the process: VmPin of /proc/PID/status
  Locked,  // the process: VmLck
  User,    // the user, and no file says how many
};

// How it asks for pages.
enum class Road : std::uint8_t {
  Slow,           // pin_user_pages() and pin_user_pages_remote()
  Fast,           // pin_user_pages_fast()
  FastSince6_12,  // the slow one before
};

// An Error is the reason why this machine has no such pinner.
using MadePinner = Result<std::unique_ptr<Pinner>>;

struct PinnerRow {
  std::string_view name;  // of its tests
  MadePinner (*make)();
  Road road = Road::Slow;
  bool loads = true;
  bool stores = true;
  Charge charge = Charge::None;
  // What holding more than RLIMIT_MEMLOCK allows comes to; 0: the pinner does not care about the limit.
  int beyond_limit = 0;
  // What holding PROT_READ memory comes to, and if it differs, on 6.1.
  int read_only_memory = 0;
  std::optional<int> read_only_memory_6_1 = {};
  // Regex of the kernel log line with which it says that it refused; empty: it says nothing.
  const char* refusal_line = "";
  std::size_t npages = 16;  // that it is asked to hold
};

inline void PrintTo(const PinnerRow& row, std::ostream* out) { *out << row.name; }

[[nodiscard]] std::span<const PinnerRow> all_pinners();

}  // namespace kfdlab::pins
