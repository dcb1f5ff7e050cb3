// SPDX-License-Identifier: MIT
// kfdlab-gpu: the virtual GPUs of one VM as a process. The launcher starts it with descriptors it shares with
// QEMU, and ends it with SIGTERM or SIGKILL; docs/device.md describes what the guest sees.
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <string>
#include <vector>

#include "common/fd.h"
#include "device/engine/dispatch.h"
#include "device/log.h"
#include "device/machine.h"
#include "device/options.h"

namespace kfdlab::device {
namespace {

constexpr int kUsageExit = 2;

// SIGTERM and SIGINT as a descriptor; blocked before any thread starts, so that all threads inherit the mask.
Result<Fd> termination_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  Fd fd(::signalfd(-1, &set, SFD_CLOEXEC));
  if (!fd.valid()) {
    return errno_error("creating a signalfd", errno);
  }
  return fd;
}

// Readable once the launcher is gone. PR_SET_PDEATHSIG would fire when the *thread* that started us ends; the
// launcher sets it as well if its thread lives long enough.
Result<Fd> parent_exit() {
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, ::getppid(), 0)));
  if (!fd.valid()) {
    return errno_error("watching the parent process", errno);
  }
  return fd;
}

void wait_for_end(const Fd& signals, const Fd& parent) {
  pollfd fds[] = {{.fd = signals.get(), .events = POLLIN, .revents = 0},
                  {.fd = parent.get(), .events = POLLIN, .revents = 0}};
  while (::poll(fds, 2, -1) < 0 && errno == EINTR) {
  }
  log_info("host", "{}", fds[1].revents != 0 ? "the launcher is gone, ending" : "told to end");
}

Status serve(const Options& options) {
  // Whatever a guest might make of this process, it gains nothing by executing a setuid program.
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  Result<Fd> signals = termination_signals();
  if (!signals.ok()) {
    return signals.error();
  }
  Result<Fd> parent = parent_exit();
  if (!parent.ok()) {
    return parent.error();
  }
  Result<std::unique_ptr<Machine>> machine = Machine::create(options, {.create = &engine::Engine::create, .prepare_aql = &engine::prepare_aql});
  if (!machine.ok()) {
    return machine.error();
  }
  KFDLAB_TRY(machine.value()->start());
  wait_for_end(signals.value(), parent.value());
  return ok_status();
}

// Fills in what CLI11 left as text.
Status parse_lists(Options& options, const std::string& ram_map, const std::vector<std::string>& gpus) {
  Result<std::vector<RamMapOption>> map = parse_ram_map(ram_map);
  if (!map.ok()) {
    return map.error();
  }
  options.ram_map = map.take();
  for (const std::string& text : gpus) {
    Result<GpuOption> gpu = parse_gpu(text);
    if (!gpu.ok()) {
      return gpu.error();
    }
    options.gpus.push_back(gpu.take());
  }
  return ok_status();
}

int run(int argc, char** argv) {
  Options options;
  std::string ram_map;
  std::vector<std::string> gpus;
  CLI::App app("The virtual GPUs of one kfdlab VM. Started by kfdlab; all descriptors are inherited.", "kfdlab-gpu");
  app.add_option("--generation", options.generation, "number of this process, counted by the launcher from 1")
      ->required();
  app.add_option("--ram-fd", options.ram_fd, "shared memory file of the guest's RAM")->required();
  app.add_option("--ram-map", ram_map, "GPA:SIZE:FILEOFF[,...]: where that file appears in the guest")->required();
  app.add_option("--gpu", gpus, "index=N,bar=FD,kick=FD:FD:FD,irq=FD:FD:FD:FD; once for each GPU")
      ->required()
      ->allow_extra_args(false);
  CLI11_PARSE(app, argc, argv);
  if (const Status status = parse_lists(options, ram_map, gpus); !status.ok()) {
    log_info("host", "{}", status.error().message);
    return kUsageExit;
  }
  if (const Status status = serve(options); !status.ok()) {
    log_info("host", "{}", status.error().message);
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace kfdlab::device

int main(int argc, char** argv) { return kfdlab::device::run(argc, argv); }
