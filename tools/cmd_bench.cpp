// SPDX-License-Identifier: MIT
// kfdlab bench: how fast pages move and what a long-term pin costs, in a VM, as ratios within one run; and how fast the
// virtual GPU's engine is, on this machine.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/bench/bench_report.h"
#include "tools/commands.h"
#include "tools/host/paths.h"
#include "tools/host/process.h"
#include "tools/judge/interrupt.h"
#include "tools/judge/result.h"
#include "tools/kernels/catalog.h"
#include "tools/options.h"
#include "tools/report/files.h"
#include "tools/vm/vm.h"

namespace kfdlab {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEnginePart = "engine";

struct BenchArguments {
  CommonOptions common;
  std::vector<std::string> kernels = {"stock"};
  std::vector<std::string> parts;
  std::string json;
};

// Resident memory of our device process beyond the mappings it shares; 0 if there is none.
std::uint64_t device_process_bytes() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    std::ifstream stat(entry.path() / "stat");
    std::string pid, name, state;
    pid_t parent = 0;
    if (stat >> pid >> name >> state >> parent && name == "(kfdlab-gpu)" && parent == ::getpid()) {
      const auto smaps = read_file(entry.path() / "smaps");
      return smaps ? bench::private_resident_bytes(smaps.value()) : 0;
    }
  }
  return 0;
}

Result<nlohmann::json> run_bench(Vm* vm, const std::vector<std::string>& parts) {
  GuestCommand command;
  std::string results;
  std::string messages;
  command.argv = {sibling_program("kfdlab_bench"), "3"};
  command.argv.insert(command.argv.end(), parts.begin(), parts.end());
  command.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  command.on_output = [&](int stream, std::string_view data) { (stream == 3 ? results : messages) += data; };
  const auto end = vm->run(command);
  KFDLAB_TRY(end);
  auto json = nlohmann::json::parse(results, nullptr, false);
  if (end.value().status != 0 || json.is_discarded()) {
    return Error{fmt::format("kfdlab_bench ended with status {}: {}", end.value().status, messages)};
  }
  json["device_process_bytes"] = device_process_bytes();
  return json;
}

// Speed of one engine thread in CPU time. Needs no VM; its goals are its own.
Result<nlohmann::json> bench_engine(const fs::path& directory) {
  const fs::path results = directory / "engine.json";
  const auto output = run_helper({sibling_program("kfdlab_engine_bench"), "--json", results.string()});
  KFDLAB_TRY(output);
  const auto text = read_file(results);
  // 2: a goal was missed, which the text says.
  if (!text || (output.value().status != 0 && output.value().status != 2)) {
    return Error{fmt::format("kfdlab_engine_bench ended with status {}: {}{}", output.value().status, output.value().out,
                             output.value().err)};
  }
  fmt::print("virtual GPU, one engine thread, CPU time\n{}\n", output.value().out);
  std::fflush(stdout);
  return nlohmann::json::parse(text.value(), nullptr, false);
}

Result<nlohmann::json> bench_kernel(const std::string& name, const BenchArguments& arguments,
                                    const std::vector<std::string>& parts, const fs::path& logs,
                                    judge::Interrupt* interrupt) {
  VmOptions options;
  KFDLAB_TRY(apply_common_options(arguments.common, options));
  auto kernel = prepare_kernel(
      name, {.modules = arguments.common.modules, .need_modules = true, .verbose = arguments.common.verbose});
  KFDLAB_TRY(kernel);
  options.kernel = kernel.take();
  options.log_dir = logs / options.kernel.release;
  options.amdgpu_params.push_back("enable_test_ioctls=1");
  auto vm = Vm::boot(options);
  KFDLAB_TRY(vm);
  interrupt->add(vm.value().get());
  auto json = run_bench(vm.value().get(), parts);
  interrupt->remove(vm.value().get());
  KFDLAB_TRY(vm.value()->shutdown());
  KFDLAB_TRY(json);
  json.value()["kernel"] = name;
  json.value()["release"] = options.kernel.release;
  json.value()["accel"] = vm.value()->accelerator();
  return json;
}

void print_bench(const nlohmann::json& json) {
  const auto& metadata = json.contains("metadata") ? json.at("metadata") : nlohmann::json::object();
  const double resident = judge::json_number(metadata, "resident_bytes");
  const double held = judge::json_number(metadata, "vmalloc_bytes") + judge::json_number(metadata, "slab_growth_bytes");
  fmt::print("{} ({})\n{}{}", judge::json_text(json, "release"), judge::json_text(json, "accel"), bench::table(json),
             bench::ratios(json));
  if (resident > 0) {
    fmt::print("driver metadata: {} KiB with {} resident in VRAM ({:.2f} %)\n", static_cast<std::uint64_t>(held) >> 10,
               bench::size_text(static_cast<std::uint64_t>(resident)), held / resident * 100);
  }
  fmt::print("device process: {:.1f} MiB beyond its shared mappings\n\n",
             judge::json_number(json, "device_process_bytes") / (1 << 20));
  std::fflush(stdout);
}

int write_report(const BenchArguments& arguments, const nlohmann::json& report) {
  if (arguments.json.empty()) {
    return 0;
  }
  if (const auto status = write_file_atomically(arguments.json, report.dump(2) + "\n"); !status.ok()) {
    fmt::print(stderr, "kfdlab: {}\n", status.error().message);
    return kHarnessStatus;
  }
  return 0;
}

int bench_all(const BenchArguments& arguments) {
  const auto names = expand_kernel_names(arguments.kernels);
  auto logs = TemporaryDirectory::create(fs::temp_directory_path());
  if (!names || !logs) {
    fmt::print(stderr, "kfdlab: {}\n", names ? logs.error().message : names.error().message);
    return names ? kHarnessStatus : kUsageStatus;
  }
  nlohmann::json report = {{"schema", 1}, {"environment", report::environment_versions()}};
  std::vector<std::string> parts = arguments.parts;
  if (parts.empty() || std::erase(parts, kEnginePart) != 0) {
    const auto engine = bench_engine(logs.value().path());
    if (!engine) {
      fmt::print(stderr, "kfdlab: {}\n", engine.error().message);
      return kHarnessStatus;
    }
    report["engine"] = engine.value();
    if (parts.empty() && !arguments.parts.empty()) {
      return write_report(arguments, report);
    }
  }
  nlohmann::json runs = nlohmann::json::array();
  judge::Interrupt interrupt;
  for (const std::string& name : names.value()) {
    const auto json = bench_kernel(name, arguments, parts, logs.value().path(), &interrupt);
    if (interrupt.signal() != 0) {
      return 128 + interrupt.signal();
    }
    if (!json) {
      fmt::print(stderr, "kfdlab: {}\n", json.error().message);
      logs.value().keep();
      return kHarnessStatus;
    }
    print_bench(json.value());
    runs.push_back(json.value());
  }
  fmt::print(
      "\"over X\": how many times as fast as X, in the same run. CPU: the same calls with CPU copies; loop: CPU copies "
      "and one\n"
      "call per page; RAM: a long-term pin of pages that are in RAM already.\n");
  report["runs"] = runs;
  return write_report(arguments, report);
}

}  // namespace

std::function<int()> setup_bench(CLI::App& app) {
  auto arguments = std::make_shared<BenchArguments>();
  app.add_option("--kernel", arguments->kernels, "6.1, 6.12 or stock; may be repeated (default stock)")
      ->allow_extra_args(false);
  app.add_option("--part", arguments->parts, "engine, pages, eviction, allocation or scaling; may be repeated (default all)")
      ->allow_extra_args(false)
      ->check(CLI::IsMember({kEnginePart, "pages", "eviction", "allocation", "scaling"}));
  app.add_option("--json", arguments->json, "write the measurements as JSON");
  add_common_options(app, arguments->common);
  return [arguments] { return bench_all(*arguments); };
}

}  // namespace kfdlab
