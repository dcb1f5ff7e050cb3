// SPDX-License-Identifier: MIT
// Machine code for tests, from LLVM's assembler.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kfdlab::engine {

// Words of the .text section of `source` for gfx90a. Nothing if there is no llvm-mc with AMDGPU on this machine (the
// test skips then); a source it rejects fails the test with its message and gives no words.
[[nodiscard]] std::optional<std::vector<std::uint32_t>> assemble(const std::string& source);

}  // namespace kfdlab::engine

// Assembles into `words` or leaves the test as skipped.
#define KFDLAB_ASSEMBLE_OR_SKIP(words, source)                                 \
  const auto words##_maybe = ::kfdlab::engine::assemble(source);               \
  if (!words##_maybe) GTEST_SKIP() << "no llvm-mc with AMDGPU (package llvm)"; \
  const std::vector<std::uint32_t>& words = *words##_maybe
