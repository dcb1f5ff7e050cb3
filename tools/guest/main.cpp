// SPDX-License-Identifier: MIT
// kfdlab-guest: /init of the initramfs and process 1 of the guest. It loads the modules, mounts the host's root
// and then serves the launcher. What stops it is printed on the console, which the launcher quotes.
#include <fcntl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string>

#include "common/fd.h"
#include "common/result.h"
#include "tools/guest/agent.h"
#include "tools/guest/config.h"
#include "tools/guest/modules.h"
#include "tools/guest/mounts.h"
#include "tools/protocol.h"

namespace kfdlab::guest {
namespace {

constexpr std::chrono::seconds kPortDeadline{20};

Result<std::string> read_config() {
  const Fd fd(::open(protocol::kConfigPath, O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return errno_error(protocol::kConfigPath, errno);
  }
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(fd.get(), buffer, sizeof(buffer))) > 0;) {
    text.append(buffer, static_cast<std::size_t>(n));
  }
  return text;
}

// The names udev would give the ports.
void link_ports() {
  ::mkdir("/dev/virtio-ports", 0755);
  for (const char* name : {protocol::kAgentPort, protocol::kDevicePort}) {
    const std::string node = find_port(name, std::chrono::milliseconds(0));
    if (!node.empty()) {
      static_cast<void>(::symlink(node.c_str(), (std::string("/dev/virtio-ports/") + name).c_str()) != 0);
    }
  }
}

Status serve() {
  const auto text = read_config();
  KFDLAB_TRY(text);
  const Config config = parse_config(text.value());
  KFDLAB_TRY(mount_early());
  KFDLAB_TRY(load_modules(config.early));
  auto layers = mount_root(config);
  KFDLAB_TRY(layers);
  const Status late = load_modules(config.late);
  KFDLAB_TRY(switch_root());
  set_up_environment(config);
  const std::string node = find_port(protocol::kAgentPort, kPortDeadline);
  link_ports();
  Fd port(::open(node.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!port.valid()) {
    return errno_error("no port to the launcher", errno);
  }
  Agent(std::move(port), config, layers.take(), late.ok() ? std::string() : late.error().message).run();
  return ok_status();
}

}  // namespace
}  // namespace kfdlab::guest

int main() {
  std::signal(SIGPIPE, SIG_IGN);
  if (const auto status = kfdlab::guest::serve(); !status.ok()) {
    std::fprintf(stderr, "kfdlab-guest: %s\n", status.error().message.c_str());
  }
  ::sync();
  ::reboot(RB_POWER_OFF);
  return 1;
}
