// SPDX-License-Identifier: MIT
// RunSink hears about a run while it happens. The same calls cross from the VM to the host as JSON lines: StreamSink
// writes them, StreamReader reads them and calls the next sink.
#pragma once

#include <string>
#include <string_view>

#include "tools/judge/result.h"

namespace kfdlab::judge {

class RunSink {
 public:
  virtual ~RunSink() = default;
  virtual void on_start(const std::string& release, const std::string& backend) = 0;
  virtual void on_suite(const std::string& suite, unsigned tests) = 0;
  virtual void on_begin(const std::string& suite, const std::string& test) = 0;
  virtual void on_result(const TestResult& test) = 0;
  // A sentence for the reader, judged by nobody.
  virtual void on_note(const std::string& text) = 0;
  // Nothing happened, but the runner lives.
  virtual void on_alive() {}
  // The run is over. harness_error: why it ended before its end.
  virtual void on_done(const KernelLogSummary& log, bool controls_ran, const std::string& harness_error) = 0;
};

// Writes each call as one line to a descriptor.
class StreamSink : public RunSink {
 public:
  explicit StreamSink(int fd) : fd_(fd) {}
  void on_start(const std::string& release, const std::string& backend) override;
  void on_suite(const std::string& suite, unsigned tests) override;
  void on_begin(const std::string& suite, const std::string& test) override;
  void on_result(const TestResult& test) override;
  void on_note(const std::string& text) override;
  void on_alive() override;
  void on_done(const KernelLogSummary& log, bool controls_ran, const std::string& harness_error) override;

 private:
  void send(const nlohmann::json& line) const;
  int fd_;
};

// The other end. Lines that make no sense are counted, not guessed at.
class StreamReader {
 public:
  explicit StreamReader(RunSink* sink) : sink_(sink) {}
  void feed(std::string_view data);
  [[nodiscard]] unsigned malformed() const { return malformed_; }

 private:
  void handle(std::string_view line);
  RunSink* sink_;
  std::string pending_;
  unsigned malformed_ = 0;
};

// Collects a run into a RunResult and passes every call on.
class Collector : public RunSink {
 public:
  Collector(RunResult* run, RunSink* next) : run_(run), next_(next) {}
  void on_start(const std::string& release, const std::string& backend) override;
  void on_suite(const std::string& suite, unsigned tests) override;
  void on_begin(const std::string& suite, const std::string& test) override;
  void on_result(const TestResult& test) override;
  void on_note(const std::string& text) override;
  void on_alive() override { next_->on_alive(); }
  void on_done(const KernelLogSummary& log, bool controls_ran, const std::string& harness_error) override;

  [[nodiscard]] bool done() const { return done_; }
  // The test that had begun and not ended: who was running when the guest died. Empty: none.
  [[nodiscard]] const std::string& running_suite() const { return running_suite_; }
  [[nodiscard]] const std::string& running_test() const { return running_test_; }

 private:
  RunResult* run_;
  RunSink* next_;
  bool done_ = false;
  std::string running_suite_, running_test_;
};

}  // namespace kfdlab::judge
