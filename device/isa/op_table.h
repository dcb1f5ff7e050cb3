// SPDX-License-Identifier: MIT
// The table of gfx90a's opcodes: what each opcode of each encoding is and which operands it has. The decoder reads
// instructions by it; tests and docs/isa-coverage.md list it. Constant data, no state.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "device/isa/inst.h"

namespace kfdlab::isa {

// How constants of an operand are read, and what a source modifier means. V2: two packed elements.
enum class Element : std::uint8_t { None, I16, F16, V2I16, V2F16, B32, F32, B64, I64, F64, V2F32, V2B32, Mask };

// An operand as the opcode wants it. Mask is one bit for each lane in a scalar pair, never a constant. Accumulators of
// matrix instructions have the element's type and the width of the tuple.
struct Slot {
  Element element = Element::None;
  std::uint8_t dwords = 0;
  [[nodiscard]] constexpr bool exists() const { return element != Element::None; }
};

namespace op_flags {
inline constexpr std::uint32_t kSdst = 1u << 0;            // writes a mask: VCC in 32-bit encodings
inline constexpr std::uint32_t kCarryIn = 1u << 1;         // src[2] is VCC, not encoded
inline constexpr std::uint32_t kSdwa = 1u << 2;            // has an SDWA form
inline constexpr std::uint32_t kDpp = 1u << 3;             // has a DPP form; of 64-bit sources row_newbcast only
inline constexpr std::uint32_t kMods = 1u << 4;            // neg and abs on floating point sources
inline constexpr std::uint32_t kClamp = 1u << 5;           // clamp bit
inline constexpr std::uint32_t kOmod = 1u << 6;            // output modifier
inline constexpr std::uint32_t kOpSel = 1u << 7;           // Vop3: op_sel picks halves
inline constexpr std::uint32_t kPacked = 1u << 8;          // Vop3p: op_sel, op_sel_hi, neg, neg_hi
inline constexpr std::uint32_t kMix = 1u << 9;             // Vop3p: neg_hi is abs; a source without op_sel_hi is f32
inline constexpr std::uint32_t kMfma = 1u << 10;           // Vop3p: cbsz, abid, blgp, AGPR bits
inline constexpr std::uint32_t kAccDst = 1u << 11;         // dst is an AGPR
inline constexpr std::uint32_t kAccSrc0 = 1u << 12;        // src[0] is an AGPR
inline constexpr std::uint32_t kScalarDst = 1u << 13;      // dst of a vector instruction is a scalar register
inline constexpr std::uint32_t kVectorSrc0 = 1u << 14;     // src[0] must be a VGPR
inline constexpr std::uint32_t kRegisterSrc0 = 1u << 24;   // src[0] must be a scalar register
inline constexpr std::uint32_t kVectorSrc2 = 1u << 25;     // src[2] must be a VGPR
inline constexpr std::uint32_t kScalarSrc0 = 1u << 15;     // src[0] must not be a VGPR
inline constexpr std::uint32_t kScalarSrc1 = 1u << 16;     // src[1] must not be a VGPR
inline constexpr std::uint32_t kLiteral = 1u << 17;        // a literal always follows
inline constexpr std::uint32_t kImmediateSrc1 = 1u << 18;  // the field of src[1] is a number
inline constexpr std::uint32_t kAtomic = 1u << 19;         // memory: dst only when glc is set
inline constexpr std::uint32_t kTwoOffsets = 1u << 20;     // Ds: two 8-bit offsets
inline constexpr std::uint32_t kGws = 1u << 21;            // Ds: global wave sync; data0 is in the field of the address
inline constexpr std::uint32_t kLds = 1u << 22;            // Mubuf: can move data to LDS instead of registers
inline constexpr std::uint32_t kSampler = 1u << 26;        // Mimg: has a sampler
inline constexpr std::uint32_t kD16 = 1u << 27;            // Mimg: components may be halves
inline constexpr std::uint32_t kProbe = 1u << 23;          // Smem: the data field is a number
}  // namespace op_flags

struct OpRow {
  Encoding encoding;
  std::uint16_t opcode;
  Op op;
  Slot dst;
  std::array<Slot, 3> src;
  std::uint32_t flags;

  [[nodiscard]] constexpr bool has(std::uint32_t flag) const { return (flags & flag) != 0; }
};

// Row of an opcode, or null when gfx90a has none. Constant time.
[[nodiscard]] const OpRow* find_row(Encoding encoding, unsigned opcode);

// All rows, by encoding and opcode.
[[nodiscard]] std::span<const OpRow> op_rows();

// Lower case, as the enumerator.
[[nodiscard]] const char* name(Encoding encoding);

}  // namespace kfdlab::isa
