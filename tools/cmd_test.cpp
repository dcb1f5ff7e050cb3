// SPDX-License-Identifier: MIT
// kfdlab test: unit tests on this machine, then every suite on every kernel.
#include <memory>

#include "tools/commands.h"
#include "tools/judge/validate.h"

namespace kfdlab {

std::function<int()> setup_test(CLI::App& app) {
  auto arguments = std::make_shared<judge::ValidateArguments>();
  judge::add_validate_options(app, *arguments);
  return [arguments] { return judge::validate(*arguments, true); };
}

}  // namespace kfdlab
