// SPDX-License-Identifier: MIT
#include "tools/report/text.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "tools/vm/qemu.h"

namespace kfdlab::report {
namespace {

using judge::TestResult;
using judge::Verdict;

constexpr std::size_t kShownLogLines = 40;

std::string indent(const std::string& text, const std::string& by) {
  std::string out;
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    out += by + text.substr(start, end - start) + "\n";
    start = end + 1;
  }
  return out;
}

// The first lines, and how many there are besides.
std::string shorten(const std::string& text, std::size_t lines) {
  std::size_t end = 0;
  for (std::size_t i = 0; i < lines && end != std::string::npos; ++i) {
    end = text.find('\n', end == 0 ? 0 : end + 1);
  }
  if (end == std::string::npos || end + 1 >= text.size()) {
    return text;
  }
  const auto more = std::count(text.begin() + static_cast<std::ptrdiff_t>(end) + 1, text.end(), '\n');
  return text.substr(0, end + 1) + fmt::format("... {} more lines in the --out directory\n", more);
}

std::string counts_text(const judge::Counts& counts) {
  std::string text = fmt::format("{} passed, {} failed, {} skipped", counts.pass, counts.fail, counts.skip);
  if (counts.known > 0) {
    text += fmt::format(", {} known", counts.known);
  }
  return text;
}

std::size_t terminal_width(std::FILE* out) {
  winsize size{};
  return ::ioctl(::fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

std::string shell_quote(const std::string& word) { return shell_line({word}); }

std::string Repeat::command(const std::string& suite, const std::string& test) const {
  if (suite == "unit") {
    return "./kfdlab test --suite unit --filter " + shell_quote(test);
  }
  std::string text = "./kfdlab validate";
  text += kernel.empty() ? " --here" : " --kernel " + shell_quote(kernel);
  for (const std::string& option : options) {
    text += " " + shell_quote(option);
  }
  text += " --suite " + shell_quote(suite);
  // Names that begin so are the runner's own and cannot be selected: the whole suite repeats them.
  return judge::is_own_test({.suite = suite, .name = test}) ? text : text + " --filter " + shell_quote(test);
}

std::string failure_text(const TestResult& test, const std::string& where, const Repeat& repeat) {
  std::string text = fmt::format("FAIL {} {} on {}\n", test.suite, test.name, where);
  text += indent(test.reason, "  ");
  if (!test.log.empty()) {
    text += "  log:\n" + indent(shorten(test.log, kShownLogLines), "    ");
  }
  return text + "  repeat: " + repeat.command(test.suite, test.name) + "\n";
}

std::string table(const judge::Report& report) {
  std::string text = fmt::format("{:<24} {:<8} {:>7} {:>7} {:>8} {:>6} {:>9}\n", "kernel", "suite", "passed", "failed",
                                 "skipped", "known", "seconds");
  for (const judge::RunResult& run : report.runs) {
    std::vector<std::string> order;
    std::map<std::string, std::vector<TestResult>> suites;
    for (const TestResult& test : run.tests) {
      if (suites[test.suite].empty()) {
        order.push_back(test.suite);
      }
      suites[test.suite].push_back(test);
    }
    const std::string name = run.release.empty() ? run.kernel : run.release;
    for (const std::string& suite : order) {
      const judge::Counts counts = judge::count(suites[suite]);
      double seconds = 0;
      for (const TestResult& test : suites[suite]) {
        seconds += test.seconds;
      }
      text += fmt::format("{:<24} {:<8} {:>7} {:>7} {:>8} {:>6} {:>9.1f}\n", name, suite, counts.pass, counts.fail,
                          counts.skip, counts.known, seconds);
    }
    if (!run.harness_error.empty()) {
      text += fmt::format("{:<24} did not come to its end: {}\n", name, run.harness_error);
    }
  }
  return text;
}

Progress::Progress(std::FILE* out, std::string label, Repeat repeat)
    : out_(out), label_(std::move(label)), repeat_(std::move(repeat)), live_(::isatty(::fileno(out)) != 0) {}

Progress::~Progress() { erase(); }

void Progress::say(const std::string& text) { print_line(fmt::format("{}: {}", label_, text)); }

void Progress::print_line(const std::string& text) {
  erase();
  fmt::print(out_, "{}\n", text);
  std::fflush(out_);
}

double Progress::seconds_since(Clock::time_point start) const {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void Progress::on_start(const std::string& release, const std::string& backend) {
  label_ = release;
  say("residency backend " + backend);
}

void Progress::on_suite(const std::string& suite, unsigned tests) {
  close_suite();
  suite_ = suite;
  total_ = tests;
  suite_start_ = Clock::now();
  draw();
}

void Progress::on_begin(const std::string&, const std::string& test) {
  test_ = test;
  draw();
}

void Progress::on_result(const TestResult& test) {
  if (test.suite == suite_) {
    results_.push_back(test);
  }
  if (test.verdict == Verdict::Fail && test.reason.starts_with(judge::kDidNotRun)) {
    ++not_run_;  // hundreds may follow one that cannot be killed; they all say the same
  } else if (test.verdict == Verdict::Fail) {
    std::string text = failure_text(test, label_, repeat_);
    text.pop_back();
    print_line(text);
  }
  draw();
}

void Progress::on_note(const std::string& text) { say("note: " + text); }

void Progress::on_done(const judge::KernelLogSummary&, bool, const std::string& harness_error) {
  close_suite();
  if (!harness_error.empty()) {
    say("did not come to its end: " + harness_error);
  }
}

void Progress::close_suite() {
  if (!suite_.empty()) {
    say(fmt::format("{:<8} {} in {:.1f} s", suite_, counts_text(judge::count(results_)), seconds_since(suite_start_)));
  }
  if (not_run_ > 0) {
    say(fmt::format("{} tests of {} did not run", not_run_, suite_));
  }
  not_run_ = 0;
  suite_.clear();
  test_.clear();
  results_.clear();
}

void Progress::draw() {
  // Ten times a second is enough for a person, and a run has thousands of events.
  if (!live_ || suite_.empty() || seconds_since(last_draw_) < 0.1) {
    return;
  }
  last_draw_ = Clock::now();
  std::string line =
      fmt::format("{}: {} {}/{} {:.0f} s {}", label_, suite_, results_.size(), total_, seconds_since(start_), test_);
  line.resize(std::min(line.size(), terminal_width(out_) - 1));
  fmt::print(out_, "\r\x1b[K{}", line);
  std::fflush(out_);
  drawn_ = true;
}

void Progress::erase() {
  if (drawn_) {
    fmt::print(out_, "\r\x1b[K");
    drawn_ = false;
  }
}

}  // namespace kfdlab::report
