// SPDX-License-Identifier: MIT
#include "tools/guest/mounts.h"

#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace kfdlab::guest {
namespace {

constexpr const char* kRoot = "/root";
// loose: the host's files are taken not to change under a VM that lives for minutes. msize is what the
// virtio transport takes at most in one request, roughly.
constexpr const char* kRootOptions = "trans=virtio,version=9p2000.L,msize=507904,cache=loose";
// Shared with host processes that may write at the same time: nothing is cached.
constexpr const char* kWritableOptions = "trans=virtio,version=9p2000.L,msize=507904,cache=mmap";

struct Mount {
  const char* source;
  const char* target;  // below kRoot
  const char* type;
  const char* options;
  unsigned long flags;
};

constexpr Mount kMounts[] = {
    {"proc", "/proc", "proc", "", MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"sysfs", "/sys", "sysfs", "", MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"tmpfs", "/run", "tmpfs", "mode=755", MS_NOSUID | MS_NODEV},
    {"devpts", "/dev/pts", "devpts", "gid=5,mode=620,ptmxmode=666", MS_NOSUID | MS_NOEXEC},
    {"tmpfs", "/dev/shm", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV},
    {"mqueue", "/dev/mqueue", "mqueue", "", MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"hugetlbfs", "/dev/hugepages", "hugetlbfs", "", MS_NOSUID | MS_NODEV},
    {"cgroup2", "/sys/fs/cgroup", "cgroup2", "", MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"debugfs", "/sys/kernel/debug", "debugfs", "", MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"tracefs", "/sys/kernel/tracing", "tracefs", "", MS_NOSUID | MS_NODEV | MS_NOEXEC},
};

Status mount_at(const char* source, const std::string& target, const char* type, unsigned long flags,
                const char* options) {
  if (::mount(source, target.c_str(), type, flags, options) != 0) {
    return errno_error(std::string("cannot mount ") + source + " on " + target, errno);
  }
  return ok_status();
}

void make_directories(const std::string& path) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    ::mkdir(path.substr(0, slash).c_str(), 0755);
  }
  ::mkdir(path.c_str(), 0755);
}

Status mount_overlay() {
  KFDLAB_TRY(mount_at("host", "/lower", "9p", MS_RDONLY, kRootOptions));
  KFDLAB_TRY(mount_at("tmpfs", "/upper", "tmpfs", 0, "mode=755"));
  ::mkdir("/upper/files", 0755);
  ::mkdir("/upper/work", 0755);
  return mount_at("overlay", kRoot, "overlay", 0, "lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work");
}

// A file to mount another one over.
void make_file(const std::string& path) { const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)); }

// The real library moves to where the one that stands in for it expects it (tools/compile_cache/real_library.h).
Status mount_compile_cache(const Config& config, const std::string& root) {
  const std::string place = root + "/run/kfdlab/compile-cache";
  make_directories(place + "/entries");
  make_file(place + "/libamd_comgr.so.2");
  const std::string real = root + config.compile_cache_real;
  KFDLAB_TRY(mount_at(config.compile_cache_tag.c_str(), place + "/entries", "9p", 0, kWritableOptions));
  KFDLAB_TRY(mount_at(real.c_str(), place + "/libamd_comgr.so.2", nullptr, MS_BIND, nullptr));
  return mount_at((root + config.compile_cache_library).c_str(), real, nullptr, MS_BIND, nullptr);
}

void link_standard_nodes() {
  struct Link {
    const char* target;
    const char* name;
  };
  static constexpr Link kLinks[] = {{"/proc/self/fd", "/root/dev/fd"},
                                    {"fd/0", "/root/dev/stdin"},
                                    {"fd/1", "/root/dev/stdout"},
                                    {"fd/2", "/root/dev/stderr"}};
  for (const Link& link : kLinks) {
    static_cast<void>(::symlink(link.target, link.name) != 0);
  }
}

void loopback_up() {
  const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  ::ioctl(fd.get(), SIOCSIFFLAGS, &request);
}

void set_group(const std::string& path, unsigned gid) {
  if (gid != 0 && ::chown(path.c_str(), 0, gid) == 0) {
    ::chmod(path.c_str(), 0660);
  }
}

}  // namespace

Status mount_early() {
  KFDLAB_TRY(mount_at("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=755"));
  KFDLAB_TRY(mount_at("proc", "/proc", "proc", 0, ""));
  return mount_at("sysfs", "/sys", "sysfs", 0, "");
}

Result<RootLayers> mount_root(const Config& config) {
  KFDLAB_TRY(mount_overlay());
  const std::string root = kRoot;
  if (::mount("/dev", (root + "/dev").c_str(), nullptr, MS_MOVE, nullptr) != 0) {
    return errno_error("cannot move /dev", errno);
  }
  for (const char* directory : {"/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/hugepages"}) {
    ::mkdir((root + directory).c_str(), 0755);
  }
  for (const Mount& mount : kMounts) {
    KFDLAB_TRY(mount_at(mount.source, root + mount.target, mount.type, mount.flags, mount.options));
  }
  ::mkdir((root + "/run/lock").c_str(), 01777);
  ::chmod((root + "/run/lock").c_str(), 01777);
  link_standard_nodes();

  const std::string modules = root + "/lib/modules/" + config.release;
  make_directories(modules);
  KFDLAB_TRY(mount_at(("/lower" + config.modules).c_str(), modules, nullptr, MS_BIND, nullptr));
  for (const WritableShare& share : config.writable) {
    make_directories(root + share.path);
    KFDLAB_TRY(mount_at(share.tag.c_str(), root + share.path, "9p", 0, kWritableOptions));
  }
  if (!config.compile_cache_tag.empty()) {
    KFDLAB_TRY(mount_compile_cache(config, root));
  }
  RootLayers layers{Fd(::open("/lower", O_PATH | O_DIRECTORY | O_CLOEXEC)),
                    Fd(::open("/upper/files", O_PATH | O_DIRECTORY | O_CLOEXEC))};
  if (!layers.lower.valid() || !layers.upper.valid()) {
    return errno_error("cannot open the overlay's layers", errno);
  }
  return layers;
}

Status switch_root() {
  if (::chdir(kRoot) != 0 || ::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || ::chroot(".") != 0 ||
      ::chdir("/") != 0) {
    return errno_error("cannot switch to the host's root", errno);
  }
  return ok_status();
}

void set_up_environment(const Config& config) {
  static_cast<void>(::sethostname(config.hostname.data(), config.hostname.size()) != 0);
  loopback_up();
  const rlimit files{1024, 1u << 20};  // as a login has it
  ::setrlimit(RLIMIT_NOFILE, &files);
}

void set_device_groups(const Config& config) {
  set_group("/dev/kfd", config.render_gid);
  DIR* directory = ::opendir("/dev/dri");
  if (directory == nullptr) {
    return;
  }
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    if (name.starts_with("renderD")) {
      set_group("/dev/dri/" + name, config.render_gid);
    } else if (name.starts_with("card")) {
      set_group("/dev/dri/" + name, config.video_gid);
    }
  }
  ::closedir(directory);
}

}  // namespace kfdlab::guest
