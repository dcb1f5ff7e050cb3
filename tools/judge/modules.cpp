// SPDX-License-Identifier: MIT
#include "tools/judge/modules.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "common/fd.h"

namespace kfdlab::judge {

Status load_module(const std::filesystem::path& file, const std::string& parameters) {
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return errno_error(file.string(), errno);
  }
  if (::syscall(SYS_finit_module, fd.get(), parameters.c_str(), 0) != 0) {
    return errno_error("loading " + file.string() + " " + parameters, errno);
  }
  return ok_status();
}

Status unload_module(const std::string& name) {
  if (::syscall(SYS_delete_module, name.c_str(), O_NONBLOCK) != 0) {
    return errno_error("unloading " + name, errno);
  }
  return ok_status();
}

std::filesystem::path gup_module(const std::filesystem::path& module_directory) {
  return module_directory / "tests/gup/kmod/kfdlab_gup.ko";
}

}  // namespace kfdlab::judge
