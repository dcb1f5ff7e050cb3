// SPDX-License-Identifier: MIT
// What crosses from the VM to the host must arrive as it was said, however it was cut on its way.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "common/fd.h"
#include "tools/judge/sink.h"

namespace kfdlab::judge {
namespace {

// Writes down every call as text.
class Recorder : public RunSink {
 public:
  void on_start(const std::string& release, const std::string& backend) override {
    text += "start " + release + " " + backend + "\n";
  }
  void on_suite(const std::string& suite, unsigned tests) override {
    text += "suite " + suite + " " + std::to_string(tests) + "\n";
  }
  void on_begin(const std::string& suite, const std::string& test) override {
    text += "begin " + suite + " " + test + "\n";
  }
  void on_result(const TestResult& test) override { text += "result " + to_json(test).dump() + "\n"; }
  void on_note(const std::string& note) override { text += "note " + note + "\n"; }
  void on_alive() override { text += "alive\n"; }
  void on_done(const KernelLogSummary& log, bool controls, const std::string& error) override {
    text += "done " + std::to_string(log.warnings) + log.first + (controls ? " controls " : " ") + error + "\n";
  }
  std::string text;
};

void say_everything(RunSink* sink) {
  sink->on_start("6.1", "coherent");
  sink->on_suite("gup", 3);
  sink->on_begin("gup", "A.b");
  TestResult test{.suite = "gup",
                  .name = "A.b",
                  .verdict = Verdict::Fail,
                  .reason = "two\nlines \"quoted\"",
                  .seconds = 1.5,
                  .log = "log"};
  test.counters = {{"pages", 4096}, {"how", "text"}};
  sink->on_result(test);
  sink->on_note("a note");
  sink->on_alive();
  sink->on_done({2, "first"}, true, "error");
}

std::string streamed() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe(ends.data()), 0);
  const Fd read_end(ends[0]);
  {
    const Fd write_end(ends[1]);
    StreamSink sink(write_end.get());
    say_everything(&sink);
  }
  std::string text;
  std::array<char, 4096> buffer;
  for (ssize_t n = 0; (n = ::read(read_end.get(), buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return text;
}

TEST(ResultStream, ArrivesAsItWasSaidHoweverItWasCut) {
  Recorder direct;
  say_everything(&direct);
  const std::string bytes = streamed();
  for (const std::size_t piece : {bytes.size(), std::size_t{1}, std::size_t{7}}) {
    Recorder received;
    StreamReader reader(&received);
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      reader.feed(std::string_view(bytes).substr(at, piece));
    }
    EXPECT_EQ(received.text, direct.text);
    EXPECT_EQ(reader.malformed(), 0u);
  }
}

TEST(ResultStream, CountsWhatItCannotUnderstand) {
  Recorder received;
  StreamReader reader(&received);
  reader.feed(
      "not "
      "json\n{}\n[]\n{\"event\":\"result\"}\n{\"event\":\"result\",\"test\":{\"suite\":\"a\",\"name\":\"b\",\"result\":"
      "\"maybe\"}}\n");
  EXPECT_EQ(reader.malformed(), 5u);
  EXPECT_EQ(received.text, "");
}

TEST(Collector, KnowsWhichTestWasRunning) {
  RunResult run;
  Recorder next;
  Collector collector(&run, &next);
  collector.on_begin("gup", "A.one");
  collector.on_result({.suite = "gup", .name = "A.one"});
  EXPECT_EQ(collector.running_test(), "");
  collector.on_begin("gup", "A.two");
  EXPECT_EQ(collector.running_test(), "A.two");
  EXPECT_FALSE(collector.done());
  collector.on_done({}, true, "");
  EXPECT_TRUE(collector.done());
  EXPECT_TRUE(run.controls_ran);
}

}  // namespace
}  // namespace kfdlab::judge
