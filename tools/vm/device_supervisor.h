// SPDX-License-Identifier: MIT
// DeviceSupervisor: keeps one kfdlab-gpu process alive for all GPUs of a VM.
//
// Generations begin at 1 and count up with each process. Whenever a process has been reaped, asked for or not,
// the state word of every GPU says DEAD for its generation before the interrupt goes out and before a successor
// starts: from DEAD on nothing of that process touches memory. It is killed when a driver's page asks for it
// (reset_request == generation, then KFDLAB_KICK_RESET) or when a test asks on the control port; any other end
// counts as unexpected.
//
// The work is done by one thread, which also starts the processes: they die with it (Child::spawn).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/fd.h"
#include "common/result.h"
#include "tools/host/process.h"
#include "tools/vm/control_port.h"
#include "tools/vm/gpu_function.h"

namespace kfdlab {

struct DeviceConfig {
  std::filesystem::path program;  // kfdlab-gpu
  std::filesystem::path log;      // its stdout and stderr, appended
  int ram_fd = -1;
  std::string ram_map;
  int control_socket = -1;  // the launcher's end of org.kfdlab.device
};

class DeviceSupervisor final : private DeviceControl {
 public:
  // `gpus` must outlive it.
  static Result<std::unique_ptr<DeviceSupervisor>> start(DeviceConfig config, std::vector<GpuFunction>& gpus);
  ~DeviceSupervisor() override;

  [[nodiscard]] unsigned unexpected_deaths() const { return unexpected_deaths_; }

 private:
  DeviceSupervisor(DeviceConfig config, std::vector<GpuFunction>& gpus);

  void loop();
  void start_process();
  void on_reset_kick(GpuFunction& gpu);
  void on_death();
  [[nodiscard]] int milliseconds_to_restart() const;
  // DeviceControl: the requests of the control port.
  std::string control(ControlRequest request) override;
  [[nodiscard]] const char* state() const;

  DeviceConfig config_;
  std::vector<GpuFunction>& gpus_;
  ControlPort port_;
  Fd stop_event_;
  Child process_;
  std::uint32_t generation_ = 0;
  bool asked_ = false;    // the current process's death was asked for
  bool stopped_ = false;  // by SIGSTOP from the control port
  bool held_ = false;     // start no successor
  bool given_up_ = false;
  std::deque<std::chrono::steady_clock::time_point> recent_deaths_;  // unexpected ones
  std::chrono::steady_clock::time_point restart_at_{};
  std::atomic<unsigned> unexpected_deaths_{0};
  std::thread thread_;
};

}  // namespace kfdlab
