// SPDX-License-Identifier: MIT
// Our decoder against LLVM's: same words, same mnemonic, operands, constants and modifiers.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "device/isa/decoder.h"
#include "tests/unit/isa/asm_text.h"
#include "tests/unit/isa/llvm_oracle.h"
#include "tests/unit/isa/random_inst.h"

namespace kfdlab::isa {
namespace {

constexpr unsigned kTrials = 24;

struct Case {
  const OpRow* row;
  Form form;
  std::vector<std::uint32_t> words;
  DecodeResult ours;
};

std::string hex(const std::vector<std::uint32_t>& words) {
  std::string text;
  for (const std::uint32_t word : words) text += fmt::format("{:08x} ", word);
  return text;
}

std::vector<Case> make_cases(Encoding encoding) {
  std::vector<Case> cases;
  Random random(0x15a + static_cast<unsigned>(encoding));
  for (const OpRow& row : op_rows()) {
    if (row.encoding != encoding) continue;
    for (const Form form : {Form::Plain, Form::Sdwa, Form::Dpp}) {
      for (unsigned i = 0; has_form(row, form) && i < kTrials; i++) {
        Case c{&row, form, random_instruction(row, form, random), {}};
        c.ours = decode(c.words);
        cases.push_back(std::move(c));
      }
    }
  }
  return cases;
}

// Numbers that LLVM writes with names of its own; their bits are compared by Decoder tests.
bool has_named_number(Op op) {
  static const std::set<Op> kOps = {Op::s_getreg_b32, Op::s_setreg_b32, Op::s_setreg_imm32_b32, Op::s_set_gpr_idx_on,
                                    Op::ds_swizzle_b32};
  return kOps.contains(op);
}

void drop_named_number(AsmText& text) {
  std::erase_if(text.operands, [](const std::string& operand) {
    return operand.starts_with("hwreg(") || operand.starts_with("gpr_idx(") || operand.starts_with("swizzle(");
  });
  std::erase_if(text.modifiers, [](const std::string& modifier) {
    return modifier.starts_with("format:") || modifier.starts_with("offset:swizzle(");
  });
}

// Sopk and Sopp: LLVM writes the 16 bits in several ways; the operands before them count here.
void drop_immediate(AsmText& text, const Case& c) {
  const bool sopk = c.row->encoding == Encoding::Sopk;
  if (sopk && !text.operands.empty() && c.row->op != Op::s_setreg_imm32_b32) {
    const std::string& last = text.operands.back();
    if (last.find_first_not_of("-0123456789abcdefx") == std::string::npos) text.operands.pop_back();
  }
  if (c.row->encoding == Encoding::Sopp) {
    text.operands.clear();
    text.modifiers.clear();
  }
}

// What LLVM writes down although the hardware has no such registers there.
const std::set<std::string> kStricter = {"misaligned scalar registers",
                                         "misaligned vector registers",
                                         "no such scalar register",
                                         "constant where a register is needed",
                                         "literal not possible here",
                                         "vector registers beyond the last",
                                         "scalar source where a vector register is needed"};

class Oracle : public testing::TestWithParam<Encoding> {
 protected:
  void SetUp() override {
    std::string reason;
    llvm_ = LlvmOracle::find(reason);
    if (!llvm_) GTEST_SKIP() << reason;
  }
  void compare(const Case& c, const OracleAnswer& answer);

  std::optional<LlvmOracle> llvm_;
  std::map<std::pair<const OpRow*, Form>, unsigned> agreed_;
};

void Oracle::compare(const Case& c, const OracleAnswer& answer) {
  if (answer.kind != OracleAnswer::Kind::Text) return;  // it wants bits to be zero that we ignore
  AsmText theirs = parse_asm(answer.text);
  if (!c.ours.ok()) {
    EXPECT_TRUE(kStricter.contains(c.ours.reason)) << hex(c.words) << c.ours.reason << "; LLVM:" << answer.text;
    return;
  }
  AsmText ours = asm_text(c.ours.inst, *c.row);
  if (has_named_number(c.row->op) || c.row->encoding == Encoding::Mtbuf) {
    drop_named_number(theirs);
    drop_named_number(ours);
    if (c.row->op == Op::ds_swizzle_b32) std::erase_if(ours.modifiers, [](auto& m) { return m.starts_with("offset"); });
    if (c.row->op == Op::ds_swizzle_b32)
      std::erase_if(theirs.modifiers, [](auto& m) { return m.starts_with("offset"); });
  }
  std::erase(theirs.modifiers, "offset:0x0");
  drop_immediate(theirs, c);
  drop_immediate(ours, c);
  EXPECT_EQ(ours.str(), theirs.str()) << hex(c.words) << " LLVM:" << answer.text;
  if (ours == theirs) agreed_[{c.row, c.form}]++;
}

TEST_P(Oracle, AgreesOnEveryRow) {
  const std::vector<Case> cases = make_cases(GetParam());
  std::vector<std::vector<std::uint32_t>> words;
  for (const Case& c : cases) words.push_back(c.words);
  const std::vector<OracleAnswer> answers = llvm_->disassemble(words);
  for (std::size_t i = 0; i < cases.size(); i++) compare(cases[i], answers[i]);
  for (const OpRow& row : op_rows()) {
    if (row.encoding != GetParam()) continue;
    for (const Form form : {Form::Plain, Form::Sdwa, Form::Dpp}) {
      if (!has_form(row, form)) continue;
      EXPECT_GE((agreed_[{&row, form}]), 4u)
          << name(row.op) << " form " << static_cast<int>(form) << ": compared too rarely";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Gfx90a, Oracle,
                         testing::Values(Encoding::Sop2, Encoding::Sopk, Encoding::Sop1, Encoding::Sopc, Encoding::Sopp,
                                         Encoding::Smem, Encoding::Vop1, Encoding::Vop2, Encoding::Vopc, Encoding::Vop3,
                                         Encoding::Vop3p, Encoding::Ds, Encoding::Flat, Encoding::Global,
                                         Encoding::Scratch, Encoding::Mubuf, Encoding::Mtbuf,
                                         Encoding::Mimg),
                         [](const auto& parameter) { return name(parameter.param); });

}  // namespace
}  // namespace kfdlab::isa
