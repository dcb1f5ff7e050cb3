// SPDX-License-Identifier: MIT
#include "tools/judge/validate.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>

#include "tests/support/counters.h"
#include "tools/host/paths.h"
#include "tools/judge/here.h"
#include "tools/judge/interrupt.h"
#include "tools/judge/result.h"
#include "tools/judge/suites.h"
#include "tools/judge/unit_run.h"
#include "tools/judge/vm_run.h"
#include "tools/report/files.h"
#include "tools/report/proof.h"
#include "tools/report/text.h"
#include "tools/vm/accelerator.h"
#include "tools/vm/qemu.h"

namespace kfdlab::judge {
namespace {

constexpr char kUnitSuite[] = "unit";

std::filesystem::path self() { return sibling_program("kfdlab"); }

std::filesystem::path expectations_file() { return source_directory() / "tests/suites/expectations.json"; }

bool names_suite(const ValidateArguments& arguments, std::string_view name) {
  return std::find(arguments.suites.begin(), arguments.suites.end(), name) != arguments.suites.end();
}

// A run that was sabotaged on purpose cannot also pass the controls, and repeating one test needs none.
bool controls_wanted(const ValidateArguments& arguments) {
  return !arguments.no_controls && arguments.module_params.empty() && arguments.control.empty() &&
         arguments.filter.empty();
}

HereOptions here_options(const ValidateArguments& arguments) {
  HereOptions here;
  here.bin_dir = self().parent_path();
  here.expectations = expectations_file();
  here.module_dir = arguments.module_dir;
  here.suites = arguments.suites;
  here.filter = arguments.filter;
  here.accel = arguments.accel;
  here.control = arguments.control;
  here.controls = controls_wanted(arguments);
  here.seed = arguments.seed;
  here.stress_seconds = arguments.stress_seconds;
  here.stress_operations = arguments.stress_operations;
  here.test_limit = std::chrono::seconds(arguments.test_timeout);
  return here;
}

// What changes a run and so belongs into the command that repeats a test.
std::vector<std::string> repeat_options(const ValidateArguments& arguments) {
  const CommonOptions defaults = ValidateArguments{}.common;
  const CommonOptions& common = arguments.common;
  std::vector<std::string> options;
  const auto add = [&](bool differs, const char* name, const std::string& value) {
    if (differs) {
      options.insert(options.end(), {name, value});
    }
  };
  add(common.vram_bytes != defaults.vram_bytes, "--vram", std::to_string(common.vram_bytes));
  add(common.memory_bytes != defaults.memory_bytes, "--memory", std::to_string(common.memory_bytes));
  add(common.cpus != defaults.cpus, "--cpus", std::to_string(common.cpus));
  add(common.gpus != defaults.gpus, "--gpus", std::to_string(common.gpus));
  add(common.machine != defaults.machine, "--machine", common.machine);
  add(!common.append.empty(), "--append", common.append);
  add(arguments.seed != 1, "--seed", std::to_string(arguments.seed));
  add(arguments.stress_seconds != ValidateArguments{}.stress_seconds, "--time",
      std::to_string(arguments.stress_seconds));
  add(arguments.stress_operations != 0, "--operations", std::to_string(arguments.stress_operations));
  for (const std::string& parameter : arguments.module_params) {
    add(true, "--module-param", parameter);
  }
  add(!arguments.control.empty(), "--control", arguments.control);
  return options;
}

Status apply_module_params(const std::vector<std::string>& parameters, VmOptions* vm) {
  for (const std::string& parameter : parameters) {
    // As on the kernel's command line, or with a colon.
    const std::size_t end = parameter.find_first_of(".:");
    const std::string module = parameter.substr(0, end);
    const std::string value = end == std::string::npos ? "" : parameter.substr(end + 1);
    if (value.empty() || (module != "kfdlab_gup" && module != "kfdlab_amdgpu")) {
      return Error{"--module-param '" + parameter + "' must be kfdlab_gup:NAME=VALUE or kfdlab_amdgpu:NAME=VALUE"};
    }
    (module == "kfdlab_gup" ? vm->gup_params : vm->amdgpu_params).push_back(value);
  }
  return ok_status();
}

Result<VmRunOptions> vm_run_options(const ValidateArguments& arguments) {
  VmRunOptions options;
  KFDLAB_TRY(apply_common_options(arguments.common, options.vm));
  KFDLAB_TRY(apply_module_params(arguments.module_params, &options.vm));
  options.vm.gdb = arguments.gdb;
  options.prepare.modules = arguments.common.modules;
  options.prepare.verbose = arguments.common.verbose;
  options.here = here_options(arguments);
  options.limit = std::chrono::seconds(arguments.common.timeout_seconds);
  options.shell_on_failure = arguments.keep && ::isatty(STDIN_FILENO) != 0;
  return options;
}

int usage_error(const std::string& message) {
  fmt::print(stderr, "kfdlab: {}\n", message);
  return kExitUsage;
}

std::optional<std::string> bad_suite(const ValidateArguments& arguments) {
  for (const std::string& suite : arguments.suites) {
    if (!is_suite_name(suite)) {
      std::string names = "control";
      for (const Suite& known : all_suites()) {
        names += fmt::format(", {}", known.name);
      }
      return fmt::format("there is no suite '{}'; there are {}", suite, names);
    }
  }
  return std::nullopt;
}

bool wants_vm(const ValidateArguments& arguments) {
  return arguments.suites.empty() ||
         std::any_of(arguments.suites.begin(), arguments.suites.end(), [](const auto& s) { return s != kUnitSuite; });
}

int dry_run(const ValidateArguments& arguments, const VmRunOptions& options, const std::vector<std::string>& kernels) {
  const auto cache = cache_directory();
  if (!cache) {
    return usage_error(cache.error().message);
  }
  for (const Suite& suite : all_suites()) {
    if (arguments.suites.empty() || names_suite(arguments, suite.name)) {
      fmt::print("suite {:<11} {}\n", suite.name, suite.proves);
    }
  }
  for (const std::string& name : kernels) {
    auto kernel = prepare_kernel(name, options.prepare);
    if (!kernel) {
      fmt::print(stderr, "kfdlab: {}\n", kernel.error().message);
      return kExitHarness;
    }
    VmOptions vm = options.vm;
    vm.kernel = kernel.take();
    const QemuConfig config{vm, choose_accelerator(cache.value()), "console.log", {}};
    fmt::print("\n{}:\n{}\n", vm.kernel.release, shell_line(qemu_arguments(config)));
    HereOptions here = options.here;
    here.accel = config.accelerator;
    here.module_dir = vm.kernel.kfdlab_modules;
    fmt::print("in it: {}\n", shell_line(here_arguments(self(), here)));
  }
  return kExitPass;
}

// The runner inside the VM: no text, only the stream.
int run_streaming(const ValidateArguments& arguments) {
  StreamSink sink(arguments.stream_fd);
  run_here(here_options(arguments), &sink);
  return kExitPass;
}

RunResult run_on_this_machine(const ValidateArguments& arguments) {
  RunResult run;
  run.kernel = "here";
  run.accel = arguments.accel;
  report::Progress progress(stdout, "this machine", {"", repeat_options(arguments)});
  Collector collector(&run, &progress);
  const auto begin = std::chrono::steady_clock::now();
  run_here(here_options(arguments), &collector);
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return run;
}

RunResult run_units(const ValidateArguments& arguments) {
  report::Progress progress(stdout, "unit", {"", {}});
  const auto expectations = Expectations::load(expectations_file());
  if (!expectations) {
    RunResult run;
    run.kernel = "host";
    run.harness_error = expectations.error().message;
    return run;
  }
  // Without --suite unit the filter is meant for the VM's suites too; a unit test that matches still runs.
  return run_unit_tests(self().parent_path(), expectations.value(), arguments.filter, &progress);
}

nlohmann::json environment(const ValidateArguments& arguments) {
  nlohmann::json json = report::environment_versions();
  json["vram"] = arguments.common.vram_bytes;
  json["gpus"] = arguments.here ? topology_gpu_ids().size() : arguments.common.gpus;
  json["memory"] = arguments.common.memory_bytes;
  json["cpus"] = arguments.common.cpus;
  json["seed"] = arguments.seed;
  return json;
}

void print_end(const Report& report, bool controls_expected, const std::string& out_directory) {
  fmt::print("\n{}\n", report::table(report));
  for (const RunResult& run : report.runs) {
    if (run.kernel != "host" && controls_expected && !run.controls_ran) {
      fmt::print("{}: the negative controls did not run\n", run.release.empty() ? run.kernel : run.release);
    }
  }
  if (!out_directory.empty()) {
    fmt::print("logs: {}\n", out_directory);
  }
  if (const std::string scope = report::scope_sentence(report); !scope.empty()) {
    fmt::print("{}\n", scope);
  }
  fmt::print("{}\n{}\n", report::counts_line(report), report::verdict_sentence(report));
  std::fflush(stdout);
}

// Where logs go: --out, kept in any case, or a directory that stays only if something failed.
struct OutDirectory {
  std::filesystem::path path;
  std::optional<TemporaryDirectory> temporary;
};

Result<OutDirectory> make_out_directory(const ValidateArguments& arguments) {
  OutDirectory out;
  if (!arguments.out.empty()) {
    std::error_code error;
    std::filesystem::create_directories(arguments.out, error);
    if (error) {
      return Error{arguments.out + ": " + error.message()};
    }
    out.path = std::filesystem::absolute(arguments.out);
    return out;
  }
  auto temporary = TemporaryDirectory::create(std::filesystem::temp_directory_path());
  KFDLAB_TRY(temporary);
  out.path = temporary.value().path();
  out.temporary.emplace(temporary.take());
  return out;
}

// Everything that can be known to be wrong before anything is started.
struct Plan {
  std::vector<std::string> kernels;
  VmRunOptions vm;
};

Result<Plan> make_plan(const ValidateArguments& arguments) {
  if (const auto message = bad_suite(arguments)) {
    return Error{*message};
  }
  if (arguments.control != "" && arguments.control != "warn") {
    return Error{"there is no control '" + arguments.control + "'; there is warn"};
  }
  auto kernels = expand_kernel_names(arguments.kernels);
  KFDLAB_TRY(kernels);
  auto options = vm_run_options(arguments);
  KFDLAB_TRY(options);
  return Plan{kernels.take(), options.take()};
}

void run_kernels(const ValidateArguments& arguments, const Plan& plan, Interrupt* interrupt, Report* report) {
  for (const std::string& kernel : plan.kernels) {
    if (interrupt->signal() != 0) {
      return;
    }
    report::Progress progress(stdout, kernel, {kernel, repeat_options(arguments)});
    report->runs.push_back(run_in_vm(kernel, plan.vm, self(), &progress, interrupt));
  }
}

}  // namespace

int validate(const ValidateArguments& arguments, bool with_unit) {
  if (arguments.stream_fd >= 0) {
    return run_streaming(arguments);
  }
  auto plan = make_plan(arguments);
  if (!plan) {
    return usage_error(plan.error().message);
  }
  if (arguments.dry_run) {
    return dry_run(arguments, plan.value().vm, plan.value().kernels);
  }
  auto out = make_out_directory(arguments);
  if (!out) {
    return usage_error(out.error().message);
  }
  plan.value().vm.out = out.value().path;

  fmt::print("seed {}\n", arguments.seed);
  std::fflush(stdout);
  Report report;
  report.environment = environment(arguments);
  int signo = 0;
  if ((with_unit && arguments.suites.empty()) || names_suite(arguments, kUnitSuite)) {
    report.runs.push_back(run_units(arguments));
  }
  if (arguments.here) {
    report.runs.push_back(run_on_this_machine(arguments));
  } else if (wants_vm(arguments)) {
    Interrupt interrupt;
    run_kernels(arguments, plan.value(), &interrupt, &report);
    signo = interrupt.signal();
  }

  const int status = exit_status(report);
  // An interrupted run leaves no file behind that nobody asked for.
  const bool failed = status == kExitFail || status == kExitHarness;
  const bool keep = !arguments.out.empty() || arguments.keep || (failed && signo == 0);
  const auto written = report::write_files(
      report, {arguments.json, arguments.junit, keep ? out.value().path : "", repeat_options(arguments)});
  if (keep && out.value().temporary) {
    out.value().temporary->keep();
  }
  print_end(report, controls_wanted(arguments) && arguments.suites.empty(), keep ? out.value().path.string() : "");
  if (!written.ok()) {
    fmt::print(stderr, "kfdlab: {}\n", written.error().message);
    return kExitHarness;
  }
  return signo != 0 ? 128 + signo : status;
}

void add_validate_options(CLI::App& app, ValidateArguments& arguments) {
  app.add_option("--kernel", arguments.kernels, std::string(kKernelHelp) + "; may be repeated (default stock: both)")
      ->allow_extra_args(false);
  app.add_option("--suite", arguments.suites,
                 "unit, gup, kfd, drm, hip, hip-xnack, hip-process, stress or control; may be repeated (default all)")
      ->allow_extra_args(false);
  app.add_option("--filter", arguments.filter, "GoogleTest pattern of the tests to run");
  app.add_option("--seed", arguments.seed, "seed of random tests (default 1)");
  app.add_option("--time", arguments.stress_seconds, "seconds for the stress tests (default 20)");
  app.add_option("--operations", arguments.stress_operations, "end the stress tests after so many (default: by time)");
  app.add_option("--test-timeout", arguments.test_timeout, "seconds for one test (default 60, emulated 180)");
  app.add_flag("--here", arguments.here, "judge this machine, without a VM");
  app.add_option("--json", arguments.json, "write the results as JSON");
  app.add_option("--junit", arguments.junit, "write the results as JUnit XML");
  app.add_option("--out", arguments.out, "directory for logs and results (default: kept on failure only)");
  app.add_flag("--keep", arguments.keep, "keep the logs; after a failure, on a terminal, open a shell in the VM");
  app.add_flag("--dry-run", arguments.dry_run, "print what would run");
  app.add_flag("--gdb", arguments.gdb, "QEMU waits for gdb on port 1234");
  app.add_flag("--no-controls", arguments.no_controls, "leave out the negative controls");
  add_common_options(app, arguments.common);
  // For the judge's own acceptance tests: sabotage that must be noticed.
  app.add_option("--module-param", arguments.module_params,
                 "MODULE:NAME=VALUE for kfdlab_amdgpu or kfdlab_gup; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--control", arguments.control, "warn: provoke a kernel warning in the first test of each process");
  // An empty group hides an option: these are spoken by the host to the guest.
  app.add_option("--stream-fd", arguments.stream_fd)->group("");
  app.add_option("--accel", arguments.accel)->group("");
  app.add_option("--module-dir", arguments.module_dir)->group("");
}

}  // namespace kfdlab::judge
