// SPDX-License-Identifier: MIT
// --junit: what CI systems read. One testsuite per kernel and suite.
#pragma once

#include <string>
#include <string_view>

#include "tools/judge/result.h"

namespace kfdlab::report {

[[nodiscard]] std::string junit_file(const judge::Report& report);

// Text that may stand in XML character data and in quoted attributes. What XML 1.0 cannot hold at all (most control
// characters, malformed UTF-8) becomes '?'.
[[nodiscard]] std::string xml_escape(std::string_view text);

}  // namespace kfdlab::report
