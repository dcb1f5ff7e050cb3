// SPDX-License-Identifier: MIT
// MemoryCgroup: a group below the root of cgroup2 with a memory limit, for the time of a test.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "common/result.h"

namespace kfdlab {

class MemoryCgroup {
 public:
  // Error: no cgroup2 with a memory controller, or not root.
  static Result<MemoryCgroup> create(const std::string& name);
  MemoryCgroup(MemoryCgroup&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  MemoryCgroup(const MemoryCgroup&) = delete;
  MemoryCgroup& operator=(const MemoryCgroup&) = delete;
  // Removes the group; the processes in it must have ended.
  ~MemoryCgroup();

  // Move the calling process into it: what it allocates from here on is charged. False: it failed.
  [[nodiscard]] bool enter() const { return write("cgroup.procs", "0"); }
  [[nodiscard]] bool set_max(std::uint64_t bytes) const { return write("memory.max", std::to_string(bytes)); }
  [[nodiscard]] bool lift() const { return write("memory.max", "max"); }
  [[nodiscard]] std::uint64_t current() const;
  // Of memory.events: "max", "oom", "oom_kill" ...
  [[nodiscard]] std::uint64_t event(const std::string& name) const;

 private:
  explicit MemoryCgroup(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] bool write(const std::string& file, const std::string& text) const;
  std::string path_;
};

}  // namespace kfdlab
