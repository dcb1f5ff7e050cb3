// SPDX-License-Identifier: MIT
#include "tests/pins/pins_fixture.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/support/kmsg.h"
#include "tests/support/needs.h"

namespace kfdlab::pins {

using testing::AssertionFailure;
using testing::AssertionResult;
using testing::AssertionSuccess;

std::string first_difference(std::span<const std::byte> expected, std::span<const std::byte> found) {
  if (expected.size() != found.size()) {
    return fmt::format("{} bytes instead of {}", found.size(), expected.size());
  }
  const auto at = std::mismatch(expected.begin(), expected.end(), found.begin()).first - expected.begin();
  if (at == static_cast<std::ptrdiff_t>(expected.size())) {
    return {};
  }
  const auto offset = static_cast<std::size_t>(at);
  return fmt::format("byte {:#x} is {:#04x} and should be {:#04x}", offset, static_cast<unsigned>(found[offset]),
                     static_cast<unsigned>(expected[offset]));
}

std::string difference(std::span<const std::byte> pages, const Pieces& pieces) {
  std::vector<bool> touched(pages.size() / kPageSize);
  for (const Piece& piece : pieces) {
    if (piece.offset + piece.bytes.size() > pages.size() || piece.bytes.empty()) {
      return fmt::format("{} bytes at {:#x} lie outside of the pages", piece.bytes.size(), piece.offset);
    }
    const std::string wrong = first_difference(pages.subspan(piece.offset, piece.bytes.size()), piece.bytes);
    if (!wrong.empty()) {
      return fmt::format("of what was moved at {:#x}, {}", piece.offset, wrong);
    }
    for (std::size_t page = piece.offset / kPageSize; page <= (piece.offset + piece.bytes.size() - 1) / kPageSize; ++page) {
      touched[page] = true;
    }
  }
  const auto missed = std::count(touched.begin(), touched.end(), false);
  return missed == 0 ? "" : fmt::format("{} of {} pages were not touched", missed, touched.size());
}

void overlay(std::span<std::byte> bytes, const Pieces& pieces) {
  for (const Piece& piece : pieces) {
    std::copy(piece.bytes.begin(), piece.bytes.end(), bytes.begin() + static_cast<std::ptrdiff_t>(piece.offset));
  }
}

void PinsTest::expect_refusals(const PinnerRow& row) {
  if (*row.refusal_line != '\0') {
    expect_kernel_line(row.refusal_line, 0);
  }
}

AssertionResult PinsTest::pins_are(std::int64_t number) const {
  if (!eventually([&] { return outstanding_pins() == number; })) {
    return AssertionFailure() << outstanding_pins() << " pins are held instead of " << number;
  }
  return AssertionSuccess();
}

AssertionResult PinsTest::nothing_moved(const kfdlab_test_counters& before) const {
  const kfdlab_test_counters now = counters();
  if (now.pages_left_by_pin != before.pages_left_by_pin || now.pages_to_vram != before.pages_to_vram ||
      now.pages_to_ram_prefetch != before.pages_to_ram_prefetch || now.pages_to_ram_evict != before.pages_to_ram_evict) {
    return AssertionFailure() << now.pages_left_by_pin - before.pages_left_by_pin << " pages were taken by a pin, "
                              << now.pages_to_vram - before.pages_to_vram << " went to VRAM, "
                              << now.pages_to_ram_prefetch - before.pages_to_ram_prefetch << " to RAM, "
                              << now.pages_to_ram_evict - before.pages_to_ram_evict << " were evicted";
  }
  return AssertionSuccess();
}

AssertionResult PinsTest::left_by_pin(const kfdlab_test_counters& before, std::size_t pages) const {
  kfdlab_test_counters expected = before;
  expected.pages_left_by_pin += pages;
  return nothing_moved(expected);
}

}  // namespace kfdlab::pins
