// SPDX-License-Identifier: MIT
#include "tools/judge/kmemleak.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <future>

#include "common/fd.h"

namespace kfdlab::judge {
namespace {

constexpr char kFile[] = "/sys/kernel/debug/kmemleak";
constexpr std::string_view kOurs = "[kfdlab_";
// An object is reported only once it is older than this (MSECS_MIN_AGE of mm/kmemleak.c), and a second.
constexpr std::chrono::seconds kMinimumAge{6};

std::string_view trim(std::string_view line) {
  const auto begin = line.find_first_not_of(" \t");
  const auto end = line.find_last_not_of(" \t\r");
  return begin == std::string_view::npos ? std::string_view() : line.substr(begin, end - begin + 1);
}

// "[<00000000deadbeef>] f+0x1/0x2 [module]" -> "f+0x1/0x2 [module]"
std::string_view frame_of(std::string_view line) {
  if (line.starts_with("[<")) {
    const auto close = line.find(">]");
    line = close == std::string_view::npos ? line : trim(line.substr(close + 2));
  }
  return line;
}

// 0 or errno.
int command(std::string_view text) {
  const Fd fd(::open(kFile, O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return errno;
  }
  return ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : errno;
}

std::string read_all() {
  const Fd fd(::open(kFile, O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 16384> buffer;
  for (ssize_t n = 0; fd.valid() && (n = ::read(fd.get(), buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return text;
}

// The scan runs inside the write, which may take a minute.
int scan(const std::function<void()>& alive) {
  auto done = std::async(std::launch::async, [] { return command("scan"); });
  while (done.wait_for(std::chrono::seconds(1)) != std::future_status::ready) {
    alive();
  }
  return done.get();
}

}  // namespace

std::vector<LeakedObject> parse_kmemleak(std::string_view text) {
  std::vector<LeakedObject> objects;
  bool in_backtrace = false;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.starts_with("unreferenced object")) {
      objects.push_back({std::string(line), {}});
      in_backtrace = false;
    } else if (line.starts_with("backtrace")) {  // since 6.9 with "(crc 12345678):"
      in_backtrace = true;
    } else if (in_backtrace && !objects.empty() && !line.empty()) {
      objects.back().backtrace.emplace_back(frame_of(line));
    }
  }
  return objects;
}

bool is_leak_of_ours(const LeakedObject& object) {
  return std::any_of(object.backtrace.begin(), object.backtrace.end(),
                     [](const std::string& frame) { return frame.find(kOurs) != std::string::npos; });
}

std::string describe_leak(const LeakedObject& object) {
  std::string text = object.headline;
  while (!text.empty() && text.back() == ':') {
    text.pop_back();
  }
  for (const std::string& frame : object.backtrace) {
    if (frame.find(kOurs) != std::string::npos) {
      return text + " by " + frame;
    }
  }
  return text;
}

bool kmemleak_available() { return ::access(kFile, R_OK | W_OK) == 0; }

Result<std::vector<LeakedObject>> find_new_leaks(const std::function<void()>& alive) {
  const auto begin = std::chrono::steady_clock::now();
  if (const int error = scan(alive); error != 0) {
    return errno_error("kmemleak does not scan", error);
  }
  while (std::chrono::steady_clock::now() - begin < kMinimumAge) {
    ::usleep(500'000);
    alive();
  }
  if (const int error = scan(alive); error != 0) {
    return errno_error("kmemleak does not scan", error);
  }
  auto objects = parse_kmemleak(read_all());
  command("clear");
  return objects;
}

}  // namespace kfdlab::judge
