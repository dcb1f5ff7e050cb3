// SPDX-License-Identifier: MIT
// LLVM's disassembler for gfx90a as a child process. It aborts on some words, so many instructions go to one child and
// a child that dies is asked again in halves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kfdlab::isa {

struct OracleAnswer {
  enum class Kind : std::uint8_t { Text, Invalid, Died };
  Kind kind = Kind::Invalid;
  std::string text;  // one line of assembly
};

class LlvmOracle {
 public:
  // The program, or why there is none.
  static std::optional<LlvmOracle> find(std::string& reason);

  // One answer for each instruction of up to three dwords, in order.
  [[nodiscard]] std::vector<OracleAnswer> disassemble(
      const std::vector<std::vector<std::uint32_t>>& instructions) const;

 private:
  explicit LlvmOracle(std::string program) : program_(std::move(program)) {}
  bool batch(const std::vector<std::uint32_t>* first, std::size_t count, OracleAnswer* answers) const;
  void ask(const std::vector<std::uint32_t>* first, std::size_t count, OracleAnswer* answers) const;

  std::string program_;
};

}  // namespace kfdlab::isa
