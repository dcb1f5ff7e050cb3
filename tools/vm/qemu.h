// SPDX-License-Identifier: MIT
// The QEMU command line of a VM, as a pure function of what it is made from.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/vm/vm.h"

namespace kfdlab {

inline constexpr const char* kQemuProgram = "qemu-system-x86_64";
inline constexpr const char* kRootTag = "host";

// 9p mount tag of the n-th writable directory.
[[nodiscard]] std::string writable_tag(std::size_t index);

// Descriptors that QEMU inherits under the same numbers.
struct QemuFds {
  int ram = -1;
  int initrd = -1;
  int scratch = -1;
  int agent = -1;
  int control = -1;
  int monitor = -1;
  std::vector<int> gpus;  // ivshmem sockets
};

struct QemuConfig {
  const VmOptions& options;
  std::string accelerator;
  std::filesystem::path console_log;
  QemuFds fds;
};

[[nodiscard]] std::vector<std::string> qemu_arguments(const QemuConfig& config);
[[nodiscard]] std::string kernel_command_line(const VmOptions& options, const std::string& accelerator);
// Quoted so that a shell reads it back as the same words.
[[nodiscard]] std::string shell_line(const std::vector<std::string>& argv);

}  // namespace kfdlab
