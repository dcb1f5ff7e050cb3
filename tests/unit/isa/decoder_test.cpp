// SPDX-License-Identifier: MIT
// What the decoder promises beyond agreeing with LLVM: values of constants, immediates, refusals, and that no words
// at all hand out registers that do not exist.
#include "device/isa/decoder.h"

#include <gtest/gtest.h>

#include <random>

#include "device/isa/op_table.h"
#include "tests/unit/isa/random_inst.h"

namespace kfdlab::isa {
namespace {

using Status = DecodeResult::Status;
using Words = std::vector<std::uint32_t>;

Inst decoded(const Words& words) {
  const DecodeResult result = decode(words);
  EXPECT_EQ(result.status, Status::Ok) << result.reason;
  return result.inst;
}

TEST(Decoder, NoWordsAreTruncated) {
  EXPECT_EQ(decode({}).status, Status::Truncated);
  EXPECT_EQ(decode(Words{0xbe8000ff}).status, Status::Truncated);  // s_mov_b32 s0, literal
  EXPECT_EQ(decode(Words{0xd1cb0000}).status, Status::Truncated);  // v_fma_f32
  EXPECT_EQ(decode(Words{0x020000f9}).status, Status::Truncated);  // v_add_f32_sdwa
  EXPECT_EQ(decode(Words{0x7e0002ff}).status, Status::Truncated);  // v_mov_b32 v0, literal
}

TEST(Decoder, SizesCountLiteralsAndSecondWords) {
  EXPECT_EQ(decoded({0xbf800000}).size, 1);
  EXPECT_EQ(decoded({0xbe8000ff, 0x12345678}).size, 2);
  EXPECT_EQ(decoded({0x8000ffff, 0x12345678}).size, 2);  // both sources are the one literal
  EXPECT_EQ(decoded({0xd1cb0000, 0x04060501}).size, 2);
}

TEST(Decoder, BranchDistanceIsSigned) {
  EXPECT_EQ(decoded({0xbf82ffff}).imm, -1);
  EXPECT_EQ(decoded({0xbf820010}).imm, 16);
}

TEST(Decoder, HwregFieldIsTheImmediate) {
  const Inst inst = decoded({0xb8801801});  // s_getreg_b32 s0, hwreg(1, 0, 4)
  EXPECT_EQ(inst.op, Op::s_getreg_b32);
  EXPECT_EQ(inst.imm, 0x1801);
  const Inst set = decoded({0xba00f801, 0x1234});
  EXPECT_EQ(set.op, Op::s_setreg_imm32_b32);
  EXPECT_EQ(static_cast<std::uint16_t>(set.imm), 0xf801);
  EXPECT_EQ(set.src[0].value, 0x1234u);
}

TEST(Decoder, InlineConstantsHaveTheOperandsType) {
  EXPECT_EQ(decoded({0xbe8000c1}).src[0].value, 0xffffffffu);                      // s_mov_b32 s0, -1
  EXPECT_EQ(decoded({0xbe8001c1}).src[0].value, ~std::uint64_t{0});                // s_mov_b64 s[0:1], -1
  EXPECT_EQ(decoded({0x020000f2}).src[0].value, 0x3f800000u);                      // v_add_f32 v0, 1.0, v0
  EXPECT_EQ(decoded({0x3e0000f2}).src[0].value, 0x3c00u);                          // v_add_f16 v0, 1.0, v0
  EXPECT_EQ(decoded({0xd2800000, 0x0001e4f2}).src[0].value, 0x3ff0000000000000u);  // v_add_f64
}

TEST(Decoder, LiteralsOf64BitOperandsFollowTheirType) {
  EXPECT_EQ(decoded({0xbe8001ff, 0x80000000}).src[0].value, 0x80000000u);          // s_mov_b64: zero-extended
  EXPECT_EQ(decoded({0x908000ff, 0x80000000}).src[0].value, 0xffffffff80000000u);  // s_ashr_i64: sign-extended
  EXPECT_EQ(decoded({0x7cc200ff, 0x40000000}).src[0].value, 0x4000000000000000u);  // v_cmp_lt_f64: the high half
}

TEST(Decoder, ImplicitOperandsAreSpelledOut) {
  const Inst carry = decoded({0x38000501});  // v_addc_co_u32 v0, vcc, v1, v2, vcc
  EXPECT_EQ(carry.sdst.reg, kVccLo);
  EXPECT_EQ(carry.src[2].reg, kVccLo);
  EXPECT_EQ(carry.src[2].dwords, 2);
  const Inst compare = decoded({0x7c820300});
  EXPECT_EQ(compare.sdst.reg, kVccLo);
  EXPECT_EQ(compare.dst.kind, Operand::Kind::None);
}

TEST(Decoder, AtomicsReturnOnlyWithGlc) {
  EXPECT_EQ(decoded({0xdd088000, 0x007f0200}).dst.kind, Operand::Kind::None);
  EXPECT_TRUE(decoded({0xdd098000, 0x017f0200}).dst.is_register());
}

TEST(Decoder, AccumulatorBitsNameAgprs) {
  const Inst load = decoded({0xdc508000, 0x05ff0200});  // global_load_dword a5, v[0:1], off
  EXPECT_EQ(load.dst.reg, kAgpr0 + 5);
  const Inst mfma = decoded({0xd3c08000, 0x140a0301});
  EXPECT_EQ(mfma.dst.reg, kAgpr0);
  EXPECT_EQ(mfma.src[2].reg, kAgpr0 + 2);
  EXPECT_EQ(mfma.src[0].reg, kVgpr0 + 1);
  EXPECT_EQ(mfma.src[1].reg, kAgpr0 + 1);
}

TEST(Decoder, RefusesRegistersThatDoNotExist) {
  const auto refused = [](const Words& words) { return decode(words).status == Status::Illegal; };
  EXPECT_TRUE(refused({0xbe800101}));              // s_mov_b64 s[0:1], s[1:2]
  EXPECT_TRUE(refused({0xbe80017c}));              // s_mov_b64 s[0:1], m0 and behind
  EXPECT_TRUE(refused({0xbe80007d}));              // register 125
  EXPECT_TRUE(refused({0xc00a1900, 0x00000000}));  // s_load_dwordx4 s[100:103]
  EXPECT_TRUE(refused({0xc0121800, 0x00020000}));  // s_load_dwordx16 s[96:111]
  EXPECT_TRUE(refused({0xdc5c8000, 0xfe7f0000}));  // global_load_dwordx4 v[254:257]
  EXPECT_TRUE(refused({0xdc548000, 0x017f0000}));  // global_load_dwordx2 v[1:2]
  EXPECT_TRUE(refused({0x7e0002fe}));              // v_mov_b32 v0, lds_direct
  EXPECT_TRUE(refused({0xd3c00000, 0x040202e1}));  // matrix source that is no VGPR
}

TEST(Decoder, AnIllegalOperandLeavesTheNameKnown) {
  const DecodeResult result = decode(Words{0xbe800101});
  EXPECT_EQ(result.status, Status::Illegal);
  EXPECT_EQ(result.inst.op, Op::s_mov_b64);
  EXPECT_STREQ(result.reason, "misaligned scalar registers");
}

// Registers of an operand that some later stage will index with.
void expect_inside(const Operand& operand, const Inst& inst) {
  if (!operand.is_register()) return;
  ASSERT_GE(operand.dwords, 1) << name(inst.op);
  const unsigned end = operand.reg + operand.dwords;
  if (operand.reg < kScalarRegisters) {
    ASSERT_LE(end, kScalarRegisters) << name(inst.op);
  } else if (operand.reg < kVgpr0) {
    ASSERT_LE(operand.dwords, 2) << name(inst.op);
  } else if (operand.reg < kAgpr0) {
    ASSERT_LE(end, kAgpr0) << name(inst.op);
  } else {
    ASSERT_LE(end, kAgpr0 + 256) << name(inst.op);
  }
}

void expect_sane(const Words& words) {
  const DecodeResult result = decode(words);
  if (result.status == Status::Truncated) {
    ASSERT_LT(words.size(), kMaxInstDwords);
    return;
  }
  if (!result.ok()) {
    ASSERT_STRNE(result.reason, "");
    return;
  }
  const Inst& inst = result.inst;
  ASSERT_LT(inst.op, Op::kCount);
  ASSERT_GE(inst.size, 1);
  ASSERT_LE(inst.size, words.size());
  expect_inside(inst.dst, inst);
  expect_inside(inst.sdst, inst);
  for (const Operand& source : inst.src) expect_inside(source, inst);
  // Destinations are registers one can write.
  ASSERT_FALSE(inst.dst.is_register() && inst.dst.reg >= kScalarRegisters && inst.dst.reg < kVgpr0);
}

TEST(DecoderFuzz, AnyWordsAreHandled) {
  Random random(20261123);
  for (unsigned i = 0; i < 2'000'000 && !testing::Test::HasFatalFailure(); i++) {
    Words words(1 + random() % 3);
    for (std::uint32_t& word : words) word = static_cast<std::uint32_t>(random());
    expect_sane(words);
  }
}

TEST(DecoderFuzz, RowsWithAnyOtherBitsAreHandled) {
  Random random(7);
  for (const OpRow& row : op_rows()) {
    for (unsigned i = 0; i < 400 && !testing::Test::HasFatalFailure(); i++) {
      const Form form = static_cast<Form>(random() % 3);
      Words words = random_instruction(row, has_form(row, form) ? form : Form::Plain, random);
      // a few random bits, and too few words now and then
      for (unsigned flips = static_cast<unsigned>(random() % 4); flips > 0; flips--) {
        words[random() % words.size()] ^= 1u << random() % 32;
      }
      if (random() % 8 == 0) words.resize(1);
      expect_sane(words);
    }
  }
}

}  // namespace
}  // namespace kfdlab::isa
