// SPDX-License-Identifier: MIT
// Vm: one virtual machine with its virtual GPUs, from boot to power-off. It owns QEMU, the kfdlab-gpu process,
// their shared memory and the channels into the guest; destroying it leaves nothing behind on the host.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "tools/vm/compile_cache.h"

namespace kfdlab {

// On the console: under TCG only QEMU 7.2 makes it, by a race of its own (docs/decisions/0050).
inline constexpr std::string_view kStaleCodeOops = "int3: 0000 [#1]";

// A kernel that can be booted, with the modules built for it.
struct BootKernel {
  std::string name;                      // as the user names it: "6.1", "6.12", a path
  std::string release;                   // uname -r
  std::filesystem::path image;           // bzImage
  std::filesystem::path module_tree;     // directory holding lib/modules/<release>
  std::filesystem::path kfdlab_modules;  // directory holding kernel/{ttm,amdkfd}/*.ko and tests/gup/kmod/*.ko
  bool instrumented = false;             // KASAN, lockdep or kmemleak: everything takes several times as long
  std::string words = {};                // of its command line, that it alone needs
};

struct VmOptions {
  BootKernel kernel;
  std::uint64_t memory_bytes = 3ull << 30;
  std::uint64_t vram_bytes = 1ull << 30;
  unsigned cpus = 2;
  unsigned gpus = 1;
  std::string machine = "pc";
  std::string append;                           // added to the kernel command line
  std::vector<std::string> amdgpu_params;       // module parameters of kfdlab_amdgpu, e.g. "enable_test_ioctls=1"
  std::vector<std::string> gup_params;          // module parameters of kfdlab_gup
  bool load_modules = true;                     // false: boot baseline without our modules
  std::vector<std::filesystem::path> writable;  // host directories the guest may write (run --rw)
  std::optional<CompileCache> compile_cache;    // nullopt: ROCm compiles its own kernels in every process
  std::filesystem::path log_dir;                // console.log, device.log, qemu.log are written here
  std::chrono::seconds boot_timeout{120};
  bool verbose = false;
  bool gdb = false;
};

// How a command in the guest ended: exit status 0..255, or 128 + signal.
struct GuestExit {
  int status = 0;
};

struct GuestCommand {
  std::vector<std::string> argv;
  std::vector<std::string> env;  // "K=V", complete environment
  std::filesystem::path cwd = "/";
  unsigned uid = 0, gid = 0;
  std::vector<unsigned> groups;
  unsigned umask = 022;
  bool pty = false;            // terminal with the size of stdin_fd's
  bool results = true;         // descriptor 3 is the results stream; else it is closed
  bool caller_limits = false;  // resource limits of this process; else those of the guest's init
  // Data from the guest; called from wait_command()'s thread. stream 1 = stdout, 2 = stderr, 3 = results.
  // In the guest stream 3 is descriptor 3 of the command.
  std::function<void(int stream, std::string_view data)> on_output;
  int stdin_fd = -1;                // -1: the guest command reads /dev/null
  std::chrono::seconds timeout{0};  // 0: none
};

class Vm {
 public:
  // Boot to the guest agent. Errors say what did not happen and where the console log is. QEMU dies with the thread
  // that called this, so that nothing survives the launcher: let that thread live as long as the VM.
  static Result<std::unique_ptr<Vm>> boot(const VmOptions& options);
  virtual ~Vm() = default;

  // Run one command and wait for its end. An Error is a harness failure: the VM died, hung or timed out (then
  // sysrq-w and -l were sent and the console log has the dump).
  virtual Result<GuestExit> run(const GuestCommand& command) = 0;
  // Forward a signal to the running command's process group; SIGWINCH: tell it the new size of the terminal.
  // Async-signal-safe, callable from any thread. Lost when no command runs.
  virtual void signal(int signo) = 0;

  // The QEMU command line as a shell line, for --dry-run and failure reports.
  [[nodiscard]] virtual std::string command_line() const = 0;
  [[nodiscard]] virtual std::string accelerator() const = 0;  // "kvm" or "tcg"
  [[nodiscard]] virtual const std::filesystem::path& console_log() const = 0;
  // Device processes that died without being asked to (by a test or by the driver's reset request).
  [[nodiscard]] virtual unsigned unexpected_device_deaths() const = 0;

  // Host paths (absolute) that the guest created, changed or removed in its overlay: lost with the VM.
  virtual Result<std::vector<std::string>> discarded_files() = 0;
  // Ends the VM at once; a run() under way returns an Error. Async-signal-safe, callable from any thread.
  virtual void kill() = 0;

  // Orderly power-off with a deadline; the destructor kills what is left.
  virtual Status shutdown() = 0;
};

}  // namespace kfdlab
