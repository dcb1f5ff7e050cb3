// SPDX-License-Identifier: MIT
// How far a kernel build is, from what make prints, and how a person is told about something that takes minutes.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace kfdlab {

// Counts the objects that kbuild says it makes ("  CC [M]  drivers/x.o").
class BuildProgress {
 public:
  // expected: objects of a whole build, about; already: made by a run that was interrupted.
  BuildProgress(unsigned expected, unsigned already) : expected_(expected), objects_(already) {}

  // True if the line was about an object.
  bool feed(std::string_view line);
  [[nodiscard]] unsigned objects() const { return objects_; }
  // 0..99: what is left at the end (linking, modules) is no object.
  [[nodiscard]] unsigned percent() const;
  // "34 % (812 of about 2400 objects), 3 min 12 s"
  [[nodiscard]] std::string text(std::chrono::seconds elapsed) const;

 private:
  unsigned expected_;
  unsigned objects_;
};

// One live line on stderr's terminal; in a pipe at most one line in half a minute.
class LiveLine {
 public:
  explicit LiveLine(std::string label);
  ~LiveLine();
  LiveLine(const LiveLine&) = delete;
  LiveLine& operator=(const LiveLine&) = delete;

  void update(const std::string& text);
  // A line that stays.
  void say(const std::string& text);

 private:
  using Clock = std::chrono::steady_clock;
  void erase();

  std::string label_;
  bool terminal_;
  bool drawn_ = false;
  Clock::time_point last_{};
};

}  // namespace kfdlab
