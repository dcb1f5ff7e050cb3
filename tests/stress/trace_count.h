// SPDX-License-Identifier: MIT
// TraceCount: how often a trace event of the driver came with a condition, counted by the kernel itself (a histogram
// trigger in a tracing instance of its own), so nothing is lost however fast they come.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace kfdlab::stress {

class TraceCount {
 public:
  // event: of the group kfdlab. condition: a filter, as "stayed > 0".
  TraceCount(const std::string& name, const std::string& event, const std::string& condition);
  TraceCount(const TraceCount&) = delete;
  TraceCount& operator=(const TraceCount&) = delete;
  ~TraceCount();

  // Since it was made. nullopt: this kernel cannot count, or tracefs is not there.
  [[nodiscard]] std::optional<std::uint64_t> value() const;

 private:
  std::string instance_;
  std::string event_directory_;
  bool works_ = false;
};

}  // namespace kfdlab::stress
