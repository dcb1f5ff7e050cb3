// SPDX-License-Identifier: MIT
#include "tests/pins/system.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/support/buffer.h"

namespace kfdlab::pins {
namespace {

bool device_exists(const std::string& name) { return std::filesystem::exists("/sys/class/net/" + name); }

// Removes the link with the process that made it; its children leave by _exit().
class LinkRemover {
 public:
  LinkRemover() : owner_(::getpid()) {}
  LinkRemover(const LinkRemover&) = delete;
  LinkRemover& operator=(const LinkRemover&) = delete;
  ~LinkRemover() {
    if (owner_ == ::getpid()) {
      static_cast<void>(run_command(fmt::format("ip link del {}", Link::kNear)));
    }
  }

 private:
  pid_t owner_;
};

Status add_link() {
  KFDLAB_TRY(load_module("veth"));
  if (!device_exists(Link::kNear)) {
    KFDLAB_TRY(run_command(fmt::format("ip link add {} mtu {} type veth peer name {} mtu {}", Link::kNear, Link::kMtu,
                                       Link::kFar, Link::kMtu)));
  }
  for (const char* end : {Link::kNear, Link::kFar}) {
    // No neighbour discovery: the only frames are those that tests send.
    if (!(std::ofstream(fmt::format("/proc/sys/net/ipv6/conf/{}/disable_ipv6", end)) << 1 << std::flush)) {
      return Error{fmt::format("IPv6 of {} cannot be switched off", end)};
    }
    KFDLAB_TRY(run_command(fmt::format("ip link set {} up", end)));
  }
  return run_command(fmt::format("ip addr replace {}/24 dev {}", Link::kAddress, Link::kNear));
}

}  // namespace

Status run_command(const std::string& line) {
  FILE* pipe = ::popen(("PATH=/usr/sbin:/usr/bin:/sbin:/bin; exec 2>&1; " + line).c_str(), "re");
  if (pipe == nullptr) {
    return errno_error("popen(" + line + ")", errno);
  }
  std::string said;
  std::array<char, 256> chunk;
  while (std::fgets(chunk.data(), chunk.size(), pipe) != nullptr) {
    said += chunk.data();
  }
  const int status = ::pclose(pipe);
  return status == 0 ? ok_status() : Error{fmt::format("'{}' failed: {}", line, said)};
}

Status load_module(const std::string& name, const std::string& parameters) {
  return run_command(fmt::format("modprobe {} {}", name, parameters));
}

Status make_link() {
  static const LinkRemover remover;
  static const Status made = add_link();
  return made;
}

std::uint64_t status_pages(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) {
      return std::stoull(line.substr(field.size() + 1)) * 1024 / kPageSize;
    }
  }
  return 0;
}

}  // namespace kfdlab::pins
