// SPDX-License-Identifier: MIT
// Guest: a virtual machine of KVM inside this one, that can do one thing: copy 16 pages. It works on memory of the
// process without holding it.
#pragma once

#include <cstddef>
#include <span>

#include "common/fd.h"
#include "common/result.h"
#include "tests/support/buffer.h"

namespace kfdlab::pins {

class Guest {
 public:
  static constexpr std::size_t kPages = 16;
  // Error: no KVM here.
  static Result<Guest> open();
  Guest(Guest&&) = default;

  // Give it kPages pages of the process.
  Status map(std::span<std::byte> pages);
  // From the pages into plain(), or the other way.
  Status copy(bool out_of_pages);
  [[nodiscard]] std::span<std::byte> plain() const { return plain_.bytes(); }

 private:
  Guest(Fd machine, Fd processor) : machine_(std::move(machine)), processor_(std::move(processor)) {}
  Status add_memory(unsigned slot, std::uint64_t at, std::span<std::byte> bytes);
  Status run(std::uint64_t from);

  Fd machine_, processor_;
  Buffer code_{1};
  Buffer plain_{kPages};
};

}  // namespace kfdlab::pins
