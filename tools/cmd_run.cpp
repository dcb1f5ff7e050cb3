// SPDX-License-Identifier: MIT
// kfdlab run: a command of this machine inside the VM.
#include <CLI/CLI.hpp>
#include <memory>

#include "tools/commands.h"
#include "tools/user_command.h"

namespace kfdlab {

std::function<int()> setup_run(CLI::App& app) {
  auto command = std::make_shared<UserCommand>();
  add_user_command_options(app, *command);
  add_command_words(app, *command);
  return [command] { return run_user_command(*command); };
}

}  // namespace kfdlab
