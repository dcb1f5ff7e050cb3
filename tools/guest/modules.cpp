// SPDX-License-Identifier: MIT
#include "tools/guest/modules.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "common/fd.h"

namespace kfdlab::guest {

Status load_modules(const std::vector<Module>& modules) {
  Status result = ok_status();
  for (const Module& module : modules) {
    const std::string path = "/modules/" + module.name + ".ko";
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const bool loaded =
        fd.valid() && (::syscall(SYS_finit_module, fd.get(), module.parameters.c_str(), 0) == 0 || errno == EEXIST);
    if (!loaded && result.ok()) {
      result = errno_error("the guest could not load module " + module.name, errno);
    }
    ::unlink(path.c_str());
  }
  return result;
}

}  // namespace kfdlab::guest
