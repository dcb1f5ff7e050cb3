// SPDX-License-Identifier: MIT
#include "tools/commands.h"

#include <cstdio>

namespace kfdlab {

std::span<const Command> commands() {
  static constexpr Command kCommands[] = {
      {"validate", "Run the suites on each kernel and judge them", setup_validate},
      {"test", "Run the unit tests, then validate", setup_test},
      {"run", "Run a command of this machine inside the VM, with the virtual GPU attached", setup_run},
      {"shell", "Open your login shell inside the VM", setup_shell},
      {"build", "Build the kernel modules", setup_build},
      {"kernels", "List the kernels that can be booted", setup_kernels},
      {"bench", "Measure migrations and long-term pins", setup_bench},
      {"mutants", "Break one rule after the other and see whether a test notices", setup_mutants},
      {"doctor", "Say what this machine lacks", setup_doctor},
      {"version", "Print the version", setup_version},
  };
  return kCommands;
}

std::function<int()> setup_version(CLI::App& app) {
  static_cast<void>(app);
  return [] {
    std::puts("kfdlab " KFDLAB_VERSION);
    return 0;
  };
}

}  // namespace kfdlab
