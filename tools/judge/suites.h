// SPDX-License-Identifier: MIT
// The suites: one row each. To add a suite, add a row and an executable kfdlab_<name>_tests (docs/adding.md).
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kfdlab::judge {

enum class Place { Vm, Host };

struct Suite {
  std::string_view name;
  Place place;
  std::string_view proves;  // one line for --dry-run and the docs
  // Suites that differ in their environment only share an executable: its name, and "K=V" for its process.
  std::string_view executable = {};  // empty: the suite's own name
  std::string_view env = {};
};

// In the order they run. The negative controls ("control") are no suite: they judge the judge (controls.h).
[[nodiscard]] std::span<const Suite> all_suites();
[[nodiscard]] const Suite* find_suite(std::string_view name);

// The executable of a VM suite in the build's bin directory.
[[nodiscard]] std::filesystem::path suite_executable(const std::filesystem::path& bin_dir, const Suite& suite);

// Test names in the output of --gtest_list_tests, DISABLED_ ones included.
[[nodiscard]] std::vector<std::string> parse_test_list(std::string_view output);

}  // namespace kfdlab::judge
