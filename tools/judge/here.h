// SPDX-License-Identifier: MIT
// Judging the machine this program runs on: `validate --here`, and what runs inside the VM.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tools/judge/sink.h"

namespace kfdlab::judge {

struct HereOptions {
  std::filesystem::path bin_dir;       // where the suites' executables are
  std::filesystem::path expectations;  // tests/suites/expectations.json
  std::filesystem::path module_dir;    // kfdlab's modules for this kernel; empty: unknown
  std::vector<std::string> suites;     // names; empty: every suite for the VM, and the controls
  std::string filter;                  // gtest pattern
  std::string accel = "hardware";      // what executes this machine's instructions: kvm, tcg, hardware
  std::string control;                 // "warn": provoke a kernel warning in the first test of each process
  bool controls = true;                // run the negative controls
  std::uint64_t seed = 1;
  unsigned stress_seconds = 20;
  std::uint64_t stress_operations = 0;  // 0: only the time ends a stress test
  std::chrono::seconds test_limit{0};  // 0: 60 s, or 180 s under tcg; four times that on debug kernels
};

// Runs to the end and tells the sink; on_done() is the last call in any case.
void run_here(const HereOptions& options, RunSink* sink);

// True for "control" and every suite of the table.
[[nodiscard]] bool is_suite_name(const std::string& name);

}  // namespace kfdlab::judge
