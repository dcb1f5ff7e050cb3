// SPDX-License-Identifier: MIT
// The VM put together: memory, virtual GPUs, device process, QEMU and the agent, in the order they depend on
// each other; the members of VmImpl are destroyed in the reverse order.
#include "tools/vm/vm.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>

#include "tools/host/paths.h"
#include "tools/host/process.h"
#include "tools/kernels/kernel_image.h"
#include "tools/protocol.h"
#include "tools/vm/accelerator.h"
#include "tools/vm/agent_channel.h"
#include "tools/vm/command_session.h"
#include "tools/vm/device_supervisor.h"
#include "tools/vm/gpu_function.h"
#include "tools/vm/guest_image.h"
#include "tools/vm/guest_modules.h"
#include "tools/vm/qemu.h"
#include "tools/vm/ram_map.h"

namespace kfdlab {
namespace {

namespace fs = std::filesystem;
using protocol::Frame;
using protocol::Type;
using namespace std::chrono_literals;

constexpr std::uint64_t kScratchSize = 4ull << 30;
constexpr auto kSysRqDeadline = 5s;
constexpr auto kNmiDeadlineMs = 5000;
constexpr auto kListDeadline = 10s;
constexpr auto kPowerOffDeadlineMs = 10000;
constexpr int kInstrumentedFactor = 4;  // how much slower a debug kernel boots and stops

constexpr int kStaleCodeBoots = 2;  // boots after one that ended by the race of TCG

// The two ends of a stream between QEMU (qemu, closed here once it runs) and us.
struct SocketPair {
  Fd ours;
  Fd qemu;
};

Result<SocketPair> socket_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
    return errno_error("cannot create a socket", errno);
  }
  return SocketPair{Fd(fds[0]), Fd(fds[1])};
}

bool missing_allowed() { return std::getenv("KFDLAB_ALLOW_MISSING") != nullptr; }

class VmImpl final : public Vm {
 public:
  explicit VmImpl(const VmOptions& options) : options_(options) {}
  ~VmImpl() override { qemu_.kill_and_reap(); }

  Status start();
  // Did the boot end by the race of TCG that docs/decisions/0050 describes?
  [[nodiscard]] bool ran_stale_code() const;

  Result<GuestExit> run(const GuestCommand& command) override;
  void signal(int signo) override;
  [[nodiscard]] std::string command_line() const override { return shell_line(argv_); }
  [[nodiscard]] std::string accelerator() const override { return accelerator_; }
  [[nodiscard]] const fs::path& console_log() const override { return console_log_; }
  [[nodiscard]] unsigned unexpected_device_deaths() const override {
    return supervisor_ ? supervisor_->unexpected_deaths() : 0;
  }
  Result<std::vector<std::string>> discarded_files() override;
  void kill() override { qemu_.signal(SIGKILL); }
  Status shutdown() override;

 private:
  void note(const std::string& message) const;
  Status create_shared_memory();
  Status start_device();
  Status start_qemu(Fd initrd);
  Status await_agent();
  // The error of a VM that ended by itself, with the kernel's last words if it panicked.
  [[nodiscard]] Error ended(const std::string& when) const;
  // Have a guest that hangs write its tasks' and CPUs' stacks to the console, then end it.
  void dump_and_kill();

  VmOptions options_;
  std::string accelerator_;
  fs::path console_log_;
  std::vector<std::string> argv_;
  Fd ram_, scratch_, signal_read_, signal_write_;
  std::vector<GpuFunction> gpus_;
  SocketPair agent_, control_, monitor_;
  std::unique_ptr<DeviceSupervisor> supervisor_;
  Child qemu_;
  std::unique_ptr<AgentChannel> channel_;
};

void VmImpl::note(const std::string& message) const {
  if (options_.verbose) {
    fmt::print(stderr, "kfdlab: {}\n", message);
  }
}

Status VmImpl::create_shared_memory() {
  auto ram = memory_file("kfdlab-ram", options_.memory_bytes);
  KFDLAB_TRY(ram);
  ram_ = ram.take();
  auto scratch = unnamed_file(options_.log_dir, kScratchSize);
  KFDLAB_TRY(scratch);
  scratch_ = scratch.take();
  gpus_.reserve(options_.gpus);
  for (unsigned i = 0; i < options_.gpus; ++i) {
    auto gpu = GpuFunction::create(i, options_.gpus, options_.vram_bytes);
    KFDLAB_TRY(gpu);
    gpus_.push_back(gpu.take());
  }
  for (SocketPair* pair : {&agent_, &control_, &monitor_}) {
    auto created = socket_pair();
    KFDLAB_TRY(created);
    *pair = created.take();
  }
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
    return errno_error("cannot create a pipe", errno);
  }
  signal_read_.reset(fds[0]);
  signal_write_.reset(fds[1]);
  return ok_status();
}

Status VmImpl::start_device() {
  if (gpus_.empty()) {
    return ok_status();
  }
  const fs::path program = sibling_program("kfdlab-gpu");
  std::error_code ignored;
  if (!fs::exists(program, ignored)) {
    if (!missing_allowed()) {
      return Error{fmt::format("{} is missing; build it: cmake --build --preset release", program.string())};
    }
    note("no kfdlab-gpu beside kfdlab: the virtual GPU stays dead");
    return ok_status();
  }
  auto supervisor = DeviceSupervisor::start({program, options_.log_dir / "device.log", ram_.get(),
                                             format_ram_map(ram_map(options_.memory_bytes)), control_.ours.get()},
                                            gpus_);
  KFDLAB_TRY(supervisor);
  supervisor_ = supervisor.take();
  return ok_status();
}

Status VmImpl::start_qemu(Fd initrd) {
  QemuConfig config{options_, accelerator_, console_log_, {}};
  config.fds = {ram_.get(), initrd.get(), scratch_.get(), agent_.qemu.get(), control_.qemu.get(), monitor_.qemu.get(),
                {}};
  SpawnOptions spawn;
  spawn.keep_fds = {ram_.get(),        initrd.get(),        scratch_.get(),
                    agent_.qemu.get(), control_.qemu.get(), monitor_.qemu.get()};
  for (const GpuFunction& gpu : gpus_) {
    config.fds.gpus.push_back(gpu.qemu_socket());
    spawn.keep_fds.push_back(gpu.qemu_socket());
  }
  argv_ = qemu_arguments(config);
  const fs::path log_path = options_.log_dir / "qemu.log";
  const Fd log(::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  spawn.argv = argv_;
  spawn.stdout_fd = log.get();
  auto child = Child::spawn(spawn);
  if (!child.ok()) {
    return Error{child.error().message + "; install it: apt-get install qemu-system-x86"};
  }
  qemu_ = child.take();
  for (GpuFunction& gpu : gpus_) {
    gpu.close_qemu_socket();
  }
  for (SocketPair* pair : {&agent_, &control_, &monitor_}) {
    pair->qemu.reset();
  }
  return ok_status();
}

Error VmImpl::ended(const std::string& when) const {
  std::string reason;
  if (const auto text = read_file(console_log_); text.ok()) {
    for (const char* sign : {"Kernel panic", "kfdlab-guest: "}) {
      if (const auto at = text.value().rfind(sign); at != std::string::npos) {
        reason = text.value().substr(at, text.value().find_first_of("\r\n", at) - at);
        break;
      }
    }
  }
  if (const auto text = read_file(options_.log_dir / "qemu.log");
      reason.empty() && text.ok() && !text.value().empty()) {
    reason = text.value().substr(0, text.value().find('\n'));
  }
  return Error{fmt::format("the VM ended {}{}; its console is in {}", when, reason.empty() ? "" : " (" + reason + ")",
                           console_log_.string())};
}

bool VmImpl::ran_stale_code() const {
  if (accelerator_ != "tcg") {
    return false;
  }
  const auto text = read_file(console_log_);
  return text.ok() && text.value().find(kStaleCodeOops) != std::string::npos;
}

Status VmImpl::await_agent() {
  channel_ = std::make_unique<AgentChannel>(std::move(agent_.ours), qemu_.pidfd());
  Frame hello;
  const auto limit = options_.boot_timeout * (options_.kernel.instrumented ? kInstrumentedFactor : 1);
  switch (channel_->await(Type::Hello, limit, hello)) {
    case AgentChannel::Outcome::VmEnded:
      return ended("while it booted");
    case AgentChannel::Outcome::TimedOut:
      dump_and_kill();
      return Error{
          fmt::format("the VM did not boot within {} s; its console is in {}", limit.count(), console_log_.string())};
    case AgentChannel::Outcome::Interrupted:
      return Error{"interrupted"};
    case AgentChannel::Outcome::Frame:
      break;
  }
  protocol::PayloadReader reader(hello.payload);
  if (reader.u32() != protocol::kVersion) {
    return Error{"kfdlab-guest was not built together with kfdlab; build both: cmake --build --preset release"};
  }
  const std::string trouble = reader.string();
  if (!trouble.empty()) {
    if (!missing_allowed()) {
      return Error{fmt::format("{}; the console is in {}", trouble, console_log_.string())};
    }
    note(trouble);
  }
  return ok_status();
}

Status VmImpl::start() {
  const auto begin = std::chrono::steady_clock::now();
  const auto cache = cache_directory();
  KFDLAB_TRY(cache);
  std::error_code error;
  fs::create_directories(options_.log_dir, error);
  console_log_ = fs::absolute(options_.log_dir) / "console.log";
  options_.log_dir = fs::absolute(options_.log_dir);
  accelerator_ = choose_accelerator(cache.value());
  if (accelerator_ == "tcg") {
    options_.kernel.image = unpacked_kernel(options_.kernel.image, options_.kernel.module_tree / "plain");
  }
  const auto modules = collect_guest_modules(options_);
  KFDLAB_TRY(modules);
  if (!modules.value().missing.empty()) {
    const std::string names = fmt::format("{}", fmt::join(modules.value().missing, ", "));
    if (!missing_allowed()) {
      return Error{
          fmt::format("{} not built in {}; run `kfdlab build`", names, options_.kernel.kfdlab_modules.string())};
    }
    note("going on without " + names);
  }
  auto image = build_guest_image(options_, modules.value());
  KFDLAB_TRY(image);
  KFDLAB_TRY(create_shared_memory());
  KFDLAB_TRY(start_device());
  KFDLAB_TRY(start_qemu(image.take()));
  note(shell_line(argv_));
  KFDLAB_TRY(await_agent());
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  note(fmt::format("{} is up after {:.1f} s ({}), logs in {}", options_.kernel.release, seconds.count(), accelerator_,
                   options_.log_dir.string()));
  return ok_status();
}

void VmImpl::dump_and_kill() {
  Frame done;
  // 9: everything to the console; w: blocked tasks; l: a backtrace of each CPU.
  channel_->send(Type::SysRq, "9wl");
  const bool answered = channel_->await(Type::SysRqDone, kSysRqDeadline, done) == AgentChannel::Outcome::Frame;
  if (!answered) {
    // The answers of the monitor do not matter: the kernel panics on the NMI and QEMU ends, or it does not.
    constexpr std::string_view kCommands = "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"inject-nmi\"}\n";
    static_cast<void>(::send(monitor_.ours.get(), kCommands.data(), kCommands.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
    static_cast<void>(qemu_.wait_for(kNmiDeadlineMs));
  }
  qemu_.signal(SIGKILL);
}

Result<GuestExit> VmImpl::run(const GuestCommand& command) {
  CommandSession session(*channel_, signal_read_.get(), command);
  switch (session.run()) {
    case CommandSession::End::Exited:
      return GuestExit{session.status()};
    case CommandSession::End::VmEnded:
      return ended("while " + command.argv[0] + " ran");
    case CommandSession::End::Interrupted:
      kill();
      return Error{"interrupted"};
    case CommandSession::End::TimedOut:
      break;
  }
  dump_and_kill();
  return Error{fmt::format("{} did not end within {} s; where the guest hangs is at the end of {}", command.argv[0],
                           command.timeout.count(), console_log_.string())};
}

void VmImpl::signal(int signo) {
  const auto byte = static_cast<unsigned char>(signo);
  static_cast<void>(::write(signal_write_.get(), &byte, 1) < 0);
}

Result<std::vector<std::string>> VmImpl::discarded_files() {
  channel_->send(Type::ListChanges);
  Frame list;
  if (channel_->await(Type::Discarded, kListDeadline, list) != AgentChannel::Outcome::Frame) {
    return Error{"the guest did not say which files it changed"};
  }
  return protocol::PayloadReader(list.payload).strings();
}

Status VmImpl::shutdown() {
  if (!qemu_.running()) {
    return ok_status();
  }
  channel_->send(Type::PowerOff);
  static_cast<void>(channel_->pump());
  const int limit_ms = kPowerOffDeadlineMs * (options_.kernel.instrumented ? kInstrumentedFactor : 1);
  if (qemu_.wait_for(limit_ms)) {
    return ok_status();
  }
  qemu_.signal(SIGKILL);
  return Error{fmt::format("the VM did not power off within {} s; its console is in {}", limit_ms / 1000,
                           console_log_.string())};
}

}  // namespace

Result<std::unique_ptr<Vm>> Vm::boot(const VmOptions& options) {
  for (int again = kStaleCodeBoots; true; --again) {
    auto vm = std::make_unique<VmImpl>(options);
    auto started = vm->start();
    if (started.ok()) {
      return std::unique_ptr<Vm>(std::move(vm));
    }
    if (again == 0 || !vm->ran_stale_code()) {
      return started.error();
    }
    const fs::path kept = vm->console_log().string() + fmt::format(".stale-code-{}", kStaleCodeBoots - again + 1);
    std::error_code ignored;
    fs::rename(vm->console_log(), kept, ignored);
    fmt::print(stderr,
               "kfdlab: QEMU executed stale code while {} patched its own (docs/decisions/0050); booting again, the "
               "console of the first try is {}\n",
               options.kernel.release, kept.string());
  }
}

}  // namespace kfdlab
