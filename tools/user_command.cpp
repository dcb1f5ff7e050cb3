// SPDX-License-Identifier: MIT
#include "tools/user_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>

#include "tools/caller.h"
#include "tools/commands.h"
#include "tools/host/interrupt.h"
#include "tools/host/paths.h"
#include "tools/kernels/catalog.h"
#include "tools/signal_forwarder.h"
#include "tools/terminal.h"
#include "tools/vm/vm.h"

namespace kfdlab {
namespace {

namespace fs = std::filesystem;

// "MODULE:K=V" to the module it names.
Status add_module_parameters(const std::vector<std::string>& parameters, VmOptions& options) {
  for (const std::string& parameter : parameters) {
    const std::size_t colon = parameter.find(':');
    const std::string module = parameter.substr(0, colon);
    std::vector<std::string>* target = module == "kfdlab_amdgpu" ? &options.amdgpu_params
                                       : module == "kfdlab_gup"  ? &options.gup_params
                                                                 : nullptr;
    if (colon == std::string::npos || target == nullptr) {
      return Error{
          fmt::format("--module-param {} is not kfdlab_amdgpu:NAME=VALUE or kfdlab_gup:NAME=VALUE", parameter)};
    }
    target->push_back(parameter.substr(colon + 1));
  }
  return ok_status();
}

Result<VmOptions> vm_options(const UserCommand& command, const fs::path& log_dir) {
  VmOptions options;
  KFDLAB_TRY(apply_common_options(command.common, options));
  auto kernel = prepare_kernel(command.kernel, {command.common.modules, !command.no_modules, command.common.verbose});
  KFDLAB_TRY(kernel);
  options.kernel = kernel.take();
  options.load_modules = !command.no_modules;
  options.log_dir = log_dir;
  KFDLAB_TRY(add_module_parameters(command.module_parameters, options));
  for (const std::string& directory : command.writable) {
    std::error_code error;
    const fs::path path = fs::canonical(directory, error);
    if (error || !fs::is_directory(path, error)) {
      return Error{fmt::format("--rw {} is not a directory of this machine", directory)};
    }
    if (::access(path.c_str(), R_OK | W_OK | X_OK) != 0) {
      return Error{fmt::format("--rw {}: you may not write there yourself", directory)};
    }
    options.writable.push_back(path);
  }
  return options;
}

// The last line on a terminal: what was written and is lost.
void report_discarded(Vm& vm) {
  constexpr std::size_t kShown = 4;
  const auto list = vm.discarded_files();
  if (!list.ok() || list.value().empty()) {
    return;
  }
  const auto& paths = list.value();
  const std::size_t shown = std::min(paths.size(), kShown);
  std::string names =
      fmt::format("{}", fmt::join(paths.begin(), paths.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  if (paths.size() > shown) {
    names += fmt::format(" and {} more", paths.size() - shown);
  }
  fmt::print(stderr, "kfdlab: discarded {} (--rw DIR keeps what is written below DIR)\n", names);
}

class UserSession {
 public:
  explicit UserSession(const UserCommand& command) : command_(command), signals_([this] { terminal_.restore(); }) {}

  Result<int> run(const fs::path& log_dir) {
    auto options = vm_options(command_, log_dir);
    KFDLAB_TRY(options);
    auto vm = Vm::boot(options.value());
    KFDLAB_TRY(vm);
    GuestCommand guest = guest_command(*vm.value());
    signals_.forward_to(vm.value().get());
    if (guest.pty) {
      terminal_.enter(STDIN_FILENO);
    }
    const auto end = vm.value()->run(guest);
    signals_.forward_to(nullptr);
    terminal_.restore();
    KFDLAB_TRY(end);
    if (::isatty(STDERR_FILENO) == 1) {
      report_discarded(*vm.value());
    }
    KFDLAB_TRY(vm.value()->shutdown());
    return end.value().status;
  }

  [[nodiscard]] int signal_received() const { return signals_.received(); }

 private:
  GuestCommand guest_command(Vm& vm) {
    GuestCommand guest;
    guest.argv = command_.argv;
    inherit_from_caller(guest, command_.env, command_.as_root);
    guest.pty = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
    guest.results = false;
    guest.stdin_fd = STDIN_FILENO;
    guest.timeout = std::chrono::seconds(command_.common.timeout_seconds);
    guest.on_output = [&vm, closed = false](int stream, std::string_view data) mutable {
      if (!closed && !write_patiently(stream == 2 ? STDERR_FILENO : STDOUT_FILENO, data)) {
        closed = true;
        vm.signal(SIGPIPE);  // what a local command would get
      }
    };
    return guest;
  }

  const UserCommand& command_;
  RawTerminal terminal_;
  SignalForwarder signals_;
};

}  // namespace

int run_user_command(const UserCommand& command) {
  std::error_code ignored;
  auto log_dir = TemporaryDirectory::create(fs::temp_directory_path(ignored));
  if (!log_dir.ok()) {
    fmt::print(stderr, "kfdlab: {}\n", log_dir.error().message);
    return kRunFailureStatus;
  }
  UserSession session(command);
  const auto status = session.run(log_dir.value().path());
  if (std::getenv("KFDLAB_KEEP_LOGS") != nullptr) {
    log_dir.value().keep();
  }
  if (status.ok()) {
    return status.value();
  }
  if (interrupted() && session.signal_received() != 0) {
    return 128 + session.signal_received();
  }
  if (fs::exists(log_dir.value().path() / "console.log", ignored)) {
    log_dir.value().keep();  // the message names files in it
  }
  fmt::print(stderr, "kfdlab: {}\n", status.error().message);
  return kRunFailureStatus;
}

void add_user_command_options(CLI::App& app, UserCommand& command) {
  app.add_option("--kernel", command.kernel, std::string(kKernelHelp) + " (default 6.12)");
  app.add_option("--rw", command.writable, "host directory the command may write; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--env", command.env, "K=V to add to the environment; may be repeated")->allow_extra_args(false);
  app.add_flag("--root", command.as_root, "run as root instead of yourself");
  app.add_flag("--no-modules", command.no_modules, "boot without kfdlab's kernel modules");
  app.add_option("--module-param", command.module_parameters,
                 "MODULE:NAME=VALUE for kfdlab_amdgpu or kfdlab_gup; may be repeated")
      ->allow_extra_args(false);
  add_common_options(app, command.common);
}

void add_command_words(CLI::App& app, UserCommand& command) {
  // CLI11 rewrites a word like [1,2] when it belongs to an option, so the words go to no option: this one, for the
  // help text and so that "--" stays with this subcommand, accepts none of them.
  app.add_option("command", "the command and its arguments")->check([](const std::string&) {
    return std::string("not here");
  });
  app.validate_positionals();
  app.prefix_command();
  app.parse_complete_callback([&app, &command] {
    command.argv = app.remaining();
    if (!command.argv.empty() && command.argv.front() == "--") {
      command.argv.erase(command.argv.begin());
    } else if (!command.argv.empty() && command.argv.front().starts_with('-')) {
      throw CLI::ExtrasError({command.argv.front()});
    }
    if (command.argv.empty()) {
      throw CLI::RequiredError("the command to run");
    }
  });
}

}  // namespace kfdlab
