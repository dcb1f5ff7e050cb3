// SPDX-License-Identifier: MIT
// kfdlab: parses the command line, starts one subcommand and returns its status.
#include <csignal>
#include <functional>
#include <memory>

#include <CLI/CLI.hpp>

#include "tools/commands.h"

int main(int argc, char** argv) {
  // A closed pipe is an error to report or forward (run), never a reason to leave a VM behind.
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app{"AMD's KFD shared virtual memory on an unmodified kernel, without the GPU.", "kfdlab"};
  app.require_subcommand(1);
  int status = 0;
  for (const kfdlab::Command& command : kfdlab::commands()) {
    CLI::App* sub = app.add_subcommand(command.name, command.help);
    sub->callback([&status, body = command.setup(*sub)] { status = body(); });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : kfdlab::kUsageStatus;
  }
  return status;
}
