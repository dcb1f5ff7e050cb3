// SPDX-License-Identifier: MIT
#include "tests/isa/runner/coverage.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace kfdlab::isa_cases {
namespace {

using engine::SimdLevel;

TEST(IsaCoverage, PageIsCurrent) {
  if (std::string(KFDLAB_ISA_OBJECT).empty()) GTEST_SKIP() << "no llvm-15 or python3 when it was built";
  const SimdLevel level = engine::host_simd_level();
  if (level == SimdLevel::None) GTEST_SKIP() << "the engine needs AVX2";
  const std::string page =
      coverage_page(engine::lower_table(level), KFDLAB_ISA_CASES, deviations(KFDLAB_ISA_DEVIATIONS));
  const std::string path = KFDLAB_SOURCE_DIR "/docs/isa-coverage.md";
  if (std::getenv("KFDLAB_UPDATE_DOCS") != nullptr) std::ofstream(path) << page;
  std::ifstream stream(path);
  const std::string committed{std::istreambuf_iterator<char>(stream), {}};
  EXPECT_TRUE(committed == page) << "run this test with KFDLAB_UPDATE_DOCS=1 and commit docs/isa-coverage.md";
}

TEST(IsaCoverage, BothSetsOfHandlersExecuteTheSame) {
  if (engine::host_simd_level() != SimdLevel::Avx512) GTEST_SKIP() << "needs a host with AVX-512";
  EXPECT_EQ(coverage_page(engine::lower_table(SimdLevel::Avx2), "", {}),
            coverage_page(engine::lower_table(SimdLevel::Avx512), "", {}));
}

}  // namespace
}  // namespace kfdlab::isa_cases
