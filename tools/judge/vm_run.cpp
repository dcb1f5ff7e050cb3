// SPDX-License-Identifier: MIT
#include "tools/judge/vm_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>

#include "tools/host/paths.h"
#include "tools/judge/console.h"
#include "tools/judge/sink.h"
#include "tools/judge/suite_runner.h"

namespace kfdlab::judge {
namespace {

using Clock = std::chrono::steady_clock;

// The guest's runner speaks every few seconds while it lives, however long a test takes.
constexpr std::chrono::seconds kSilenceLimit{90};
constexpr std::size_t kConsoleTailLines = 60;

// Ends a VM that says nothing any more.
class Watchdog {
 public:
  explicit Watchdog(Vm* vm) : vm_(vm), thread_([this] { watch(); }) {}
  ~Watchdog() {
    stop_ = true;
    thread_.join();
  }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  void heard() { last_ = Clock::now().time_since_epoch().count(); }
  [[nodiscard]] bool bit() const { return bit_; }

 private:
  void watch() {
    while (!stop_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      if (Clock::now().time_since_epoch() - Clock::duration(last_.load()) > kSilenceLimit && !bit_) {
        bit_ = true;
        vm_->kill();
      }
    }
  }

  Vm* vm_;
  std::atomic<Clock::rep> last_{Clock::now().time_since_epoch().count()};
  std::atomic<bool> stop_{false}, bit_{false};
  std::thread thread_;  // last: it uses the members above
};

std::string slurp(const std::filesystem::path& path) {
  const auto text = read_file(path);
  return text ? text.value() : "";
}

std::vector<std::string> guest_environment() {
  return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8",
          "TERM=dumb"};
}

class VmRun {
 public:
  VmRun(const std::string& kernel, const VmRunOptions& options, const std::filesystem::path& self,
        report::Progress* progress, Interrupt* interrupt)
      : options_(options), self_(self), progress_(progress), interrupt_(interrupt), collector_(&run_, progress) {
    run_.kernel = kernel;
  }

  RunResult run() {
    const auto begin = Clock::now();
    if (auto status = boot(); !status.ok()) {
      run_.harness_error = status.error().message;
    } else {
      execute();
      shut_down();
    }
    run_.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    return std::move(run_);
  }

 private:
  Status boot() {
    progress_->say("preparing the kernel and its modules");
    auto kernel = prepare_kernel(run_.kernel, options_.prepare);
    KFDLAB_TRY(kernel);
    run_.release = kernel.value().release;
    vm_options_ = options_.vm;
    vm_options_.kernel = kernel.take();
    vm_options_.log_dir = options_.out / run_.release;
    vm_options_.amdgpu_params.push_back("enable_test_ioctls=1");
    progress_->say(run_.release + " boots");
    auto vm = Vm::boot(vm_options_);
    KFDLAB_TRY(vm);
    vm_ = vm.take();
    run_.accel = vm_->accelerator();
    interrupt_->add(vm_.get());
    return ok_status();
  }

  [[nodiscard]] GuestCommand guest_command(StreamReader* reader, Watchdog* watchdog, std::ofstream* log) const {
    HereOptions here = options_.here;
    here.accel = run_.accel;
    here.module_dir = vm_options_.kernel.kfdlab_modules;
    GuestCommand command;
    command.argv = here_arguments(self_, here);
    command.env = guest_environment();
    command.timeout = options_.limit;
    command.on_output = [=](int stream, std::string_view data) {
      watchdog->heard();
      if (stream == 3) {
        reader->feed(data);
      } else {
        log->write(data.data(), static_cast<std::streamsize>(data.size()));
      }
    };
    return command;
  }

  void execute() {
    std::ofstream log(vm_options_.log_dir / "runner.log");
    StreamReader reader(&collector_);
    Watchdog watchdog(vm_.get());
    const auto end = vm_->run(guest_command(&reader, &watchdog, &log));
    if (!collector_.done()) {
      guest_died(end, watchdog.bit());
    }
    if (reader.malformed() > 0 && run_.harness_error.empty()) {
      run_.harness_error = fmt::format("{} results of the guest could not be understood", reader.malformed());
    }
    if (const unsigned deaths = vm_->unexpected_device_deaths(); deaths > 0 && run_.harness_error.empty()) {
      run_.harness_error = fmt::format("the device process died {} times unasked; its log is {}", deaths,
                                       (vm_options_.log_dir / "device.log").string());
    }
    if (options_.shell_on_failure && end.ok() && (count(run_.tests).fail > 0 || !run_.harness_error.empty())) {
      open_shell();
    }
  }

  // The guest ended without its last word. Whoever was running takes the blame.
  void guest_died(const Result<GuestExit>& end, bool silent) {
    const std::string console = slurp(vm_->console_log());
    const std::vector<std::string> defects = find_defects(console);
    std::string why =
        end.ok() ? fmt::format("the guest's runner ended with status {}", end.value().status) : end.error().message;
    if (silent) {
      why = fmt::format("the guest said nothing for {} s and was ended", kSilenceLimit.count());
    }
    if (interrupt_->signal() != 0) {
      run_.harness_error = fmt::format("interrupted by signal {}", interrupt_->signal());
      return;
    }
    if (!defects.empty()) {
      why += "; its console says: " + defects.back();
    }
    run_.harness_error = why;
    if (!collector_.running_test().empty()) {
      TestResult victim{.suite = collector_.running_suite(), .name = collector_.running_test()};
      fail(&victim, "the guest died while this test ran: " + why);
      victim.log = console_tail(console, kConsoleTailLines);
      collector_.on_result(victim);
    }
  }

  void open_shell() {
    progress_->say("--keep: a shell in the VM; the VM goes when it ends");
    GuestCommand shell;
    shell.argv = {"/bin/bash", "-i"};
    shell.env = guest_environment();
    shell.pty = true;
    shell.stdin_fd = STDIN_FILENO;
    shell.results = false;
    shell.on_output = [](int, std::string_view data) {
      static_cast<void>(::write(STDOUT_FILENO, data.data(), data.size()) < 0);
    };
    static_cast<void>(vm_->run(shell).ok());
  }

  void shut_down() {
    interrupt_->remove(vm_.get());
    if (const auto status = vm_->shutdown(); !status.ok() && run_.harness_error.empty()) {
      run_.harness_error = status.error().message;
    }
    collector_.on_result(judge_console(slurp(vm_->console_log()), run_.tests));
    vm_.reset();
  }

  const VmRunOptions& options_;
  const std::filesystem::path& self_;
  report::Progress* progress_;
  Interrupt* interrupt_;
  RunResult run_;
  Collector collector_;
  VmOptions vm_options_;
  std::unique_ptr<Vm> vm_;
};

// Did the VM die of the race of TCG that docs/decisions/0050 describes?
bool ended_by_stale_code(const RunResult& result, const std::filesystem::path& out) {
  return result.accel == "tcg" && !result.harness_error.empty() &&
         slurp(out / result.release / "console.log").find(kStaleCodeOops) != std::string::npos;
}

void add_option(std::vector<std::string>* argv, const char* name, const std::string& value) {
  if (!value.empty()) {
    argv->push_back(name);
    argv->push_back(value);
  }
}

}  // namespace

RunResult run_in_vm(const std::string& kernel, const VmRunOptions& options, const std::filesystem::path& self,
                    report::Progress* progress, Interrupt* interrupt) {
  RunResult result = VmRun(kernel, options, self, progress, interrupt).run();
  if (!ended_by_stale_code(result, options.out)) {
    return result;
  }
  // The emulator failed, not what is judged; nothing but this one sign of it is run again, and never twice.
  const std::filesystem::path kept = (options.out / result.release).string() + ".stale-code";
  std::error_code ignored;
  std::filesystem::rename(options.out / result.release, kept, ignored);
  const std::string note = fmt::format(
      "QEMU executed stale code while the kernel patched its own (docs/decisions/0050), so all was run again; the logs "
      "of "
      "the first run are in {}",
      kept.string());
  progress->say(note);
  result = VmRun(kernel, options, self, progress, interrupt).run();
  result.notes.push_back(note);
  return result;
}

std::vector<std::string> here_arguments(const std::filesystem::path& self, const HereOptions& options) {
  std::vector<std::string> argv = {self, "validate", "--here", "--stream-fd", "3"};
  for (const std::string& suite : options.suites) {
    add_option(&argv, "--suite", suite);
  }
  add_option(&argv, "--filter", options.filter);
  add_option(&argv, "--accel", options.accel);
  add_option(&argv, "--control", options.control);
  add_option(&argv, "--module-dir", options.module_dir);
  add_option(&argv, "--seed", std::to_string(options.seed));
  add_option(&argv, "--time", std::to_string(options.stress_seconds));
  if (options.stress_operations > 0) {
    add_option(&argv, "--operations", std::to_string(options.stress_operations));
  }
  if (options.test_limit.count() > 0) {
    add_option(&argv, "--test-timeout", std::to_string(options.test_limit.count()));
  }
  if (!options.controls) {
    argv.push_back("--no-controls");
  }
  return argv;
}

TestResult judge_console(std::string_view console, const std::vector<TestResult>& tests) {
  TestResult result{.suite = "boot", .name = "Boot.ConsoleShowsNoCrashThatNoTestWasBlamedFor"};
  for (const std::string& line : find_defects(console)) {
    const bool blamed = std::any_of(tests.begin(), tests.end(), [&](const TestResult& test) {
      return test.log.find(line) != std::string::npos || test.reason.find(line) != std::string::npos;
    });
    if (is_fatal(line) && !blamed) {
      fail(&result, "console: " + line);
    }
  }
  if (result.verdict == Verdict::Fail) {
    result.log = console_tail(console, kConsoleTailLines);
  }
  return result;
}

}  // namespace kfdlab::judge
