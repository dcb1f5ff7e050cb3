// SPDX-License-Identifier: MIT
// kfdlab run: a command of this machine inside the VM.
#include <memory>

#include <CLI/CLI.hpp>

#include "tools/commands.h"
#include "tools/user_command.h"

namespace kfdlab {

std::function<int()> setup_run(CLI::App& app) {
  auto command = std::make_shared<UserCommand>();
  add_user_command_options(app, *command);
  app.add_option("command", command->argv, "the command and its arguments")->required();
  app.positionals_at_end();
  return [command] { return run_user_command(*command); };
}

}  // namespace kfdlab
