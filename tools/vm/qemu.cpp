// SPDX-License-Identifier: MIT
#include "tools/vm/qemu.h"

#include <fmt/format.h>

#include <algorithm>

#include "hw/bar_layout.h"
#include "tools/protocol.h"
#include "tools/vm/host_tsc.h"
#include "tools/vm/ram_map.h"

namespace kfdlab {
namespace {

// A comma inside a value of a QEMU option is written twice.
std::string escaped(const std::string& value) {
  std::string result;
  for (const char c : value) {
    result += c;
    if (c == ',') {
      result += c;
    }
  }
  return result;
}

class Arguments {
 public:
  void add(std::string option) { words_.push_back(std::move(option)); }
  void add(std::string option, std::string value) {
    words_.push_back(std::move(option));
    words_.push_back(std::move(value));
  }
  std::vector<std::string> take() { return std::move(words_); }

 private:
  std::vector<std::string> words_;
};

void add_machine(Arguments& out, const QemuConfig& config) {
  const VmOptions& options = config.options;
  const bool iommu = options.machine == "q35-iommu";
  // The interrupt routing table of "pc" is an AML loop for each device; that of q35 is a constant. Only an instrumented
  // kernel takes minutes over it.
  const bool q35 = iommu || options.kernel.instrumented;
  out.add("-machine", fmt::format("{},memory-backend=ram,max-ram-below-4g={},usb=off,vmport=off,smm=off{}",
                                  q35 ? "q35" : "pc", kRamBelow4G, iommu ? ",kernel-irqchip=split" : ""));
  out.add("-m", fmt::format("{}M", options.memory_bytes >> 20));
  out.add("-object", fmt::format("memory-backend-file,id=ram,mem-path=/proc/self/fd/{},size={},share=on",
                                 config.fds.ram, options.memory_bytes));
  if (config.accelerator == "kvm") {
    out.add("-accel", "kvm");
    out.add("-cpu", "host");
    out.add("-smp", fmt::format("{}", options.cpus));
  } else {
    out.add("-accel", "tcg,thread=multi");
    // Without ERMS and FSRM the guest copies and clears by quadwords; TCG runs `rep movsb` one byte at a time.
    out.add("-cpu", "max,erms=off,fsrm=off");
    // With one possible CPU, TCG emits guest atomics that are not atomic towards the device process.
    out.add("-smp", options.cpus == 1 ? "1,maxcpus=2" : fmt::format("{}", options.cpus));
  }
  if (iommu) {
    out.add("-device", "intel-iommu,intremap=on,caching-mode=on");
  }
}

void add_port(Arguments& out, const std::string& id, int fd, const char* name) {
  out.add("-chardev", fmt::format("socket,id={},fd={}", id, fd));
  out.add("-device", fmt::format("virtserialport,bus=ports.0,chardev={},name={}", id, name));
}

void add_share(Arguments& out, const std::string& tag, const std::filesystem::path& path, bool writable) {
  // security_model=none: as the user who runs the VM, like passthrough, but without failing where chown may not.
  out.add("-fsdev", fmt::format("local,id={0},path={1},security_model=none,multidevs=remap{2}", tag,
                                escaped(path.string()), writable ? "" : ",readonly=on"));
  out.add("-device", fmt::format("virtio-9p-pci,fsdev={0},mount_tag={0}", tag));
}

// When the kernel complains that something does not go on. A blocked task is to be reported before the runner ends the
// test (60 s, emulated 180 s, four times that on an instrumented kernel); a slow CPU is not to be called stuck.
std::string watchdog_words(bool instrumented, bool emulated) {
  const unsigned hung = (emulated ? 120 : 40) * (instrumented ? 3 : 1);
  std::string line =
      fmt::format(" sysctl.kernel.hung_task_timeout_secs={} sysctl.kernel.hung_task_check_interval_secs=10", hung);
  if (emulated || instrumented) {
    const unsigned factor = (emulated ? 2 : 1) * (instrumented ? 3 : 1);
    line += fmt::format(" rcupdate.rcu_cpu_stall_timeout={} watchdog_thresh={} workqueue.watchdog_thresh={}",
                        std::min(30 * factor, 300u), std::min(10 * factor, 60u), 30 * factor);
  }
  return line;
}

}  // namespace

std::string writable_tag(std::size_t index) { return fmt::format("rw{}", index); }

std::string kernel_command_line(const VmOptions& options, const std::string& accelerator) {
  // Warnings and worse to the console as they happen; the rest is in /dev/kmsg. An NMI is what the launcher sends
  // to a guest that answers nothing else: it shall print where it hangs and end.
  std::string line =
      "console=ttyS0 loglevel=5 panic=-1 unknown_nmi_panic sysrq_always_enabled printk.devkmsg=on log_buf_len=4M "
      "8250.nr_uarts=1 apparmor=0 random.trust_cpu=on";
  if (accelerator == "tcg") {
    // Emulated CPUs leak nothing worth the price; the clock is as stable as QEMU's.
    line += " mitigations=off tsc=reliable no_timer_check nmi_watchdog=0 rcupdate.rcu_expedited=1 cryptomgr.notests";
    // Told, not found out: calibration on a busy host once gave a clock that ran seven times too fast.
    if (const unsigned khz = host_tsc_khz(); khz != 0) {
      line += fmt::format(" tsc_early_khz={}", khz);
    }
  }
  line += watchdog_words(options.kernel.instrumented, accelerator == "tcg");
  if (options.kernel.instrumented) {
    // Every KASAN report, not only the first.
    line += " kasan_multi_shot";
  }
  if (!options.kernel.words.empty()) {
    line += " " + options.kernel.words;
  }
  if (options.machine == "q35-iommu") {
    line += " intel_iommu=on";
  }
  if (options.gdb) {
    line += " nokaslr";
  }
  return options.append.empty() ? line : line + " " + options.append;
}

std::vector<std::string> qemu_arguments(const QemuConfig& config) {
  const VmOptions& options = config.options;
  Arguments out;
  out.add(kQemuProgram);
  out.add("-name", "kfdlab");
  out.add("-nodefaults");
  out.add("-no-user-config");
  out.add("-no-reboot");
  out.add("-display", "none");
  out.add("-nic", "none");
  add_machine(out, config);
  out.add("-kernel", options.kernel.image.string());
  out.add("-initrd", fmt::format("/proc/self/fd/{}", config.fds.initrd));
  out.add("-append", kernel_command_line(options, config.accelerator));
  out.add("-chardev", fmt::format("file,id=console,path={}", escaped(config.console_log.string())));
  out.add("-serial", "chardev:console");
  out.add("-chardev", fmt::format("socket,id=monitor,fd={}", config.fds.monitor));
  out.add("-mon", "chardev=monitor,mode=control");
  out.add("-device", "virtio-serial-pci,id=ports");
  add_port(out, "agent", config.fds.agent, protocol::kAgentPort);
  add_port(out, "control", config.fds.control, protocol::kDevicePort);
  add_share(out, kRootTag, "/", false);
  for (std::size_t i = 0; i < options.writable.size(); ++i) {
    add_share(out, writable_tag(i), options.writable[i], true);
  }
  if (options.compile_cache) {
    add_share(out, kCompileCacheTag, options.compile_cache->entries, true);
  }
  out.add("-drive", fmt::format("if=none,id=scratch,file=/proc/self/fd/{},format=raw,cache=unsafe,discard=unmap",
                                config.fds.scratch));
  out.add("-device", "virtio-blk-pci,drive=scratch");
  for (std::size_t i = 0; i < config.fds.gpus.size(); ++i) {
    out.add("-chardev", fmt::format("socket,id=gpu{},fd={}", i, config.fds.gpus[i]));
    out.add("-device",
            fmt::format("ivshmem-doorbell,id=ivshmem{0},chardev=gpu{0},vectors={1}", i, int{KFDLAB_IRQ_COUNT}));
  }
  if (options.gdb) {
    out.add("-s");
  }
  return out.take();
}

std::string shell_line(const std::vector<std::string>& argv) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
  std::string line;
  for (const std::string& word : argv) {
    line += line.empty() ? "" : " ";
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      line += word;
      continue;
    }
    line += '\'';
    for (const char c : word) {
      line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
    line += '\'';
  }
  return line;
}

}  // namespace kfdlab
