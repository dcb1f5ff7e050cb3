// SPDX-License-Identifier: MIT
// From what kfdlab_bench measured in the VM to a table of ratios. Absolute times of an emulated machine say little, so
// every number stands beside what it is compared with, measured in the same run.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace kfdlab::bench {

// One kernel's table of migrations and pins. `bench` is kfdlab_bench's object; rows it lacks are left out, and without
// any the text is empty.
[[nodiscard]] std::string table(const nlohmann::json& bench);

// Eviction, allocation and scaling, what there is of them, as lines of ratios; empty for nothing.
[[nodiscard]] std::string ratios(const nlohmann::json& bench);

// Resident bytes of a process that are not in shared mappings, from the text of /proc/PID/smaps.
[[nodiscard]] std::uint64_t private_resident_bytes(std::string_view smaps);

// "4 KiB", "256 MiB"
[[nodiscard]] std::string size_text(std::uint64_t bytes);

}  // namespace kfdlab::bench
