// SPDX-License-Identifier: MIT
#include "tools/judge/result.h"

#include <algorithm>

namespace kfdlab::judge {
namespace {

void add(Counts* counts, Verdict verdict) {
  switch (verdict) {
    case Verdict::Pass:
      ++counts->pass;
      break;
    case Verdict::Fail:
      ++counts->fail;
      break;
    case Verdict::Skip:
      ++counts->skip;
      break;
    case Verdict::Known:
      ++counts->known;
      break;
  }
}

}  // namespace

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::Pass:
      return "pass";
    case Verdict::Fail:
      return "fail";
    case Verdict::Skip:
      return "skip";
    case Verdict::Known:
      return "known";
  }
  return "";
}

bool is_own_test(const TestResult& test) {
  return test.name.starts_with("Suite.") || test.name.starts_with("Boot.") || test.name.starts_with("Control.");
}

Counts count(const std::vector<TestResult>& tests) {
  Counts counts;
  for (const TestResult& test : tests) {
    add(&counts, test.verdict);
  }
  return counts;
}

Counts count(const Report& report) {
  Counts counts;
  for (const RunResult& run : report.runs) {
    for (const TestResult& test : run.tests) {
      add(&counts, test.verdict);
    }
  }
  return counts;
}

int exit_status(const Report& report) {
  if (std::any_of(report.runs.begin(), report.runs.end(), [](const auto& run) { return !run.harness_error.empty(); })) {
    return kExitHarness;
  }
  if (count(report).fail > 0) {
    return kExitFail;
  }
  for (const RunResult& run : report.runs) {
    if (std::any_of(run.tests.begin(), run.tests.end(), [](const TestResult& test) {
          return !is_own_test(test) && (test.verdict == Verdict::Pass || test.verdict == Verdict::Known);
        })) {
      return kExitPass;
    }
  }
  return kExitNothingRan;
}

nlohmann::json to_json(const TestResult& test) {
  return {{"suite", test.suite},     {"name", test.name}, {"result", to_string(test.verdict)}, {"reason", test.reason},
          {"seconds", test.seconds}, {"log", test.log},   {"counters", test.counters}};
}

std::string json_text(const nlohmann::json& json, const char* key, const std::string& fallback) {
  if (!json.is_object()) {
    return fallback;
  }
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : fallback;
}

double json_number(const nlohmann::json& json, const char* key, double fallback) {
  if (!json.is_object()) {
    return fallback;
  }
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>() : fallback;
}

Result<TestResult> test_from_json(const nlohmann::json& json) {
  TestResult test;
  test.suite = json_text(json, "suite");
  test.name = json_text(json, "name");
  if (test.suite.empty() || test.name.empty()) {
    return Error{"a test result without suite or name"};
  }
  const std::string result = json_text(json, "result");
  bool found = false;
  for (const Verdict verdict : {Verdict::Pass, Verdict::Fail, Verdict::Skip, Verdict::Known}) {
    if (result == to_string(verdict)) {
      test.verdict = verdict;
      found = true;
    }
  }
  if (!found) {
    return Error{"test result '" + result + "' of " + test.name + " is none of pass, fail, skip, known"};
  }
  test.reason = json_text(json, "reason");
  test.log = json_text(json, "log");
  test.seconds = json_number(json, "seconds");
  if (const auto counters = json.find("counters"); counters != json.end() && counters->is_object()) {
    test.counters = *counters;
  }
  return test;
}

}  // namespace kfdlab::judge
