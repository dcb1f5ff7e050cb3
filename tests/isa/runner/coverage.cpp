// SPDX-License-Identifier: MIT
#include "tests/isa/runner/coverage.h"

#include <fmt/format.h>

#include <fstream>
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
// Packed instructions have so many modifiers that the usual combination is rare.
constexpr unsigned kPackedAttempts = 240;
constexpr unsigned kMaxTries = 8000;

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

enum class Amount { None, Some, All };

// How many legal encodings of a form the engine lowers.
Amount lowered(const engine::LowerTable& table, const OpRow& row, Form form) {
  const unsigned wanted = row.has(isa::op_flags::kPacked) ? kPackedAttempts : kAttempts;
  isa::Random random(row.opcode * 4u + static_cast<unsigned>(form));
  unsigned good = 0;
  unsigned attempts = 0;
  for (unsigned i = 0; i < kMaxTries && attempts < wanted; i++) {
    const isa::DecodeResult result = isa::decode(isa::random_instruction(row, form, random));
    if (!result.ok()) continue;
    attempts++;
    engine::Lowering lowering(table, whole_file());
    good += lowering.run(result.inst, 0) ? 1 : 0;
  }
  return good == 0 ? Amount::None : good == attempts ? Amount::All : Amount::Some;
}

void add_form(Coverage& coverage, const std::string& form, Amount amount) {
  auto& list = amount == Amount::All ? coverage.executes : amount == Amount::Some ? coverage.partly : coverage.lacks;
  list.push_back(form);
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

std::map<std::string, std::string> deviations(const std::filesystem::path& file) {
  std::map<std::string, std::string> all;
  std::ifstream stream(file);
  std::string line;
  while (std::getline(stream, line)) {
    const auto end = line.find(' ');
    const auto reason = line.find_first_not_of(' ', end);
    if (line.empty() || line[0] == '#' || reason == std::string::npos) continue;
    all[line.substr(0, end)] = line.substr(reason);
  }
  return all;
}

std::string coverage_page(const engine::LowerTable& table, const std::filesystem::path& cases,
                          const std::map<std::string, std::string>& deviations) {
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
                        joined(coverage.lacks),
                        deviations.contains(name) ? deviations.at(name)
                        : has_case                ? "yes"
                                                  : "");
  }
  return fmt::format(
      "# Instructions of gfx90a\n\n"
      "Made by `kfdlab_unit_isa_cases_tests` with KFDLAB_UPDATE_DOCS=1 in the environment; a test compares it.\n\n"
      "{} mnemonics decode, {} of them execute, {} have cases in tests/isa, {} deviate from their cases as the last "
      "column says.\n\n"
      "A kernel that reaches an instruction that does not execute is stopped, with the name in the report of its "
      "queue.\n\n"
      "Do not execute: {}.\n\n"
      "Illegal on gfx90a, as the decoder and LLVM agree, though other GPUs of the family have them: images with a sampler "
      "other than image_sample (no derivatives, levels of detail, gathers), v_interp_* (no pixel shaders), exp (no "
      "export), ds_ordered_count (no GDS memory), global_load_lds_* and scratch_load_lds_* (gfx940), v_movrel* "
      "(s_set_gpr_idx_* replaces them), s_code_end, s_denorm_mode and s_round_mode (gfx10: s_setreg_b32 on MODE does it), v_dot2 of bf16 and xf32 matrices "
      "(gfx940).\n\n"
      "Without effect, as nothing that code sees depends on them: caches (s_dcache_*, s_icache_inv, s_atc_probe*), hints "
      "(s_setprio, s_nop, s_ttracedata, s_*perflevel), DS with the GDS bit other than global wave sync (gfx90a has no GDS "
      "memory: reads give 0).\n\n"
      "Columns: the encodings and forms that decode, by whether the engine executes all of the encodings tried, some, "
      "or none.\n\n"
      "| mnemonic | executes | partly | does not | tested |\n"
      "| --- | --- | --- | --- | --- |\n{}",
      all.size(), executed, tested, deviations.size(), missing.empty() ? "none" : missing, rows);
}

}  // namespace kfdlab::isa_cases
