// SPDX-License-Identifier: MIT
#include "tests/support/needs.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "tests/support/events.h"
#include "tests/support/instrumented.h"

namespace kfdlab {
namespace {

std::uint64_t number_from(const char* variable, std::uint64_t fallback) {
  const char* text = std::getenv(variable);
  std::uint64_t value = fallback;
  if (text != nullptr) {
    std::from_chars(text, text + std::strlen(text), value);
  }
  return value;
}

}  // namespace

bool is_root() { return ::geteuid() == 0; }

bool node_exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::string kernel_release() {
  utsname name{};
  ::uname(&name);
  return name.release;
}

bool kernel_at_least(unsigned major, unsigned minor) {
  unsigned have_major = 0;
  unsigned have_minor = 0;
  if (std::sscanf(kernel_release().c_str(), "%u.%u", &have_major, &have_minor) != 2) {
    return false;
  }
  return have_major != major ? have_major > major : have_minor >= minor;
}

std::string residency_backend() {
  if (const char* text = std::getenv(events::kBackendVariable); text != nullptr) {
    return text;
  }
  return node_exists("/dev/kfdlab_test") ? "coherent" : "none";
}

bool under_tcg() {
  if (const char* text = std::getenv(events::kAcceleratorVariable); text != nullptr) {
    return std::strcmp(text, "tcg") == 0;
  }
  // Started by hand in the VM: slow is the safe guess.
  return node_exists("/dev/kfdlab_test");
}

std::uint64_t test_seed() { return number_from(events::kSeedVariable, 1); }

std::chrono::seconds stress_time() { return std::chrono::seconds(number_from(events::kStressTimeVariable, 20)); }

unsigned patience() { return (under_tcg() ? 10 : 1) * (kernel_is_instrumented() ? kInstrumentedFactor : 1); }

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit * patience();
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) {
      return condition();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace kfdlab
