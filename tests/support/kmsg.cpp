// SPDX-License-Identifier: MIT
#include "tests/support/kmsg.h"

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "common/fd.h"
#include "tests/support/events.h"
#include "tests/support/listener.h"

namespace kfdlab {

void expect_kernel_line(std::string_view pattern, unsigned count) {
  send_event({{"event", events::kEventDeclare}, {"pattern", pattern}, {"count", count}});
}

bool write_kernel_mark(std::string_view text) {
  // Opened anew for each mark: the kernel limits the rate per open file (printk.devkmsg=ratelimit is the default).
  const Fd fd(::open("/dev/kmsg", O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return false;
  }
  std::string record = "<6>";
  record += events::kMarkPrefix;
  record += text;
  return ::write(fd.get(), record.data(), record.size()) == static_cast<ssize_t>(record.size());
}

}  // namespace kfdlab
