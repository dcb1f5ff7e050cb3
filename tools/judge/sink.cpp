// SPDX-License-Identifier: MIT
#include "tools/judge/sink.h"

#include <unistd.h>

#include <cerrno>

namespace kfdlab::judge {
namespace {

// Names of the calls on the stream.
constexpr char kStart[] = "start", kSuite[] = "suite", kBegin[] = "begin", kResult[] = "result", kNote[] = "note",
               kAlive[] = "alive", kDone[] = "done";

}  // namespace

void StreamSink::send(const nlohmann::json& line) const {
  std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  text += '\n';
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t n = ::write(fd_, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return;  // the host has gone; it will say so
    }
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
}

void StreamSink::on_start(const std::string& release, const std::string& backend) {
  send({{"event", kStart}, {"release", release}, {"backend", backend}});
}

void StreamSink::on_suite(const std::string& suite, unsigned tests) {
  send({{"event", kSuite}, {"suite", suite}, {"tests", tests}});
}

void StreamSink::on_begin(const std::string& suite, const std::string& test) {
  send({{"event", kBegin}, {"suite", suite}, {"test", test}});
}

void StreamSink::on_result(const TestResult& test) { send({{"event", kResult}, {"test", to_json(test)}}); }

void StreamSink::on_note(const std::string& text) { send({{"event", kNote}, {"text", text}}); }

void StreamSink::on_alive() { send({{"event", kAlive}}); }

void StreamSink::on_done(const KernelLogSummary& log, bool controls_ran, const std::string& harness_error) {
  send({{"event", kDone},
        {"warnings", log.warnings},
        {"first", log.first},
        {"controls", controls_ran ? 1 : 0},
        {"harness_error", harness_error}});
}

void StreamReader::feed(std::string_view data) {
  pending_ += data;
  std::size_t start = 0;
  for (std::size_t end = pending_.find('\n'); end != std::string::npos; end = pending_.find('\n', start)) {
    handle(std::string_view(pending_).substr(start, end - start));
    start = end + 1;
  }
  pending_.erase(0, start);
}

void StreamReader::handle(std::string_view line) {
  const auto json = nlohmann::json::parse(line, nullptr, false);
  const std::string event = json.is_discarded() ? "" : json_text(json, "event");
  if (event == kStart) {
    sink_->on_start(json_text(json, "release"), json_text(json, "backend"));
  } else if (event == kSuite) {
    sink_->on_suite(json_text(json, "suite"), static_cast<unsigned>(json_number(json, "tests")));
  } else if (event == kBegin) {
    sink_->on_begin(json_text(json, "suite"), json_text(json, "test"));
  } else if (event == kNote) {
    sink_->on_note(json_text(json, "text"));
  } else if (event == kAlive) {
    sink_->on_alive();
  } else if (event == kDone) {
    const KernelLogSummary log{static_cast<unsigned>(json_number(json, "warnings")), json_text(json, "first")};
    sink_->on_done(log, json_number(json, "controls") != 0, json_text(json, "harness_error"));
  } else if (event == kResult && json.contains("test")) {
    if (const auto test = test_from_json(json.at("test"))) {
      sink_->on_result(test.value());
    } else {
      ++malformed_;
    }
  } else {
    ++malformed_;
  }
}

void Collector::on_start(const std::string& release, const std::string& backend) {
  run_->release = release;
  run_->backend = backend;
  next_->on_start(release, backend);
}

void Collector::on_suite(const std::string& suite, unsigned tests) { next_->on_suite(suite, tests); }

void Collector::on_begin(const std::string& suite, const std::string& test) {
  running_suite_ = suite;
  running_test_ = test;
  next_->on_begin(suite, test);
}

void Collector::on_result(const TestResult& test) {
  if (test.name == running_test_) {
    running_test_.clear();
  }
  run_->tests.push_back(test);
  next_->on_result(test);
}

void Collector::on_note(const std::string& text) {
  run_->notes.push_back(text);
  next_->on_note(text);
}

void Collector::on_done(const KernelLogSummary& log, bool controls_ran, const std::string& harness_error) {
  done_ = true;
  run_->kernel_log = log;
  run_->controls_ran = controls_ran;
  run_->harness_error = harness_error;
  next_->on_done(log, controls_ran, harness_error);
}

}  // namespace kfdlab::judge
