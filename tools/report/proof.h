// SPDX-License-Identifier: MIT
// The verdict in one sentence: what was proven, from the counters that the tests recorded, and on which kernels.
#pragma once

#include <string>

#include "tools/judge/result.h"

namespace kfdlab::report {

// Counters that GupPin tests record (tests/gup): pages in VRAM before pin_user_pages_fast(FOLL_LONGTERM), and how many
// of them were in RAM when it returned.
inline constexpr char kPinnedPages[] = "longterm_fast_pages";
inline constexpr char kLeftPages[] = "longterm_fast_left_vram";

// "PASS: 4096 of 4096 pages left VRAM before pin_user_pages_fast(FOLL_LONGTERM) held them, on A and B."
[[nodiscard]] std::string verdict_sentence(const judge::Report& report);

// What a pass means and what it does not; empty for runs on real hardware.
[[nodiscard]] std::string scope_sentence(const judge::Report& report);

// "N passed, N failed, N skipped": known failures count as skipped.
[[nodiscard]] std::string counts_line(const judge::Report& report);

}  // namespace kfdlab::report
