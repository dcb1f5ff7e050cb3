// SPDX-License-Identifier: MIT
// kfdlab: parses the command line, starts one subcommand and returns its status.
#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <functional>
#include <memory>

#include "tools/commands.h"

namespace {

// With one of 0, 1 and 2 closed, the next file opened would become somebody's standard output.
void open_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) {
      static_cast<void>(::open("/dev/null", O_RDWR));  // the lowest free number: fd
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_descriptors();
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
