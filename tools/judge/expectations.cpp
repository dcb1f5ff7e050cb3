// SPDX-License-Identifier: MIT
#include "tools/judge/expectations.h"

#include <fnmatch.h>

#include <fstream>
#include <sstream>

namespace kfdlab::judge {
namespace {

bool matches(const std::string& glob, const std::string& text) { return ::fnmatch(glob.c_str(), text.c_str(), 0) == 0; }

const nlohmann::json& array_of(const nlohmann::json& json, const char* key) {
  static const nlohmann::json empty = nlohmann::json::array();
  const auto found = json.find(key);
  return found != json.end() && found->is_array() ? *found : empty;
}

}  // namespace

Result<Expectations> Expectations::parse(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object()) {
    return Error{"not a JSON object"};
  }
  Expectations expectations;
  for (const auto& item : array_of(json, "tests")) {
    TestEntry entry;
    const std::string expect = json_text(item, "expect");
    if (expect != "skip" && expect != "known") {
      return Error{"\"expect\" is '" + expect + "' and must be skip or known"};
    }
    entry.expect = expect == "skip" ? Verdict::Skip : Verdict::Known;
    entry.suite = json_text(item, "suite", "*");
    entry.test = json_text(item, "test");
    entry.kernel = json_text(item, "kernel", "*");
    entry.backend = json_text(item, "backend", "*");
    entry.gpus = json_text(item, "gpus", "*");
    entry.reason = json_text(item, "reason");
    if (entry.test.empty() || entry.reason.empty()) {
      return Error{"an entry of \"tests\" lacks its test or its reason"};
    }
    expectations.tests_.push_back(std::move(entry));
  }
  for (const auto& item : array_of(json, "kernel_lines")) {
    const std::string pattern = json_text(item, "pattern");
    if (pattern.empty() || json_text(item, "reason").empty()) {
      return Error{"an entry of \"kernel_lines\" lacks its pattern or its reason"};
    }
    auto regex = compile_pattern(pattern);
    if (!regex) {
      return regex.error();
    }
    expectations.lines_.push_back(LineEntry{pattern, json_text(item, "accel", "*"), regex.take()});
  }
  return expectations;
}

Result<Expectations> Expectations::load(const std::string& path) {
  std::ifstream in(path);
  if (!in) {
    return Error{path + " cannot be read"};
  }
  std::ostringstream text;
  text << in.rdbuf();
  auto expectations = parse(text.str());
  if (!expectations) {
    return Error{path + ": " + expectations.error().message};
  }
  return expectations;
}

std::vector<AllowedLine> Expectations::allowed_lines(const Where& where) const {
  std::vector<AllowedLine> allowed;
  for (const LineEntry& line : lines_) {
    if (matches(line.accel, where.accel)) {
      allowed.push_back(AllowedLine{line.pattern, line.regex});
    }
  }
  return allowed;
}

const Expectations::TestEntry* Expectations::find(Verdict expect, const Where& where, const TestResult& test) const {
  for (const TestEntry& entry : tests_) {
    if (entry.expect == expect && matches(entry.suite, test.suite) && matches(entry.test, test.name) &&
        matches(entry.kernel, where.release) && matches(entry.backend, where.backend) &&
        matches(entry.gpus, where.gpus)) {
      return &entry;
    }
  }
  return nullptr;
}

void Expectations::apply(const Where& where, TestResult* test) const {
  const TestEntry* known = find(Verdict::Known, where, *test);
  switch (test->verdict) {
    case Verdict::Pass:
      if (known != nullptr) {
        test->verdict = Verdict::Fail;
        test->reason = "passes, but is listed as a known failure (" + known->reason + "): remove it from the list";
      }
      break;
    case Verdict::Fail:
      if (known != nullptr) {
        test->verdict = Verdict::Known;
        test->reason = known->reason + ": " + test->reason;
      }
      break;
    case Verdict::Skip:
      if (find(Verdict::Skip, where, *test) == nullptr) {
        test->verdict = Verdict::Fail;
        test->reason = "unexpected skip: " + (test->reason.empty() ? std::string("no reason given") : test->reason);
      }
      break;
    case Verdict::Known:
      break;
  }
}

}  // namespace kfdlab::judge
