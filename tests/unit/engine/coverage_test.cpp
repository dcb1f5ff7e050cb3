// SPDX-License-Identifier: MIT
// Which mnemonics have handlers: all that real HIP code was found to use.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>

#include "device/engine/lower.h"
#include "tests/unit/engine/support/wave_rig.h"

namespace kfdlab::engine {
namespace {

std::map<std::string, isa::Op> all_mnemonics() {
  std::map<std::string, isa::Op> found;
  for (unsigned i = 0; i < static_cast<unsigned>(isa::Op::kCount); ++i) {
    const auto op = static_cast<isa::Op>(i);
    found[isa::name(op)] = op;
  }
  return found;
}

TEST(Coverage, EveryMnemonicOfHipCodeHasAHandlerOnEveryInstructionSet) {
  if (simd_levels().empty()) {
    GTEST_SKIP() << "this CPU has neither AVX2 nor AVX-512";
  }
  const std::map<std::string, isa::Op> mnemonics = all_mnemonics();
  std::ifstream list(KFDLAB_SOURCE_DIR "/tests/unit/isa/hip_mnemonics.txt");
  ASSERT_TRUE(list);
  unsigned count = 0;
  for (std::string line; std::getline(list, line);) {
    if (line.empty() || line[0] == '#') {
      continue;
    }
    ++count;
    const auto found = mnemonics.find(line);
    ASSERT_NE(found, mnemonics.end()) << line;
    for (const SimdLevel level : simd_levels()) {
      EXPECT_NE(lower_table(level).find(found->second), nullptr) << line << " on " << simd_name(level);
    }
  }
  EXPECT_GE(count, 500u);
}

}  // namespace
}  // namespace kfdlab::engine
