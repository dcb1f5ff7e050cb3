// SPDX-License-Identifier: MIT
// --json: schema 1 of design section 9. Other people's scripts read it; fields are only ever added.
#pragma once

#include <nlohmann/json.hpp>

#include "tools/judge/result.h"

namespace kfdlab::report {

[[nodiscard]] nlohmann::json to_json(const judge::Report& report);
// The text of the file: valid UTF-8 whatever bytes a test printed.
[[nodiscard]] std::string json_file(const judge::Report& report);

}  // namespace kfdlab::report
