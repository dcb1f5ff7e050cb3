// SPDX-License-Identifier: MIT
// Small files of sysfs and debugfs, and numbers in them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>

#include "tests/kfd/kfd_fixture.h"
#include "tests/support/buffer.h"

namespace kfdlab {

inline constexpr char kDebugfs[] = "/sys/kernel/debug";

// All of a file; nullopt if it cannot be opened or read.
[[nodiscard]] inline std::optional<std::string> read_text(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return std::nullopt;
  }
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return file.bad() ? std::nullopt : std::optional(std::move(text));
}

// The number behind the word `name`, wherever it stands; nullopt if it is not there.
[[nodiscard]] inline std::optional<std::uint64_t> number_after(const std::string& text, const std::string& name) {
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    std::uint64_t number = 0;
    if (word == name && words >> number) {
      return number;
    }
  }
  return std::nullopt;
}

// A file of the render node of GPU node `node` in debugfs.
[[nodiscard]] inline std::string dri_debugfs(const std::string& name, unsigned node = 1) {
  return std::string(kDebugfs) + "/dri/" + std::to_string(node_properties(node)["drm_render_minor"]) + "/" + name;
}

// /sys/class/kfd/kfd/proc/<pid>/vram_<gpu_id>; nullopt if the process has no folder.
[[nodiscard]] inline std::optional<std::uint64_t> process_vram(int pid, std::uint32_t gpu_id) {
  std::ifstream file("/sys/class/kfd/kfd/proc/" + std::to_string(pid) + "/vram_" + std::to_string(gpu_id));
  std::uint64_t bytes = 0;
  return file >> bytes ? std::optional(bytes) : std::nullopt;
}

// Pages of transparent huge pages in the mapping of this process that starts at this address.
[[nodiscard]] inline std::size_t huge_pages_at(const void* start) {
  std::ifstream file("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    unsigned long from = 0;
    unsigned long to = 0;
    std::size_t kib = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &from, &to) == 2) {
      inside = from == reinterpret_cast<std::uintptr_t>(start);
    } else if (inside && std::sscanf(line.c_str(), "AnonHugePages: %zu", &kib) == 1) {
      return kib * 1024 / kPageSize;
    }
  }
  return 0;
}

}  // namespace kfdlab
