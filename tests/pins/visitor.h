// SPDX-License-Identifier: MIT
// Visitor: something a stock kernel offers that reads or writes pages of a process by references of its own, for the time
// of a call. A page that is this process's alone must not move for it. One small class per visitor; visitors.cpp lists
// them, and every rule runs on each.
#pragma once

#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <string_view>

#include "tests/pins/pinner.h"

namespace kfdlab::pins {

class Visitor {
 public:
  Visitor() = default;
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;
  virtual ~Visitor() = default;

  // Reads the pages, or writes what belongs there with `seed` (tests/support/pattern.h); something of each page. The
  // answer: what it read or wrote. When it returns, no reference is left.
  virtual Result<Pieces> visit(std::span<std::byte> pages, std::uint64_t seed) = 0;
};

using MadeVisitor = Result<std::unique_ptr<Visitor>>;

// What becomes of pages that are shared since fork.
enum class Shared : std::uint8_t {
  Stay,    // the visitor is content with the shared page
  Copied,  // the process gets copies, in RAM: a write does that, and every FOLL_PIN
};

struct VisitorRow {
  std::string_view name;  // of its tests
  MadeVisitor (*make)();
  bool writes = false;
  Shared shared = Shared::Stay;
  std::optional<Shared> shared_6_1 = {};
  std::size_t npages = 16;
};
inline void PrintTo(const VisitorRow& row, std::ostream* out) { *out << row.name; }

[[nodiscard]] std::span<const VisitorRow> all_visitors();

}  // namespace kfdlab::pins
