// SPDX-License-Identifier: MIT
// Assembly in parts that can be compared: what an Inst should read like in LLVM's syntax, and what LLVM wrote. Suffixes
// of the encoding are not part of the mnemonic; modifiers are sorted.
#pragma once

#include <string>
#include <vector>

#include "device/isa/op_table.h"

namespace kfdlab::isa {

struct AsmText {
  std::string mnemonic;
  std::vector<std::string> operands;
  std::vector<std::string> modifiers;

  [[nodiscard]] std::string str() const;
  bool operator==(const AsmText&) const = default;
};

// What LLVM 15 writes for a decoded instruction of `row`.
[[nodiscard]] AsmText asm_text(const Inst& inst, const OpRow& row);
// Parts of one line of assembly without comments.
[[nodiscard]] AsmText parse_asm(const std::string& line);

// A constant of an operand; `value` as in Operand.
[[nodiscard]] std::string constant_text(std::uint64_t value, Element element);
[[nodiscard]] std::string register_text(unsigned number, unsigned dwords);

}  // namespace kfdlab::isa
