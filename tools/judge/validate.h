// SPDX-License-Identifier: MIT
// `kfdlab validate` and `kfdlab test`: from the command line to the exit status.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/options.h"

namespace CLI {
class App;
}

namespace kfdlab::judge {

struct ValidateArguments {
  CommonOptions common{.gpus = 2};  // so that the tests of several run
  std::vector<std::string> kernels = {"stock"};
  std::vector<std::string> suites;
  std::string filter;
  std::uint64_t seed = 1;
  unsigned stress_seconds = 20;
  std::uint64_t stress_operations = 0;
  unsigned test_timeout = 0;  // seconds; 0: by accelerator
  std::string json, junit, out;
  bool here = false;
  bool keep = false;
  bool dry_run = false;
  bool gdb = false;
  bool no_controls = false;
  // For the suite's own controls: "MODULE:NAME=VALUE", and a defect to provoke.
  std::vector<std::string> module_params;
  std::string control;
  // Given by the host to the runner in the guest.
  int stream_fd = -1;
  std::string accel = "hardware";
  std::string module_dir;
};

void add_validate_options(CLI::App& app, ValidateArguments& arguments);

// with_unit: `test`, the unit tests first. Prints everything; returns the exit status.
[[nodiscard]] int validate(const ValidateArguments& arguments, bool with_unit);

}  // namespace kfdlab::judge
