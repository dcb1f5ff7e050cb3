// SPDX-License-Identifier: MIT
#include "tools/kernels/build_progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace kfdlab {
namespace {

constexpr std::chrono::seconds kPipeInterval{30};
constexpr std::chrono::milliseconds kTerminalInterval{200};

std::string duration_text(std::chrono::seconds elapsed) {
  const auto seconds = elapsed.count();
  return seconds < 60 ? fmt::format("{} s", seconds) : fmt::format("{} min {} s", seconds / 60, seconds % 60);
}

}  // namespace

bool BuildProgress::feed(std::string_view line) {
  // "  CC      mm/gup.o", "  AS      arch/x86/entry/entry_64.o", "  CC [M]  lib/test_hmm.o"; other words make no
  // object.
  if (!line.ends_with(".o") || (!line.starts_with("  CC ") && !line.starts_with("  AS "))) {
    return false;
  }
  ++objects_;
  return true;
}

unsigned BuildProgress::percent() const {
  return expected_ == 0 ? 0 : std::min(99u, static_cast<unsigned>(100ull * objects_ / expected_));
}

std::string BuildProgress::text(std::chrono::seconds elapsed) const {
  return fmt::format("{} % ({} of about {} objects), {}", percent(), objects_, std::max(expected_, objects_),
                     duration_text(elapsed));
}

LiveLine::LiveLine(std::string label) : label_(std::move(label)), terminal_(::isatty(STDERR_FILENO) == 1) {}

LiveLine::~LiveLine() { erase(); }

void LiveLine::update(const std::string& text) {
  const auto now = Clock::now();
  if (now - last_ < (terminal_ ? Clock::duration(kTerminalInterval) : Clock::duration(kPipeInterval))) {
    return;
  }
  last_ = now;
  if (!terminal_) {
    fmt::print(stderr, "kfdlab: {}: {}\n", label_, text);
    return;
  }
  fmt::print(stderr, "\r\x1b[Kkfdlab: {}: {}", label_, text);
  std::fflush(stderr);
  drawn_ = true;
}

void LiveLine::say(const std::string& text) {
  erase();
  fmt::print(stderr, "kfdlab: {}: {}\n", label_, text);
  last_ = terminal_ ? Clock::time_point{} : Clock::now();
}

void LiveLine::erase() {
  if (drawn_) {
    fmt::print(stderr, "\r\x1b[K");
    std::fflush(stderr);
    drawn_ = false;
  }
}

}  // namespace kfdlab
