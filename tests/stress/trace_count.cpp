// SPDX-License-Identifier: MIT
#include "tests/stress/trace_count.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/stress/knobs.h"

namespace kfdlab::stress {
namespace {

constexpr char kInstances[] = "/sys/kernel/tracing/instances/";
constexpr char kKeys[] = "hist:keys=gpu_id";

}  // namespace

TraceCount::TraceCount(const std::string& name, const std::string& event, const std::string& condition)
    : instance_(kInstances + name), event_directory_(instance_ + "/events/kfdlab/" + event) {
  ::mkdir(instance_.c_str(), 0700);
  works_ = write_knob(event_directory_ + "/trigger", std::string(kKeys) + " if " + condition);
}

TraceCount::~TraceCount() {
  if (works_) {
    static_cast<void>(write_knob(event_directory_ + "/trigger", std::string("!") + kKeys));
  }
  ::rmdir(instance_.c_str());
}

std::optional<std::uint64_t> TraceCount::value() const {
  if (!works_) {
    return std::nullopt;
  }
  // "{ gpu_id: 1 } hitcount: 23", a line per GPU, and at the end totals that begin otherwise.
  std::ifstream file(event_directory_ + "/hist");
  std::uint64_t sum = 0;
  for (std::string word, previous; file >> word; previous = word) {
    if (previous == "hitcount:") {
      sum += std::stoull(word);
    }
  }
  return sum;
}

}  // namespace kfdlab::stress
