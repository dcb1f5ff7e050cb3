// SPDX-License-Identifier: MIT
// Runs every file of tests/isa/cases, one test each, with every set of handlers this host can run.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "device/isa/op_table.h"
#include "tests/isa/runner/case_file.h"
#include "tests/isa/runner/check.h"
#include "tests/isa/runner/coverage.h"
#include "tests/isa/runner/machine.h"
#include "tests/isa/runner/object_file.h"

namespace kfdlab::isa_cases {
namespace {

namespace fs = std::filesystem;
using engine::SimdLevel;

isa::Op op_of(const std::string& mnemonic) {
  for (unsigned i = 0; i < static_cast<unsigned>(isa::Op::kCount); i++) {
    if (mnemonic == isa::name(static_cast<isa::Op>(i))) return static_cast<isa::Op>(i);
  }
  return isa::Op::kCount;
}

// Of instructions the engine executes; docs/isa-coverage.md names the others.
bool executes(const fs::path& file) {
  const SimdLevel best = engine::host_simd_level();
  return best != SimdLevel::None && engine::lower_table(best).find(op_of(file.stem())) != nullptr;
}

std::vector<fs::path> case_files() {
  std::vector<fs::path> files;
  const auto left_out = deviations(KFDLAB_ISA_DEVIATIONS);
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(KFDLAB_ISA_CASES, none)) {
    if (entry.path().extension() != ".s" || left_out.contains(entry.path().stem())) continue;
    if (executes(entry.path())) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

const ObjectFile& object() {
  static const ObjectFile file = read_object_file(KFDLAB_ISA_OBJECT);
  return file;
}

Machine& machine(SimdLevel level) {
  static std::map<SimdLevel, std::unique_ptr<Machine>> machines;
  auto& entry = machines[level];
  if (!entry) entry = std::make_unique<Machine>(level, object().text);
  return *entry;
}

// What of a case is not as it says.
std::vector<std::string> failures(const CaseFile& file, const Case& c, SimdLevel level) {
  const auto label = object().labels.find(file.mnemonic + "." + c.name);
  if (label == object().labels.end()) return {"has no code"};
  State before = State::pattern();
  const std::string bad_input = apply_inputs(c, before);
  if (!bad_input.empty()) return {bad_input};
  State after = before;
  const std::string error = machine(level).run(label->second, after);
  if (!error.empty()) return {error};
  return differences(c, before, after);
}

// The same of all cases, by every set of handlers this host can run.
std::vector<std::string> all_failures(const CaseFile& file) {
  std::vector<std::string> all;
  for (const SimdLevel level : {SimdLevel::Avx2, SimdLevel::Avx512}) {
    if (level > engine::host_simd_level()) continue;
    for (const Case& c : file.cases) {
      for (const std::string& text : failures(file, c, level)) {
        all.push_back(c.name + (level == SimdLevel::Avx2 ? " (AVX2): " : " (AVX-512): ") + text);
      }
    }
  }
  return all;
}

class Instruction : public testing::TestWithParam<fs::path> {};

TEST(IsaCases, AreThere) {
  if (std::string(KFDLAB_ISA_OBJECT).empty()) GTEST_SKIP() << "no llvm-15 or python3 when it was built";
  ASSERT_EQ(object().error, "");
  if (engine::host_simd_level() == SimdLevel::None) GTEST_SKIP() << "the engine needs AVX2";
  EXPECT_GT(case_files().size(), 900u);
}

// No file has a name that is no mnemonic, and all of them can be read.
TEST(IsaCases, FilesAreWellFormed) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(KFDLAB_ISA_CASES, none)) {
    EXPECT_NE(op_of(entry.path().stem()), isa::Op::kCount) << entry.path();
    EXPECT_EQ(read_case_file(entry.path()).error, "");
  }
}

// What tests/isa/deviations.txt names exists and is still wrong.
TEST(IsaCases, DeviationsAreReal) {
  if (std::string(KFDLAB_ISA_OBJECT).empty()) GTEST_SKIP() << "no llvm-15 or python3 when it was built";
  if (engine::host_simd_level() == SimdLevel::None) GTEST_SKIP() << "the engine needs AVX2";
  for (const auto& [mnemonic, reason] : deviations(KFDLAB_ISA_DEVIATIONS)) {
    const CaseFile file = read_case_file(fs::path(KFDLAB_ISA_CASES) / (mnemonic + ".s"));
    ASSERT_EQ(file.error, "");
    EXPECT_FALSE(all_failures(file).empty()) << mnemonic << " is right now: take it out of tests/isa/deviations.txt";
  }
}

TEST_P(Instruction, DoesWhatItsFileSays) {
  ASSERT_EQ(object().error, "");
  const CaseFile file = read_case_file(GetParam());
  ASSERT_EQ(file.error, "");
  for (const std::string& text : all_failures(file)) ADD_FAILURE() << text;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Instruction);
INSTANTIATE_TEST_SUITE_P(Gfx90a, Instruction, testing::ValuesIn(case_files()),
                         [](const auto& parameter) { return parameter.param.stem().string(); });

}  // namespace
}  // namespace kfdlab::isa_cases
