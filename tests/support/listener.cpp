// SPDX-License-Identifier: MIT
#include "tests/support/listener.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "common/fd.h"
#include "include/uapi/kfdlab_test.h"
#include "tests/support/events.h"
#include "tests/support/kmsg.h"

namespace kfdlab {
namespace {

int result_fd() {
  static const int fd = [] {
    const char* text = std::getenv(events::kResultFdVariable);
    if (text == nullptr) {
      return -1;
    }
    const int value = std::atoi(text);
    // Programs that a test starts must not hold the runner's pipe open.
    ::fcntl(value, F_SETFD, FD_CLOEXEC);
    return value;
  }();
  return fd;
}

std::string full_name(const testing::TestInfo& info) { return std::string(info.test_suite_name()) + "." + info.name(); }

// RecordProperty() keeps text; counters that are numbers travel as numbers.
nlohmann::json counters_of(const testing::TestResult& result) {
  nlohmann::json counters = nlohmann::json::object();
  for (int i = 0; i < result.test_property_count(); ++i) {
    const testing::TestProperty& property = result.GetTestProperty(i);
    const char* text = property.value();
    const char* end = text + std::strlen(text);
    long long number = 0;
    const auto [stop, error] = std::from_chars(text, end, number);
    if (error == std::errc() && stop == end) {
      counters[property.key()] = number;
    } else {
      counters[property.key()] = text;
    }
  }
  return counters;
}

// The judge's negative control: one WARN in the window of the first test of this process.
void provoke_warning_once() {
  static bool done = false;
  const char* control = std::getenv(events::kControlVariable);
  if (done || control == nullptr || std::strcmp(control, "warn") != 0) {
    return;
  }
  done = true;
  const Fd fd(::open("/dev/kfdlab_test", O_RDWR | O_CLOEXEC));
  if (!fd.valid() || ::ioctl(fd.get(), KFDLAB_TEST_WARN) != 0) {
    send_event({{"event", events::kEventNote},
                {"message", std::string("the control could not provoke a warning: ") + std::strerror(errno)}});
  }
}

const char* kind_of(const testing::TestPartResult& part) {
  if (part.skipped()) {
    return "skip";
  }
  return part.fatally_failed() ? "fatal" : "fail";
}

}  // namespace

void send_event(const nlohmann::json& event) {
  if (result_fd() < 0) {
    return;
  }
  // Output of a failing test may hold any bytes; they must not stop its report.
  std::string line = event.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  line += '\n';
  const char* data = line.data();
  std::size_t left = line.size();
  while (left > 0) {
    const ssize_t n = ::write(result_fd(), data, left);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return;  // the runner is gone, and with it whoever would have read this
    }
    data += n;
    left -= static_cast<std::size_t>(n);
  }
}

void ResultListener::OnTestStart(const testing::TestInfo& info) {
  if (result_fd() < 0) {
    return;
  }
  if (marks_ == Marks::Kernel) {
    write_kernel_mark(events::kMarkBegin + full_name(info));
  }
  send_event({{"event", events::kEventBegin}, {"test", full_name(info)}});
  provoke_warning_once();
}

void ResultListener::OnTestPartResult(const testing::TestPartResult& part) {
  if (part.passed()) {
    return;
  }
  send_event({{"event", events::kEventPart},
              {"kind", kind_of(part)},
              {"file", part.file_name() != nullptr ? part.file_name() : ""},
              {"line", part.line_number()},
              {"message", part.message()}});
}

void ResultListener::OnTestEnd(const testing::TestInfo& info) {
  if (result_fd() < 0) {
    return;
  }
  std::fflush(nullptr);
  if (marks_ == Marks::Kernel) {
    write_kernel_mark(events::kMarkEnd + full_name(info));
  }
  const testing::TestResult& result = *info.result();
  send_event({{"event", events::kEventEnd},
              {"test", full_name(info)},
              {"seconds", static_cast<double>(result.elapsed_time()) / 1000.0},
              {"counters", counters_of(result)}});
}

}  // namespace kfdlab
