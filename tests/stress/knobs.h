// SPDX-License-Identifier: MIT
// Knobs of the kernel's background workers that a run turns, and turns back when it ends: KSM, khugepaged, swap, and a
// memory cgroup for the workers. A knob that this kernel does not have is left alone.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace kfdlab::stress {

[[nodiscard]] bool write_knob(const std::string& path, const std::string& value);

class Knobs {
 public:
  // Makes khugepaged busy, and KSM if asked, switches swap on if there is a scratch disk, makes the cgroup.
  explicit Knobs(bool ksm);
  Knobs(const Knobs&) = delete;
  Knobs& operator=(const Knobs&) = delete;
  // Everything as it was. Nobody may live in the cgroup any more.
  ~Knobs();

  // The workers' cgroup, or empty.
  [[nodiscard]] const std::string& cgroup() const { return cgroup_; }
  // The disk that is used for swap because of this object, or empty.
  [[nodiscard]] const std::string& swap() const { return swap_; }
  // What could not be had, as sentences.
  [[nodiscard]] const std::vector<std::string>& missing() const { return missing_; }

 private:
  void turn(const std::string& path, const std::string& value);
  void make_cgroup();
  void switch_swap_on();

  std::vector<std::pair<std::string, std::string>> before_;
  std::vector<std::string> missing_;
  std::string cgroup_;
  std::string swap_;
};

}  // namespace kfdlab::stress
