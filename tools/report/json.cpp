// SPDX-License-Identifier: MIT
#include "tools/report/json.h"

namespace kfdlab::report {
namespace {

const char* verdict_word(const judge::Report& report) {
  switch (judge::exit_status(report)) {
    case judge::kExitPass:
      return "pass";
    case judge::kExitFail:
      return "fail";
    default:
      return "error";
  }
}

nlohmann::json run_json(const judge::RunResult& run) {
  nlohmann::json tests = nlohmann::json::array();
  for (const judge::TestResult& test : run.tests) {
    tests.push_back(judge::to_json(test));
  }
  return {{"kernel", run.kernel},
          {"release", run.release},
          {"backend", run.backend},
          {"accel", run.accel},
          {"seconds", run.seconds},
          {"kernel_log", {{"warnings", run.kernel_log.warnings}, {"first", run.kernel_log.first}}},
          {"controls", run.controls_ran},
          {"error", run.harness_error},
          {"notes", run.notes},
          {"tests", tests}};
}

}  // namespace

nlohmann::json to_json(const judge::Report& report) {
  nlohmann::json runs = nlohmann::json::array();
  for (const judge::RunResult& run : report.runs) {
    runs.push_back(run_json(run));
  }
  const judge::Counts counts = judge::count(report);
  return {{"schema", 1},
          {"verdict", verdict_word(report)},
          {"runs", runs},
          {"environment", report.environment},
          {"counts", {{"pass", counts.pass}, {"fail", counts.fail}, {"skip", counts.skip}, {"known", counts.known}}}};
}

std::string json_file(const judge::Report& report) {
  return to_json(report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace kfdlab::report
