// SPDX-License-Identifier: MIT
// kfdlab_bench: speed of migrations, evictions, allocations and long-term pins in this machine, with what they are
// compared to measured in the same run. Prints one JSON object on the descriptor given as first argument (default
// stdout), progress on stderr. Further arguments name the parts to run (default all).
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/bench/session.h"

namespace kfdlab::bench {
namespace {

struct Part {
  const char* name;
  nlohmann::json (*run)(const Session& session);
};
constexpr Part kParts[] = {
    {"pages", pages_part}, {"eviction", eviction_part}, {"allocation", allocation_part}, {"scaling", scaling_part}};

nlohmann::json run(const std::vector<std::string>& wanted) {
  const Session session;
  nlohmann::json result = {{"vram_bytes", session.vram_bytes()}};
  for (const Part& part : kParts) {
    if (wanted.empty() || std::find(wanted.begin(), wanted.end(), part.name) != wanted.end()) {
      progress(part.name);
      result.update(part.run(session));
    }
  }
  return result;
}

}  // namespace
}  // namespace kfdlab::bench

int main(int argc, char** argv) {
  const int fd = argc > 1 ? std::atoi(argv[1]) : STDOUT_FILENO;
  const std::vector<std::string> parts(argv + std::min(argc, 2), argv + argc);
  const std::string text = kfdlab::bench::run(parts).dump() + "\n";
  return ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1;
}
