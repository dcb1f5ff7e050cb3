// SPDX-License-Identifier: MIT
// One kernel judged in a VM: boots it, runs `validate --here` inside, and accounts for everything the guest could not
// say itself: that it died, hung, printed a crash on its console, or that the device process died.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/judge/here.h"
#include "tools/judge/interrupt.h"
#include "tools/judge/result.h"
#include "tools/kernels/catalog.h"
#include "tools/report/text.h"
#include "tools/vm/vm.h"

namespace kfdlab::judge {

struct VmRunOptions {
  VmOptions vm;  // all but the kernel and the log directory
  PrepareOptions prepare;
  HereOptions here;
  std::filesystem::path out;      // of all kernels; this one writes to out/<name>
  std::chrono::seconds limit{0};  // for the whole VM; 0: none but the watchdog's
  bool shell_on_failure = false;  // open a shell in the VM before it goes
};

// Never fails: what went wrong is in the result.
[[nodiscard]] RunResult run_in_vm(const std::string& kernel, const VmRunOptions& options,
                                  const std::filesystem::path& self, report::Progress* progress, Interrupt* interrupt);

// The arguments of the command in the guest.
[[nodiscard]] std::vector<std::string> here_arguments(const std::filesystem::path& self, const HereOptions& options);

// What the console tells beyond the guest's own results: crashes that no test was blamed for. One result, suite "boot".
[[nodiscard]] TestResult judge_console(std::string_view console, const std::vector<TestResult>& tests);

}  // namespace kfdlab::judge
