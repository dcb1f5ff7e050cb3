// SPDX-License-Identifier: MIT
// The suite's side of the kernel log: marks that tell the runner whose window a line fell in, and the declaration
// of lines that a test causes on purpose.
#pragma once

#include <string>
#include <string_view>

namespace kfdlab {

// The running test will cause `count` kernel log lines at warning level or above that match `pattern` (ECMAScript
// regex, searched in the message). They are not held against it; if fewer come the test fails, a further one is
// judged like any other line. count 0: any number may come, none has to (use only where the number depends on timing).
// Call it before the cause. Without a runner it does nothing.
void expect_kernel_line(std::string_view pattern, unsigned count = 1);

// One informational record in the kernel log. False: not permitted here (not root).
bool write_kernel_mark(std::string_view text);

}  // namespace kfdlab
