// SPDX-License-Identifier: MIT
#include "tests/stress/knobs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

#include "common/fd.h"

namespace kfdlab::stress {
namespace {

constexpr char kCgroupRoot[] = "/sys/fs/cgroup";
constexpr char kHugePages[] = "/sys/kernel/mm/transparent_hugepage/";
constexpr char kKsm[] = "/sys/kernel/mm/ksm/";
constexpr char kScratchDisk[] = "/dev/vda";
constexpr std::uint64_t kSwapPages = (512u << 20) / 4096;

std::string read_knob(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  std::string value = text.str();
  while (!value.empty() && value.back() == '\n') {
    value.pop_back();
  }
  // "always [madvise] never": the chosen word.
  const std::size_t open = value.find('[');
  const std::size_t close = value.find(']');
  return open != std::string::npos && close > open ? value.substr(open + 1, close - open - 1) : value;
}

// The header that swapon() expects (include/linux/swap.h, union swap_header): version 1, last page, magic.
bool make_swap(const char* disk) {
  const Fd fd(::open(disk, O_RDWR | O_CLOEXEC));
  std::vector<char> page(4096);
  const std::uint32_t version = 1;
  const auto last_page = static_cast<std::uint32_t>(kSwapPages - 1);
  std::memcpy(page.data() + 1024, &version, sizeof version);
  std::memcpy(page.data() + 1028, &last_page, sizeof last_page);
  std::memcpy(page.data() + page.size() - 10, "SWAPSPACE2", 10);
  return fd.valid() && ::lseek(fd.get(), 0, SEEK_END) >= static_cast<off_t>(kSwapPages * 4096) &&
         ::pwrite(fd.get(), page.data(), page.size(), 0) == static_cast<ssize_t>(page.size());
}

bool in_use(const std::string& disk) {
  for (const char* table : {"/proc/swaps", "/proc/mounts"}) {
    std::ifstream file(table);
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with(disk + " ")) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

bool write_knob(const std::string& path, const std::string& value) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return fd.valid() && ::write(fd.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size());
}

Knobs::Knobs(bool ksm) {
  const std::string huge = kHugePages;
  turn(huge + "enabled", "madvise");
  turn(huge + "khugepaged/defrag", "1");
  turn(huge + "khugepaged/scan_sleep_millisecs", "200");
  turn(huge + "khugepaged/alloc_sleep_millisecs", "200");
  turn(huge + "khugepaged/pages_to_scan", "2048");
  if (ksm) {
    const std::string directory = kKsm;
    turn(directory + "pages_to_scan", "200");
    turn(directory + "sleep_millisecs", "40");
    turn(directory + "run", "1");
  }
  switch_swap_on();
  make_cgroup();
}

Knobs::~Knobs() {
  // KSM stops before its pace is set back.
  std::reverse(before_.begin(), before_.end());
  for (const auto& [path, value] : before_) {
    static_cast<void>(write_knob(path, value));
  }
  if (!swap_.empty()) {
    ::swapoff(swap_.c_str());
  }
  if (!cgroup_.empty()) {
    ::rmdir(cgroup_.c_str());
  }
}

void Knobs::turn(const std::string& path, const std::string& value) {
  const std::string before = read_knob(path);
  if (before.empty() || !write_knob(path, value)) {
    missing_.push_back(path + " cannot be set");
    return;
  }
  before_.emplace_back(path, before);
}

void Knobs::make_cgroup() {
  const std::string root = kCgroupRoot;
  const std::string path = root + "/kfdlab-stress";
  if (!write_knob(root + "/cgroup.subtree_control", "+memory") ||
      (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST)) {
    missing_.push_back("no memory cgroup: reclaim is not provoked");
    return;
  }
  cgroup_ = path;
}

void Knobs::switch_swap_on() {
  std::ifstream swaps("/proc/swaps");
  std::string line;
  std::getline(swaps, line);
  if (std::getline(swaps, line)) {
    return;  // somebody else's is as good
  }
  if (in_use(kScratchDisk) || !make_swap(kScratchDisk) || ::swapon(kScratchDisk, 0) != 0) {
    missing_.push_back("no swap: anonymous pages are not reclaimed");
    return;
  }
  swap_ = kScratchDisk;
}

}  // namespace kfdlab::stress
