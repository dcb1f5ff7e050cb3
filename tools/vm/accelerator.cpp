// SPDX-License-Identifier: MIT
#include "tools/vm/accelerator.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "tools/host/paths.h"
#include "tools/host/process.h"
#include "tools/vm/qemu.h"

namespace kfdlab {
namespace {

constexpr int kDeadlineMs = 4000;
// What the probe guest writes to QEMU's isa-debug-exit port, which makes QEMU exit with 2 * value + 1.
constexpr char kAnswer = 0x2a;
constexpr int kAnswerStatus = 2 * kAnswer + 1;

// A 64 KiB BIOS whose reset vector says kAnswer and halts: mov al, kAnswer; out 0xf4, al; hlt.
std::string probe_bios() {
  std::string rom(64u << 10, '\xf4');
  const char code[] = {'\xb0', kAnswer, '\xe6', '\xf4', '\xf4'};
  std::copy(std::begin(code), std::end(code), rom.end() - 16);
  return rom;
}

bool kvm_runs_a_guest() {
  if (::access("/dev/kvm", R_OK | W_OK) != 0) {
    return false;
  }
  const std::string rom = probe_bios();
  const auto file = memory_file("kfdlab-kvm-probe", rom.size());
  if (!file.ok() || ::pwrite(file.value().get(), rom.data(), rom.size(), 0) != static_cast<ssize_t>(rom.size())) {
    return false;
  }
  SpawnOptions options;
  options.argv = {kQemuProgram,
                  "-accel",
                  "kvm",
                  "-cpu",
                  "host",
                  "-m",
                  "16M",
                  "-nodefaults",
                  "-no-user-config",
                  "-display",
                  "none",
                  "-bios",
                  fmt::format("/proc/self/fd/{}", file.value().get()),
                  "-device",
                  "isa-debug-exit,iobase=0xf4,iosize=1"};
  options.keep_fds = {file.value().get()};
  auto child = Child::spawn(options);
  if (!child.ok() || !child.value().wait_for(kDeadlineMs)) {
    return false;
  }
  return child.value().reap() == kAnswerStatus;
}

}  // namespace

std::string choose_accelerator(const std::filesystem::path& cache) {
  if (const char* forced = std::getenv("KFDLAB_ACCEL"); forced != nullptr && *forced != '\0') {
    return forced;
  }
  auto boot_id = read_file("/proc/sys/kernel/random/boot_id");
  const std::string key = boot_id.ok() ? boot_id.take() : std::string("unknown\n");
  const auto memo = cache / "accelerator";
  if (const auto known = read_file(memo); known.ok() && known.value().starts_with(key)) {
    return known.value().substr(key.size());
  }
  std::string answer = kvm_runs_a_guest() ? "kvm" : "tcg";
  // Only a faster answer next time is lost when this fails.
  static_cast<void>(write_file_atomically(memo, key + answer));
  return answer;
}

}  // namespace kfdlab
