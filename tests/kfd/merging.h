// SPDX-License-Identifier: MIT
// KSM as a test drives it, and the files of /proc, /sys and cgroups that say what it did.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>

namespace kfdlab {

// The number in a file of /proc, /sys or a cgroup; -1: cannot be read.
inline int64_t number_in(const std::string& path) {
  std::ifstream file(path);
  int64_t value = -1;
  return file >> value ? value : -1;
}

inline bool write_to(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  return static_cast<bool>(file << text << std::flush);
}

// KSM runs while this lives, and unmerges everything at the end.
class Merging {
 public:
  Merging()
      : works_(write_to("/sys/kernel/mm/ksm/pages_to_scan", "2000") &&
               write_to("/sys/kernel/mm/ksm/sleep_millisecs", "5") && write_to("/sys/kernel/mm/ksm/run", "1")) {}
  Merging(const Merging&) = delete;
  Merging& operator=(const Merging&) = delete;
  ~Merging() { write_to("/sys/kernel/mm/ksm/run", "2"); }
  [[nodiscard]] bool works() const { return works_; }
  // Look at no further page: for the moment it looks, KSM holds a page.
  void pause() const { write_to("/sys/kernel/mm/ksm/run", "0"); }
  void resume() const { write_to("/sys/kernel/mm/ksm/run", "1"); }

 private:
  bool works_;
};

}  // namespace kfdlab
