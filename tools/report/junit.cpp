// SPDX-License-Identifier: MIT
#include "tools/report/junit.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace kfdlab::report {
namespace {

using judge::TestResult;
using judge::Verdict;

// Bytes of the well-formed UTF-8 sequence at the start of `text`; 0: it is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xc0u) == 0x80u; };
  const unsigned first = byte(0);
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xc2 && first <= 0xdf) {
    return continues(1) ? 2 : 0;
  }
  if (first >= 0xe0 && first <= 0xef) {
    const bool overlong = first == 0xe0 && byte(1) < 0xa0;
    const bool surrogate = first == 0xed && byte(1) >= 0xa0;
    return !overlong && !surrogate && continues(1) && continues(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool overlong = first == 0xf0 && byte(1) < 0x90;
    const bool beyond = first == 0xf4 && byte(1) >= 0x90;
    return !overlong && !beyond && continues(1) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

std::string test_case(const TestResult& test) {
  const std::size_t dot = test.name.find('.');
  const std::string group = dot == std::string::npos ? test.suite : test.suite + "." + test.name.substr(0, dot);
  const std::string name = dot == std::string::npos ? test.name : test.name.substr(dot + 1);
  std::string text = fmt::format("    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\"", xml_escape(group),
                                 xml_escape(name), test.seconds);
  const std::string first_line = test.reason.substr(0, test.reason.find('\n'));
  switch (test.verdict) {
    case Verdict::Pass:
      return text + "/>\n";
    case Verdict::Fail:
      return text + fmt::format(">\n      <failure message=\"{}\">{}</failure>\n    </testcase>\n",
                                xml_escape(first_line), xml_escape(test.reason + "\n" + test.log));
    case Verdict::Skip:
      return text + fmt::format(">\n      <skipped message=\"{}\"/>\n    </testcase>\n", xml_escape(first_line));
    case Verdict::Known:
      return text + fmt::format(">\n      <skipped message=\"known failure: {}\"/>\n    </testcase>\n",
                                xml_escape(first_line));
  }
  return text;
}

std::string suite_element(const std::string& name, const std::vector<TestResult>& tests) {
  const judge::Counts counts = judge::count(tests);
  double seconds = 0;
  std::string cases;
  for (const TestResult& test : tests) {
    seconds += test.seconds;
    cases += test_case(test);
  }
  return fmt::format(
      "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{:.3f}\">\n"
      "{}  </testsuite>\n",
      xml_escape(name), tests.size(), counts.fail, counts.skip + counts.known, seconds, cases);
}

// A run that did not come to its end is an error of its own.
std::string harness_element(const judge::RunResult& run) {
  return fmt::format(
      "  <testsuite name=\"{0}.harness\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\" time=\"0\">\n"
      "    <testcase classname=\"harness\" name=\"RunComesToItsEnd\" time=\"0\">\n"
      "      <error message=\"{1}\"/>\n    </testcase>\n  </testsuite>\n",
      xml_escape(run.release.empty() ? run.kernel : run.release), xml_escape(run.harness_error));
}

}  // namespace

std::string xml_escape(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const char c = text[0];
    if (length == 0 || (length == 1 && static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
      out += '?';
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

std::string junit_file(const judge::Report& report) {
  std::string body;
  unsigned errors = 0;
  for (const judge::RunResult& run : report.runs) {
    std::vector<std::string> suites;
    for (const TestResult& test : run.tests) {
      if (std::find(suites.begin(), suites.end(), test.suite) == suites.end()) {
        suites.push_back(test.suite);
      }
    }
    for (const std::string& suite : suites) {
      std::vector<TestResult> tests = run.tests;
      std::erase_if(tests, [&](const TestResult& test) { return test.suite != suite; });
      body += suite_element((run.release.empty() ? run.kernel : run.release) + "." + suite, tests);
    }
    if (!run.harness_error.empty()) {
      body += harness_element(run);
      ++errors;
    }
  }
  const judge::Counts counts = judge::count(report);
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuites name=\"kfdlab\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">\n{}</testsuites>\n",
      counts.pass + counts.fail + counts.skip + counts.known + errors, counts.fail, errors, counts.skip + counts.known,
      body);
}

}  // namespace kfdlab::report
