// SPDX-License-Identifier: MIT
// Fields to operands. Every register number an Inst carries was checked here.
#include "device/isa/reader.h"

#include <array>

namespace kfdlab::isa {
namespace {

constexpr unsigned kFirstInteger = 128;  // 0
constexpr unsigned kLastPositive = 192;  // 64
constexpr unsigned kLastInteger = 208;   // -16
constexpr unsigned kFirstFloat = 240;    // 0.5
constexpr unsigned kLastFloat = 248;     // 1 / (2 * pi)
constexpr unsigned kLiteralField = 255;
constexpr unsigned kLastSgpr = 101;
constexpr unsigned kLastTtmp = 123;

// 0.5, -0.5, 1, -1, 2, -2, 4, -4, 1 / (2 * pi)
constexpr std::array<std::uint16_t, 9> kHalf = {0x3800, 0xb800, 0x3c00, 0xbc00, 0x4000, 0xc000, 0x4400, 0xc400, 0x3118};
constexpr std::array<std::uint32_t, 9> kSingle = {0x3f000000, 0xbf000000, 0x3f800000, 0xbf800000, 0x40000000,
                                                  0xc0000000, 0x40800000, 0xc0800000, 0x3e22f983};
constexpr std::array<std::uint64_t, 9> kDouble = {0x3fe0000000000000, 0xbfe0000000000000, 0x3ff0000000000000,
                                                  0xbff0000000000000, 0x4000000000000000, 0xc000000000000000,
                                                  0x4010000000000000, 0xc010000000000000, 0x3fc45f306dc9c882};

constexpr std::uint64_t twice(std::uint32_t value) { return value | static_cast<std::uint64_t>(value) << 32; }

std::uint64_t inline_float(unsigned index, Element element) {
  switch (element) {
    case Element::F16:
    case Element::V2F16:
      return kHalf[index];
    case Element::I16:
      return kSingle[index] & 0xffff;  // integer operands see the bits of the 32-bit number
    case Element::B64:
    case Element::I64:
    case Element::F64:
      return kDouble[index];
    case Element::V2F32:
    case Element::V2B32:
      return twice(kSingle[index]);
    default:
      return kSingle[index];
  }
}

std::uint64_t inline_integer(std::int64_t value, Element element) {
  switch (element) {
    case Element::I16:
    case Element::F16:
      return static_cast<std::uint16_t>(value);
    case Element::B64:
    case Element::I64:
    case Element::F64:
      return static_cast<std::uint64_t>(value);
    case Element::V2F32:
    case Element::V2B32:
      return twice(static_cast<std::uint32_t>(value));
    default:
      return static_cast<std::uint32_t>(value);
  }
}

std::uint64_t literal_value(std::uint32_t literal, Element element) {
  switch (element) {
    case Element::I16:
    case Element::F16:
      return literal & 0xffff;
    case Element::I64:
      return static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int32_t>(literal)));
    case Element::F64:
      return static_cast<std::uint64_t>(literal) << 32;
    case Element::V2F32:
    case Element::V2B32:
      return twice(literal);
    default:
      return literal;
  }
}

bool is_constant_field(unsigned field) {
  return (field >= kFirstInteger && field <= kLastInteger) || (field >= kFirstFloat && field <= kLastFloat);
}

// Apertures and the flags that read as a number. Reads of lds_direct do not exist on gfx90a.
bool is_special_field(unsigned field) {
  return (field >= kSharedBase && field <= kPopsExitingWaveId) || (field >= kVccz && field <= kScc);
}

}  // namespace

bool is_float(Element element) {
  switch (element) {
    case Element::F16:
    case Element::V2F16:
    case Element::F32:
    case Element::F64:
    case Element::V2F32:
      return true;
    default:
      return false;
  }
}

// Sources on which neg and abs mean something.
unsigned float_sources(const OpRow& row) {
  unsigned mask = 0;
  for (unsigned i = 0; i < row.src.size(); i++) mask |= is_float(row.src[i].element) ? 1u << i : 0;
  return mask;
}

unsigned existing_sources(const OpRow& row) {
  unsigned mask = 0;
  for (unsigned i = 0; i < row.src.size(); i++) mask |= row.src[i].exists() ? 1u << i : 0;
  return mask;
}

std::uint64_t inline_constant(unsigned field, Element element) {
  if (field >= kFirstFloat) return inline_float(field - kFirstFloat, element);
  const auto value = static_cast<std::int64_t>(field);
  return inline_integer(field <= kLastPositive ? value - kFirstInteger : kLastPositive - value, element);
}

bool Reader::illegal(const char* reason) {
  result_.status = DecodeResult::Status::Illegal;
  result_.reason = reason;
  return false;
}

bool Reader::need(unsigned size) {
  if (words_.size() < size) {
    result_.status = DecodeResult::Status::Truncated;
    result_.reason = "";
    return false;
  }
  result_.inst.size = static_cast<std::uint8_t>(size);
  return true;
}

const OpRow* Reader::row(Encoding encoding, unsigned opcode) {
  result_.inst.encoding = encoding;
  const OpRow* row = find_row(encoding, opcode);
  if (row == nullptr) {
    illegal("unknown opcode");
    return nullptr;
  }
  result_.inst.op = row->op;
  return row;
}

bool Reader::literal(Element element, Operand& out, unsigned dwords) {
  if (!has_literal_) {  // two sources may name the literal, which is there once
    const unsigned at = result_.inst.size;
    if (!need(at + 1)) return false;
    literal_ = words_[at];
    has_literal_ = true;
  }
  out = {Operand::Kind::Constant, static_cast<std::uint8_t>(dwords), 0, literal_value(literal_, element)};
  return true;
}

bool Reader::source(unsigned field, Slot slot, unsigned allowed, Operand& out) {
  if (field >= kVgpr0) {
    if ((allowed & allow::kVector) == 0) return illegal("vector register where a scalar is needed");
    return vector(field - kVgpr0, slot.dwords, false, out);
  }
  if (field < kScalarRegisters) {
    if ((allowed & allow::kScalar) == 0) return illegal("scalar source where a vector register is needed");
    return scalar(field, slot.dwords, out);
  }
  if (is_constant_field(field)) {
    if ((allowed & allow::kConstant) == 0) return illegal("constant where a register is needed");
    out = {Operand::Kind::Constant, slot.dwords, 0, inline_constant(field, slot.element)};
    return true;
  }
  if (is_special_field(field)) {
    if ((allowed & allow::kConstant) == 0 || slot.dwords > 2) return illegal("special source not possible here");
    out = {Operand::Kind::Register, slot.dwords, static_cast<std::uint16_t>(field), 0};
    return true;
  }
  if (field == kLiteralField) {
    if ((allowed & allow::kLiteral) == 0) return illegal("literal not possible here");
    return literal(slot.element, out, slot.dwords);
  }
  return illegal("reserved source number");
}

bool Reader::scalar(unsigned number, unsigned dwords, Operand& out) {
  const unsigned last = number + dwords - 1;
  const bool sgprs = last <= kLastSgpr;
  const bool pairs = number >= kFlatScratchLo && last < kTtmp0 && dwords <= 2;  // flat_scratch, xnack_mask, vcc
  const bool ttmps = number >= kTtmp0 && last <= kLastTtmp;
  const bool m0 = number == kM0 && dwords == 1;
  const bool exec = number >= kExecLo && last < kScalarRegisters;
  if (!sgprs && !pairs && !ttmps && !m0 && !exec) return illegal("no such scalar register");
  const unsigned alignment = dwords >= 4 ? 4 : dwords;
  if (dwords > 1 && number % alignment != 0) return illegal("misaligned scalar registers");
  out = {Operand::Kind::Register, static_cast<std::uint8_t>(dwords), static_cast<std::uint16_t>(number), 0};
  return true;
}

bool Reader::vector(unsigned number, unsigned dwords, bool accumulator, Operand& out) {
  if (number + dwords > kAgpr0 - kVgpr0) return illegal("vector registers beyond the last");
  if (dwords > 1 && number % 2 != 0) return illegal("misaligned vector registers");
  const unsigned base = accumulator ? kAgpr0 : kVgpr0;
  out = {Operand::Kind::Register, static_cast<std::uint8_t>(dwords), static_cast<std::uint16_t>(base + number), 0};
  return true;
}

}  // namespace kfdlab::isa
