// SPDX-License-Identifier: MIT
#include "tools/vm/guest_image.h"

#include <fmt/format.h>
#include <grp.h>
#include <unistd.h>

#include <cerrno>

#include "tools/host/paths.h"
#include "tools/protocol.h"
#include "tools/vm/initramfs.h"
#include "tools/vm/qemu.h"

namespace kfdlab {
namespace {

std::string hostname() {
  char name[256] = "kfdlab";
  ::gethostname(name, sizeof(name) - 1);
  return name;
}

std::string module_lines(const char* keyword, const std::vector<GuestModule>& modules) {
  std::string text;
  for (const GuestModule& module : modules) {
    text += fmt::format("{} {} {}\n", keyword, module.name, module.parameters);
  }
  return text;
}

void add_modules(CpioWriter& cpio, const std::vector<GuestModule>& modules) {
  for (const GuestModule& module : modules) {
    cpio.add_file("modules/" + module.name + ".ko", module.data);
  }
}

Status write_whole(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0 && errno != EINTR) {
      return errno_error("cannot write the initramfs", errno);
    }
    data.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  }
  return ok_status();
}

}  // namespace

std::string guest_config(const VmOptions& options, const GuestModules& modules) {
  std::string text = module_lines("early", modules.early) + module_lines("late", modules.late);
  text += fmt::format("release {}\n", options.kernel.release);
  text += fmt::format("modules {}\n", (options.kernel.module_tree / "lib/modules" / options.kernel.release).string());
  for (std::size_t i = 0; i < options.writable.size(); ++i) {
    text += fmt::format("writable {} {}\n", writable_tag(i), options.writable[i].string());
  }
  if (const auto& cache = options.compile_cache) {
    text += fmt::format("compile_cache_tag {}\ncompile_cache_library {}\ncompile_cache_real {}\n", kCompileCacheTag,
                        cache->library.string(), cache->real.string());
  }
  text += fmt::format("hostname {}\n", hostname());
  for (const char* name : {"render", "video"}) {
    if (const group* entry = ::getgrnam(name); entry != nullptr) {
      text += fmt::format("{} {}\n", name, entry->gr_gid);
    }
  }
  return text;
}

Result<Fd> build_guest_image(const VmOptions& options, const GuestModules& modules) {
  const auto agent = read_file(sibling_program("kfdlab-guest"));
  KFDLAB_TRY(agent);
  CpioWriter cpio;
  for (const char* directory : {"dev", "proc", "sys", "lower", "upper", "root", "modules"}) {
    cpio.add_directory(directory);
  }
  cpio.add_char_device("dev/console", 5, 1);  // what process 1 has as stdin, stdout and stderr
  cpio.add_file("init", agent.value(), 0755);
  cpio.add_file(std::string_view(protocol::kConfigPath).substr(1), guest_config(options, modules));
  add_modules(cpio, modules.early);
  add_modules(cpio, modules.late);
  const std::string bytes = cpio.finish();
  auto file = memory_file("kfdlab-initramfs", bytes.size());
  KFDLAB_TRY(file);
  KFDLAB_TRY(write_whole(file.value().get(), bytes));
  return file;
}

}  // namespace kfdlab
