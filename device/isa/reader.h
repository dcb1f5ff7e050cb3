// SPDX-License-Identifier: MIT
// What the decoders of the single formats share: the words, the instruction being filled in, and how a field becomes
// an operand with all checks of register numbers. Private to device/isa.
#pragma once

#include <cstdint>
#include <span>

#include "device/isa/decoder.h"
#include "device/isa/op_table.h"

namespace kfdlab::isa {

// `count` bits from bit `low`.
constexpr std::uint32_t bits(std::uint32_t word, unsigned low, unsigned count) {
  return (word >> low) & ((1u << count) - 1);
}

// What a source field may name.
namespace allow {
inline constexpr unsigned kScalar = 1;
inline constexpr unsigned kVector = 2;
inline constexpr unsigned kConstant = 4;
inline constexpr unsigned kLiteral = 8;
inline constexpr unsigned kAny = kScalar | kVector | kConstant;
}  // namespace allow

class Reader {
 public:
  explicit Reader(std::span<const std::uint32_t> words) : words_(words) {}

  DecodeResult& result() { return result_; }
  Inst& inst() { return result_.inst; }
  std::uint32_t word(unsigned i) const { return words_[i]; }

  // Ends in `Illegal`; returns false so that it can be returned.
  bool illegal(const char* reason);
  // Makes sure that `size` words are there; they become the instruction's size.
  bool need(unsigned size);
  // Looks the opcode up and notes it in the instruction; null when there is none.
  const OpRow* row(Encoding encoding, unsigned opcode);

  // 8 or 9-bit source field, numbered as in inst.h.
  bool source(unsigned field, Slot slot, unsigned allowed, Operand& out);
  // Scalar register or tuple by number.
  bool scalar(unsigned number, unsigned dwords, Operand& out);
  // VGPR or AGPR by its number in its file.
  bool vector(unsigned number, unsigned dwords, bool accumulator, Operand& out);
  // The literal that follows, as a value of `element`.
  bool literal(Element element, Operand& out, unsigned dwords);

 private:
  std::span<const std::uint32_t> words_;
  DecodeResult result_;
  bool has_literal_ = false;
  std::uint32_t literal_ = 0;
};

// Whether neg and abs mean something for an operand.
[[nodiscard]] bool is_float(Element element);
// Bit i: src[i] of the row is floating point; exists.
[[nodiscard]] unsigned float_sources(const OpRow& row);
[[nodiscard]] unsigned existing_sources(const OpRow& row);

// Value of an inline constant (128 to 208, 240 to 248) as `element`; inst.h says what that means.
[[nodiscard]] std::uint64_t inline_constant(unsigned field, Element element);

bool decode_scalar(Reader& reader);
bool decode_smem(Reader& reader);
bool decode_vop1(Reader& reader);
bool decode_vop2(Reader& reader);
bool decode_vopc(Reader& reader);
bool decode_vop3(Reader& reader);
bool decode_vop3p(Reader& reader);
// The second dword of SDWA and DPP forms of Vop1, Vop2 and Vopc.
bool decode_sdwa(Reader& reader, const OpRow& row);
bool decode_dpp(Reader& reader, const OpRow& row);
bool decode_ds(Reader& reader);
bool decode_flat(Reader& reader);
bool decode_mubuf(Reader& reader);
bool decode_mtbuf(Reader& reader);
bool decode_mimg(Reader& reader);

}  // namespace kfdlab::isa
