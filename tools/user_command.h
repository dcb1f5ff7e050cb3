// SPDX-License-Identifier: MIT
// One command of the user's in a VM of its own, behaving as far as possible like a local one: what `run` and
// `shell` share.
#pragma once

#include <string>
#include <vector>

#include "tools/options.h"

namespace kfdlab {

struct UserCommand {
  CommonOptions common;
  std::string kernel = "6.12";
  std::vector<std::string> argv;
  std::vector<std::string> env;                // "K=V" to add
  std::vector<std::string> writable;           // host directories
  std::vector<std::string> module_parameters;  // "MODULE:K=V"
  bool as_root = false;
  bool no_modules = false;
};

// The command's exit status; kRunFailureStatus with a sentence on stderr when kfdlab itself failed; 128 + signal
// when the caller's second signal ended the VM.
[[nodiscard]] int run_user_command(const UserCommand& command);

// Adds the options `run` and `shell` share.
void add_user_command_options(CLI::App& app, UserCommand& command);

// Everything from the first word that is not an option on (or behind a first "--") is the command's, untouched.
void add_command_words(CLI::App& app, UserCommand& command);

}  // namespace kfdlab
