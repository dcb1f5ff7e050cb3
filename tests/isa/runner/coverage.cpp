// SPDX-License-Identifier: MIT
#include "tests/isa/runner/coverage.h"

#include <fmt/format.h>

#include <map>
#include <vector>

#include "device/isa/decoder.h"
#include "device/isa/op_table.h"
#include "tests/unit/isa/random_inst.h"

namespace kfdlab::isa_cases {
namespace {

using isa::Form;
using isa::Op;
using isa::OpRow;

constexpr unsigned kAttempts = 12;
constexpr unsigned kMaxTries = 4000;

struct Coverage {
  std::vector<std::string> executes;  // forms
  std::vector<std::string> partly;
  std::vector<std::string> lacks;
};

engine::CodeKey whole_file() {
  engine::CodeKey key;
  key.vgpr_rows = engine::kMaxVgprRows;
  key.accum_offset = engine::kMaxVgprRows / 2;
  key.mode = 0x3f0;
  return key;
}

// How many of kAttempts legal encodings of a form the engine lowers.
unsigned lowered(const engine::LowerTable& table, const OpRow& row, Form form) {
  isa::Random random(row.opcode * 4u + static_cast<unsigned>(form));
  unsigned good = 0;
  unsigned attempts = 0;
  for (unsigned i = 0; i < kMaxTries && attempts < kAttempts; i++) {
    const isa::DecodeResult result = isa::decode(isa::random_instruction(row, form, random));
    if (!result.ok()) continue;
    attempts++;
    engine::Lowering lowering(table, whole_file());
    good += lowering.run(result.inst, 0) ? 1 : 0;
  }
  return attempts == 0 ? 0 : good * kAttempts / attempts;
}

void add_form(Coverage& coverage, const std::string& form, unsigned good) {
  (good == kAttempts ? coverage.executes : good != 0 ? coverage.partly : coverage.lacks).push_back(form);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::map<Op, Coverage> measure(const engine::LowerTable& table) {
  std::map<Op, Coverage> all;
  for (const OpRow& row : isa::op_rows()) {
    Coverage& coverage = all[row.op];
    add_form(coverage, isa::name(row.encoding), lowered(table, row, Form::Plain));
    if (has_form(row, Form::Sdwa)) add_form(coverage, "sdwa", lowered(table, row, Form::Sdwa));
    if (has_form(row, Form::Dpp)) add_form(coverage, "dpp", lowered(table, row, Form::Dpp));
  }
  return all;
}

}  // namespace

std::string coverage_page(const engine::LowerTable& table, const std::filesystem::path& cases) {
  unsigned executed = 0;
  unsigned tested = 0;
  std::string rows;
  std::string missing;
  const std::map<Op, Coverage> all = measure(table);
  for (const auto& [op, coverage] : all) {
    const std::string name = isa::name(op);
    const bool has_case = std::filesystem::exists(cases / (name + ".s"));
    const bool runs = !coverage.executes.empty() || !coverage.partly.empty();
    executed += runs ? 1 : 0;
    tested += has_case ? 1 : 0;
    if (!runs) missing += (missing.empty() ? "" : ", ") + name;
    rows += fmt::format("| {} | {} | {} | {} | {} |\n", name, joined(coverage.executes), joined(coverage.partly),
                        joined(coverage.lacks), has_case ? "yes" : "");
  }
  return fmt::format(
      "# Instructions of gfx90a\n\n"
      "Made by `kfdlab_unit_isa_cases_tests` with KFDLAB_UPDATE_DOCS=1 in the environment; a test compares it.\n\n"
      "{} mnemonics decode, {} of them execute, {} have cases in tests/isa.\n\n"
      "A kernel that reaches an instruction that does not execute is stopped, with the name in the report of its "
      "queue.\n\n"
      "Do not execute: {}.\n\n"
      "Columns: the encodings and forms that decode, by whether the engine executes all of the encodings tried, some, "
      "or none.\n\n"
      "| mnemonic | executes | partly | does not | tested |\n"
      "| --- | --- | --- | --- | --- |\n{}",
      all.size(), executed, tested, missing.empty() ? "none" : missing, rows);
}

}  // namespace kfdlab::isa_cases
