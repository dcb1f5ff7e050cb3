// SPDX-License-Identifier: MIT
// What the tests of every pinner and every reader stand on: GupTest's clients and oracles, the pinner of the row, and
// comparison of what a device moved with what the process sees.
#pragma once

#include <string>

#include "tests/gup/gup_fixture.h"
#include "tests/pins/pinner.h"

namespace kfdlab::pins {

// Empty, or how the bytes of a device differ from those at the same place of the pages. Every page must be touched.
[[nodiscard]] std::string difference(std::span<const std::byte> pages, const Pieces& pieces);
// Lay the pieces over `bytes`.
void overlay(std::span<std::byte> bytes, const Pieces& pieces);
// The first word that differs, in words; empty if none does.
[[nodiscard]] std::string first_difference(std::span<const std::byte> expected, std::span<const std::byte> found);

class PinsTest : public GupTest {
 protected:
  // The running test will see the pinner refuse: what it then says in the kernel log is no defect. The number of lines
  // is limited per time.
  static void expect_refusals(const PinnerRow& row);
  // Frames of the pages, to see that they stay.
  [[nodiscard]] std::vector<std::uint64_t> frames(Pages pages) const {
    return oracle().frames(pages.data(), count(pages));
  }
  // Waits until as many pins are held in the system as at first; some end a little later than their release.
  [[nodiscard]] testing::AssertionResult pins_are(std::int64_t number) const;
  // Nothing moved since `before`, for whatever reason.
  [[nodiscard]] testing::AssertionResult nothing_moved(const kfdlab_test_counters& before) const;
  // The pages left since `before`, each once, all of them because of a pin.
  [[nodiscard]] testing::AssertionResult left_by_pin(const kfdlab_test_counters& before, std::size_t pages) const;
};

// A test name from a row.
template <typename Row>
std::string row_name(const testing::TestParamInfo<Row>& info) {
  return std::string(info.param.name);
}

}  // namespace kfdlab::pins
