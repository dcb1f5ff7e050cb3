// SPDX-License-Identifier: MIT
// The table of subcommands: one row each in commands.cpp, one function each in cmd_<name>.cpp.
#pragma once

#include <functional>
#include <span>

namespace CLI {
class App;
}

namespace kfdlab {

// Exit statuses of kfdlab itself; `run` and `shell` pass the guest command's status through.
inline constexpr int kUsageStatus = 2;
inline constexpr int kNothingRanStatus = 77;
inline constexpr int kHarnessStatus = 99;
inline constexpr int kRunFailureStatus = 125;  // `run` and `shell`: kfdlab's own failure

struct Command {
  const char* name;
  const char* help;
  // Adds the command's options and returns what runs once they are parsed; its result is the exit status.
  std::function<int()> (*setup)(CLI::App& app);
};

[[nodiscard]] std::span<const Command> commands();

std::function<int()> setup_bench(CLI::App& app);
std::function<int()> setup_build(CLI::App& app);
std::function<int()> setup_doctor(CLI::App& app);
std::function<int()> setup_kernels(CLI::App& app);
std::function<int()> setup_mutants(CLI::App& app);
std::function<int()> setup_run(CLI::App& app);
std::function<int()> setup_shell(CLI::App& app);
std::function<int()> setup_test(CLI::App& app);
std::function<int()> setup_validate(CLI::App& app);
std::function<int()> setup_version(CLI::App& app);

}  // namespace kfdlab
