// SPDX-License-Identifier: MIT
#include "tools/report/files.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/host/paths.h"
#include "tools/host/process.h"
#include "tools/report/json.h"
#include "tools/report/junit.h"

namespace kfdlab::report {
namespace {

using judge::RunResult;
using judge::TestResult;
using judge::Verdict;

// Test names hold '/' (parameters) and whatever else gtest allows.
std::string file_name(const std::string& name) {
  std::string safe = name;
  std::replace_if(
      safe.begin(), safe.end(),
      [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.' && c != '_' && c != '-'; }, '_');
  return safe;
}

Repeat repeat_of(const RunResult& run, const std::vector<std::string>& options) {
  return {run.accel == "hardware" ? "" : run.kernel, options};
}

Status write_failures(const RunResult& run, const FilePlan& plan, std::string* script) {
  const std::string where = run.release.empty() ? run.kernel : run.release;
  const std::filesystem::path directory = plan.out / where;
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  for (const TestResult& test : run.tests) {
    if (test.verdict != Verdict::Fail) {
      continue;
    }
    const Repeat repeat = repeat_of(run, plan.repeat_options);
    const std::string text =
        fmt::format("{} {} on {}\n\n{}\n\n{}", test.suite, test.name, where, test.reason, test.log);
    KFDLAB_TRY(write_file_atomically(directory / file_name(test.suite + "." + test.name + ".log"), text));
    *script += fmt::format("# {} on {}\n{}\n", test.name, where, repeat.command(test.suite, test.name));
  }
  return ok_status();
}

std::string package_version(const char* package) {
  const auto output = run_helper({"dpkg-query", "-W", "-f", "${Version}", package});
  return output.ok() && output.value().status == 0 ? output.value().out : "";
}

}  // namespace

Status write_files(const judge::Report& report, const FilePlan& plan) {
  const std::string json = json_file(report);
  const std::string junit = junit_file(report);
  if (!plan.json.empty()) {
    KFDLAB_TRY(write_file_atomically(plan.json, json));
  }
  if (!plan.junit.empty()) {
    KFDLAB_TRY(write_file_atomically(plan.junit, junit));
  }
  if (plan.out.empty()) {
    return ok_status();
  }
  KFDLAB_TRY(write_file_atomically(plan.out / "results.json", json));
  KFDLAB_TRY(write_file_atomically(plan.out / "junit.xml", junit));
  std::string script;
  for (const RunResult& run : report.runs) {
    KFDLAB_TRY(write_failures(run, plan, &script));
  }
  return script.empty() ? ok_status() : write_file_atomically(plan.out / "repeat.sh", "#!/bin/sh\n" + script);
}

nlohmann::json environment_versions() {
  return {{"kfdlab", KFDLAB_VERSION},
          {"hip", package_version("libamdhip64-5")},
          {"rocr", package_version("libhsa-runtime64-1")},
          {"hsakmt", package_version("libhsakmt1")},
          {"libdrm", package_version("libdrm-amdgpu1")},
          {"qemu", package_version("qemu-system-x86")}};
}

}  // namespace kfdlab::report
