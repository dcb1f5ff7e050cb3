// SPDX-License-Identifier: MIT
// kmemleak of a debug kernel: memory that nothing points to any more. Only what our modules allocated is judged.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace kfdlab::judge {

// One entry of /sys/kernel/debug/kmemleak (Documentation/dev-tools/kmemleak.rst).
struct LeakedObject {
  std::string headline;                // "unreferenced object 0xffff888004b1f000 (size 64):"
  std::vector<std::string> backtrace;  // "kfd_process_create+0x3c/0x1a0 [kfdlab_amdgpu]", innermost first
};

[[nodiscard]] std::vector<LeakedObject> parse_kmemleak(std::string_view text);

// One of kfdlab's modules is in its backtrace.
[[nodiscard]] bool is_leak_of_ours(const LeakedObject& object);

// "unreferenced object ... (size 64) by f+0x1/0x2 [kfdlab_amdgpu]"; the frame is our innermost one.
[[nodiscard]] std::string describe_leak(const LeakedObject& object);

[[nodiscard]] bool kmemleak_available();

// Scans until a new leak must have been seen and forgets what it reported, so that the next call tells only new ones.
// Takes seconds, under emulation more; `alive` is called about every second. An Error: kmemleak gave up.
[[nodiscard]] Result<std::vector<LeakedObject>> find_new_leaks(const std::function<void()>& alive);

}  // namespace kfdlab::judge
