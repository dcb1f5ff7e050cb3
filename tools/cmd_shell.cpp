// SPDX-License-Identifier: MIT
// kfdlab shell: the caller's login shell inside the VM.
#include <pwd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <memory>
#include <string>

#include "tools/commands.h"
#include "tools/user_command.h"

namespace kfdlab {
namespace {

std::string login_shell() {
  if (const char* shell = std::getenv("SHELL"); shell != nullptr && *shell == '/') {
    return shell;
  }
  const passwd* entry = ::getpwuid(::getuid());
  return entry != nullptr && *entry->pw_shell == '/' ? entry->pw_shell : "/bin/sh";
}

}  // namespace

std::function<int()> setup_shell(CLI::App& app) {
  auto command = std::make_shared<UserCommand>();
  add_user_command_options(app, *command);
  return [command] {
    command->argv = {login_shell(), "-l"};
    return run_user_command(*command);
  };
}

}  // namespace kfdlab
