// SPDX-License-Identifier: MIT
// kfdlab validate: the suites, in a VM for each kernel or on this machine.
#include <memory>

#include "tools/commands.h"
#include "tools/judge/validate.h"

namespace kfdlab {

std::function<int()> setup_validate(CLI::App& app) {
  auto arguments = std::make_shared<judge::ValidateArguments>();
  judge::add_validate_options(app, *arguments);
  return [arguments] { return judge::validate(*arguments, false); };
}

}  // namespace kfdlab
