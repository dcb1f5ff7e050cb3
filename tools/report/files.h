// SPDX-License-Identifier: MIT
// The files of a run: --json, --junit and the --out directory.
#pragma once

#include <filesystem>
#include <string>

#include "common/result.h"
#include "tools/judge/result.h"
#include "tools/report/text.h"

namespace kfdlab::report {

struct FilePlan {
  std::filesystem::path json;   // empty: none
  std::filesystem::path junit;  // empty: none
  std::filesystem::path out;    // directory; exists, the VMs have written their logs to <out>/<release>
  std::vector<std::string> repeat_options;
};

// results.json, junit.xml, repeat.sh and <release>/<suite>.<test>.log of each test that failed go to the directory.
[[nodiscard]] Status write_files(const judge::Report& report, const FilePlan& plan);

// Versions of what took part: kfdlab, hip, rocr, hsakmt, libdrm, qemu (Debian packages; "" when not installed).
[[nodiscard]] nlohmann::json environment_versions();

}  // namespace kfdlab::report
