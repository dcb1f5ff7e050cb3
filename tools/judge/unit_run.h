// SPDX-License-Identifier: MIT
// The unit tests: every kfdlab_unit_*_tests in the build's bin directory, on this machine, without a VM.
#pragma once

#include <filesystem>
#include <string>

#include "tools/judge/expectations.h"
#include "tools/judge/sink.h"

namespace kfdlab::judge {

[[nodiscard]] RunResult run_unit_tests(const std::filesystem::path& bin_dir, const Expectations& expectations,
                                       const std::string& filter, RunSink* sink);

}  // namespace kfdlab::judge
