// SPDX-License-Identifier: MIT
// One decoded gfx90a instruction: what the decoder hands to everybody else. Plain data with every field resolved as
// far as the bytes alone allow; what depends on the state of a wave (values of registers, MODE) is not here.
// Facts: "AMD Instinct MI200 Instruction Set Architecture" (CDNA 2), chapters 4-12; LLVM AMDGPU usage.
#pragma once

#include <array>
#include <cstdint>

namespace kfdlab::isa {

// One value per mnemonic, without suffixes for the encoding (_e32, _e64, _sdwa, _dpp): v_add_f32 is one Op.
enum class Op : std::uint16_t {
#define KFDLAB_MNEMONIC(name) name,
#include "device/isa/mnemonics.inc"
#undef KFDLAB_MNEMONIC
  kCount
};

// How the instruction was encoded. Sdwa and Dpp are VOP1/VOP2/VOPC with the extra dword; their operands read alike.
enum class Encoding : std::uint8_t {
  Sop2, Sopk, Sop1, Sopc, Sopp, Smem, Vop1, Vop2, Vopc, Vop3, Vop3p, Ds, Flat, Global, Scratch, Mubuf, Mtbuf,
  Mimg,
};

// Numbers of registers and constants as the 9-bit source fields have them; AGPRs, which only a separate bit tells
// from VGPRs, follow behind. A wave keeps its scalar registers in an array with these indices.
inline constexpr std::uint16_t kFlatScratchLo = 102;
inline constexpr std::uint16_t kXnackMaskLo = 104;
inline constexpr std::uint16_t kVccLo = 106;
inline constexpr std::uint16_t kTtmp0 = 108;
inline constexpr std::uint16_t kM0 = 124;
inline constexpr std::uint16_t kExecLo = 126;
inline constexpr std::uint16_t kScalarRegisters = 128;  // numbers below are registers
inline constexpr std::uint16_t kSharedBase = 235;
inline constexpr std::uint16_t kSharedLimit = 236;
inline constexpr std::uint16_t kPrivateBase = 237;
inline constexpr std::uint16_t kPrivateLimit = 238;
inline constexpr std::uint16_t kPopsExitingWaveId = 239;
inline constexpr std::uint16_t kVccz = 251;
inline constexpr std::uint16_t kExecz = 252;
inline constexpr std::uint16_t kScc = 253;
inline constexpr std::uint16_t kLdsDirect = 254;
inline constexpr std::uint16_t kVgpr0 = 256;
inline constexpr std::uint16_t kAgpr0 = 512;

struct Operand {
  enum class Kind : std::uint8_t {
    None,      // the instruction has no such operand, or it is the encoding's "off"
    Register,  // `reg`: scalar register, special source, VGPR or AGPR, in the numbering above; first of `dwords`
    Constant,  // `value`: inline constant or literal, already converted to the operand's type
  };
  Kind kind = Kind::None;
  // Width: 1 also for 8 and 16-bit operands; 2, 3, 4, 8, 16 or 32 for tuples.
  std::uint8_t dwords = 0;
  std::uint16_t reg = 0;
  // Zero-extended bits. Constants of packed 32-bit operands are repeated in both halves; those of packed 16-bit operands
  // are 32 bits as the hardware sees them (a half in the low part); an MFMA accumulator's is one element. Inline floats have the operand's format (0.5 as f64 is 0x3fe0000000000000, as f16 0x3800); a
  // 32-bit literal of a 64-bit operand is sign-extended (integer), zero-extended (b64) or the high half (f64).
  std::uint64_t value = 0;

  [[nodiscard]] bool is_register() const { return kind == Kind::Register; }
  [[nodiscard]] bool is_constant() const { return kind == Kind::Constant; }
  [[nodiscard]] bool is_vector() const { return kind == Kind::Register && reg >= kVgpr0; }
  bool operator==(const Operand&) const = default;
};

// SDWA selects, AMD's numbers.
enum class SdwaSelect : std::uint8_t { Byte0, Byte1, Byte2, Byte3, Word0, Word1, Dword };
enum class SdwaUnused : std::uint8_t { Pad, Sext, Preserve };

struct Inst {
  Op op = Op::kCount;
  Encoding encoding = Encoding::Sopp;
  std::uint8_t size = 0;  // dwords: 1 to 3

  // Operand roles. ALU: dst, sdst (carry or compare mask of VOP2/VOP3B/VOPC: VCC when implicit, spelled out here),
  // src[0..2] (the carry-in of v_addc/v_cndmask is src[2], VCC when implicit; the accumulator of v_fmac/v_mac is the
  // old dst and not listed). A scalar compare has no dst: it writes SCC. v_readlane and v_readfirstlane have a scalar
  // dst. MFMA: src = A, B, C.
  // SMEM: dst (loads) or src[1] (stores, data), src[0] = base, src[2] = register offset.
  // DS: dst, src[0] = address, src[1] = data0, src[2] = data1. GWS has only src[1].
  // FLAT/GLOBAL: dst, src[0] = address, src[1] = data, src[2] = saddr. MUBUF: dst for loads and returning atomics,
  // src[0] = vaddr, src[1] = data, src[2] = descriptor (four SGPRs), src[3] = soffset.
  // MIMG: dst for what returns, src[0] = the first coordinate (how many there are is the descriptor's), src[1] = data,
  // src[2] = descriptor (eight SGPRs), src[3] = sampler (four SGPRs).
  Operand dst;
  Operand sdst;
  std::array<Operand, 4> src;

  // VOP3 and VOP3P: bit i belongs to src[i]; bit 3 of op_sel is the destination's.
  std::uint8_t neg = 0;
  std::uint8_t abs = 0;
  std::uint8_t op_sel = 0;
  std::uint8_t op_sel_hi = 0;
  std::uint8_t neg_hi = 0;
  std::uint8_t omod = 0;  // 1: *2, 2: *4, 3: /2
  bool clamp = false;

  bool is_sdwa = false;
  SdwaSelect dst_select = SdwaSelect::Dword;
  SdwaUnused dst_unused = SdwaUnused::Pad;
  std::array<SdwaSelect, 2> src_select{SdwaSelect::Dword, SdwaSelect::Dword};
  std::uint8_t sext = 0;  // bit i: src[i] is sign-extended after selection

  bool is_dpp = false;
  std::uint16_t dpp_ctrl = 0;
  std::uint8_t row_mask = 0xf;
  std::uint8_t bank_mask = 0xf;
  bool bound_ctrl = false;  // the bit as encoded: lanes out of bounds read 0

  // Memory. offset: bytes; signed for FLAT/GLOBAL/SMEM; for DS with two offsets offset is offset0, offset1 apart, both
  // as encoded (not yet scaled).
  std::int32_t offset = 0;
  std::uint8_t offset1 = 0;
  bool glc = false;
  bool slc = false;
  bool scc = false;
  bool offen = false;
  bool idxen = false;
  bool lds = false;  // MUBUF: the data goes to or comes from LDS, there is no dst and no src[1]
  bool gds = false;
  std::uint8_t format = 0;  // MTBUF: data format in bits 0-3, number format in bits 4-6
  // MIMG
  std::uint8_t dmask = 0;  // components that registers are for
  bool unorm = false;      // coordinates are texels, not parts of the whole
  bool da = false;         // the resource is an array
  bool a16 = false;        // coordinates are halves, two to a register
  bool d16 = false;        // components are halves, two to a register
  bool lwe = false;

  // SOPK, SOPP: the 16-bit field, sign-extended. Branches count it in dwords from the next instruction.
  // s_set_gpr_idx_on, s_atc_probe: the number that stands in an operand's place.
  std::int32_t imm = 0;
  // MFMA modifiers
  std::uint8_t cbsz = 0;
  std::uint8_t abid = 0;
  std::uint8_t blgp = 0;
};

// Mnemonic as AMD spells it, lower case; stays valid.
[[nodiscard]] const char* name(Op op);

}  // namespace kfdlab::isa
