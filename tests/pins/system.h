// SPDX-License-Identifier: MIT
// What has to be set up in the system before a pinner exists: modules and devices. Each is made once, when the first
// test asks, and devices are removed when the suite's process ends.
#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"

namespace kfdlab::pins {

// Runs a command line; an Error has what it said.
Status run_command(const std::string& line);

// Loads a module of this kernel. The Error says that it is absent, or why it does not load.
Status load_module(const std::string& name, const std::string& parameters = "");

// Two network devices, up, that are each other's far end. They carry no traffic of their own.
struct Link {
  static constexpr const char* kNear = "kfdlabp0";
  static constexpr const char* kFar = "kfdlabp1";
  static constexpr const char* kAddress = "10.251.0.1";  // of the near end
  static constexpr unsigned kMtu = 4200;
};
Status make_link();

// A field of /proc/self/status in pages: "VmPin", "VmLck".
[[nodiscard]] std::uint64_t status_pages(const std::string& field);

}  // namespace kfdlab::pins
