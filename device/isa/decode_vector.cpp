// SPDX-License-Identifier: MIT
// Vector formats: Vop1, Vop2, Vopc, Vop3, Vop3p.
#include "device/isa/reader.h"

namespace kfdlab::isa {
namespace {

using namespace op_flags;

constexpr unsigned kSdwaField = 249;
constexpr unsigned kDppField = 250;
constexpr unsigned kFirstConstantField = 128;
constexpr unsigned kFirstFloatField = 240;
constexpr unsigned kLastFloatField = 248;

// Implicit operands of the 32-bit encodings, spelled out.
constexpr Operand kVcc{Operand::Kind::Register, 2, kVccLo, 0};

bool destination(Reader& reader, const OpRow& row, unsigned number) {
  Inst& inst = reader.inst();
  if (!row.dst.exists()) return true;
  if (row.has(kScalarDst)) return reader.scalar(number, row.dst.dwords, inst.dst);
  return reader.vector(number, row.dst.dwords, row.has(kAccDst), inst.dst);
}

// src0 of Vop1, Vop2 and Vopc, with what it may announce: SDWA, DPP or a literal.
bool source0(Reader& reader, const OpRow& row) {
  const unsigned field = bits(reader.word(0), 0, 9);
  Inst& inst = reader.inst();
  if (row.has(kAccSrc0)) return reader.vector(field & 0xff, row.src[0].dwords, true, inst.src[0]);
  if (field == kSdwaField) {
    if (!row.has(kSdwa)) return reader.illegal("no SDWA form");
    return reader.need(2) && decode_sdwa(reader, row);
  }
  if (field == kDppField) {
    if (!row.has(kDpp)) return reader.illegal("no DPP form");
    return reader.need(2) && decode_dpp(reader, row);
  }
  unsigned allowed = allow::kAny | (row.has(kLiteral) ? 0 : allow::kLiteral);
  if (row.has(kVectorSrc0)) allowed = allow::kVector;
  return reader.source(field, row.src[0], allowed, inst.src[0]);
}

// vsrc1 of the 32-bit formats; SDWA may have filled src[1] with a scalar.
bool vector_source1(Reader& reader, const OpRow& row, Operand& out) {
  if (out.kind != Operand::Kind::None) return true;
  return reader.vector(bits(reader.word(0), 9, 8), row.src[1].dwords, false, out);
}

bool vop3_source(Reader& reader, const OpRow& row, unsigned i) {
  if (!row.src[i].exists()) return true;
  const unsigned field = bits(reader.word(1), i * 9, 9);
  unsigned allowed = allow::kAny;
  if ((i == 0 && row.has(kVectorSrc0)) || (i == 2 && row.has(kVectorSrc2))) allowed = allow::kVector;
  if ((i == 0 && row.has(kScalarSrc0)) || (i == 1 && row.has(kScalarSrc1))) allowed = allow::kScalar | allow::kConstant;
  if (row.src[i].element == Element::Mask) allowed = allow::kScalar;
  return reader.source(field, row.src[i], allowed, reader.inst().src[i]);
}

void vop3_modifiers(Reader& reader, const OpRow& row, bool vop3b) {
  Inst& inst = reader.inst();
  const std::uint32_t low = reader.word(0);
  const std::uint32_t high = reader.word(1);
  if (row.has(kMods)) {
    inst.neg = static_cast<std::uint8_t>(bits(high, 29, 3) & float_sources(row));
    if (!vop3b) inst.abs = static_cast<std::uint8_t>(bits(low, 8, 3) & float_sources(row));
  }
  if (row.has(kClamp)) inst.clamp = bits(low, 15, 1) != 0;
  if (row.has(kOmod)) inst.omod = static_cast<std::uint8_t>(bits(high, 27, 2));
  if (row.has(kOpSel)) inst.op_sel = static_cast<std::uint8_t>(bits(low, 11, 4) & (existing_sources(row) | 8u));
}

bool mfma(Reader& reader, const OpRow& row) {
  Inst& inst = reader.inst();
  const std::uint32_t low = reader.word(0);
  const std::uint32_t high = reader.word(1);
  const bool accumulator = bits(low, 15, 1) != 0;
  if (!reader.vector(bits(low, 0, 8), row.dst.dwords, accumulator, inst.dst)) return false;
  for (unsigned i = 0; i < 2; i++) {
    const unsigned field = bits(high, i * 9, 9);
    if (field < kVgpr0) return reader.illegal("matrix source must be a vector register");
    if (!reader.vector(field - kVgpr0, row.src[i].dwords, bits(high, 27 + i, 1) != 0, inst.src[i])) return false;
  }
  inst.cbsz = static_cast<std::uint8_t>(bits(low, 8, 3));
  inst.abid = static_cast<std::uint8_t>(bits(low, 11, 4));
  inst.blgp = static_cast<std::uint8_t>(bits(high, 29, 3));
  const unsigned field = bits(high, 18, 9);
  if (field >= kVgpr0) return reader.vector(field - kVgpr0, row.src[2].dwords, accumulator, inst.src[2]);
  if (field < kFirstConstantField || (field >= kSharedBase && field < kFirstFloatField) || field > kLastFloatField) {
    return reader.illegal("accumulator must be a vector register or constant");
  }
  return reader.source(field, row.src[2], allow::kConstant, inst.src[2]);
}

void packed_modifiers(Reader& reader, const OpRow& row) {
  Inst& inst = reader.inst();
  const std::uint32_t low = reader.word(0);
  const std::uint32_t high = reader.word(1);
  const unsigned sources = existing_sources(row);
  inst.op_sel = static_cast<std::uint8_t>(bits(low, 11, 3) & sources);
  inst.op_sel_hi = static_cast<std::uint8_t>((bits(high, 27, 2) | bits(low, 14, 1) << 2) & sources);
  inst.clamp = row.has(kClamp) && bits(low, 15, 1) != 0;
  if (!row.has(kMods)) return;
  inst.neg = static_cast<std::uint8_t>(bits(high, 29, 3) & float_sources(row));
  const auto second = static_cast<std::uint8_t>(bits(low, 8, 3) & float_sources(row));
  (row.has(kMix) ? inst.abs : inst.neg_hi) = second;
}

// A source of v_fma_mix is f32 unless op_sel_hi makes it a half.
Slot packed_slot(const OpRow& row, const Inst& inst, unsigned i) {
  if (row.has(kMix) && (inst.op_sel_hi >> i & 1) == 0) return {Element::F32, 1};
  return row.src[i];
}

}  // namespace

bool decode_vop1(Reader& reader) {
  const std::uint32_t word = reader.word(0);
  const OpRow* row = reader.row(Encoding::Vop1, bits(word, 9, 8));
  if (row == nullptr) return false;
  if (row->src[0].exists() && !source0(reader, *row)) return false;
  return destination(reader, *row, bits(word, 17, 8));
}

bool decode_vop2(Reader& reader) {
  const std::uint32_t word = reader.word(0);
  const OpRow* row = reader.row(Encoding::Vop2, bits(word, 25, 6));
  if (row == nullptr) return false;
  Inst& inst = reader.inst();
  if (!source0(reader, *row) || !destination(reader, *row, bits(word, 17, 8))) return false;
  if (row->has(kSdst)) inst.sdst = kVcc;
  if (row->has(kCarryIn)) inst.src[2] = kVcc;
  if (!row->has(kLiteral)) return vector_source1(reader, *row, inst.src[1]);
  // v_madmk: src0 * K + vsrc1; v_madak: src0 * vsrc1 + K.
  const bool multiplies = row->op == Op::v_madmk_f16 || row->op == Op::v_madmk_f32;
  return reader.literal(row->src[1].element, inst.src[multiplies ? 1 : 2], 1) &&
         vector_source1(reader, *row, inst.src[multiplies ? 2 : 1]);
}

bool decode_vopc(Reader& reader) {
  const OpRow* row = reader.row(Encoding::Vopc, bits(reader.word(0), 17, 8));
  if (row == nullptr) return false;
  reader.inst().sdst = kVcc;
  return source0(reader, *row) && vector_source1(reader, *row, reader.inst().src[1]);
}

bool decode_vop3(Reader& reader) {
  const std::uint32_t word = reader.word(0);
  const OpRow* row = reader.row(Encoding::Vop3, bits(word, 16, 10));
  if (row == nullptr) return false;
  Inst& inst = reader.inst();
  const bool compare = row->opcode < 256;
  const bool vop3b = !compare && row->has(kSdst);
  if (compare && !reader.scalar(bits(word, 0, 8), 2, inst.sdst)) return false;
  if (vop3b && !reader.scalar(bits(word, 8, 7), 2, inst.sdst)) return false;
  if (!destination(reader, *row, bits(word, 0, 8))) return false;
  for (unsigned i = 0; i < 3; i++) {
    if (!vop3_source(reader, *row, i)) return false;
  }
  vop3_modifiers(reader, *row, vop3b);
  return true;
}

bool decode_vop3p(Reader& reader) {
  const std::uint32_t word = reader.word(0);
  const OpRow* row = reader.row(Encoding::Vop3p, bits(word, 16, 7));
  if (row == nullptr) return false;
  if (row->has(kMfma)) return mfma(reader, *row);
  if (!destination(reader, *row, bits(word, 0, 8))) return false;
  Inst& inst = reader.inst();
  if (row->has(kAccSrc0)) return reader.vector(bits(reader.word(1), 0, 8), 1, true, inst.src[0]);
  if (row->has(kPacked)) packed_modifiers(reader, *row);
  for (unsigned i = 0; i < 3; i++) {
    if (!row->src[i].exists()) continue;
    const unsigned field = bits(reader.word(1), i * 9, 9);
    if (!reader.source(field, packed_slot(*row, inst, i), allow::kAny, inst.src[i])) return false;
  }
  return true;
}

}  // namespace kfdlab::isa
